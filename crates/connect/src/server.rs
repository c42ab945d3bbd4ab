//! Serving: limits, upkeep and the clean end.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use firesteel_conf::parse;
use firesteel_engine::Engine;
use firesteel_listen::{Connection, Listener};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticate;
use crate::rpc::spark_connect_service_server::SparkConnectServiceServer;
use crate::service::Service;
use crate::session::{Lifetimes, Sessions};

const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(30);
const HTTP2_WINDOW_BYTES: u32 = 8 << 20;

/// How the service behaves. [`ServerOptions::from_conf`] reads Spark's keys.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `spark.connect.authenticate.token`
    pub token: Option<String>,
    /// `spark.connect.grpc.maxInboundMessageSize`
    pub inbound_message_bytes_max: usize,
    /// `spark.connect.session.manager.defaultSessionTimeout`
    pub session_timeout: Duration,
    /// `spark.connect.execute.manager.detachedTimeout`
    pub detached_timeout: Duration,
    /// How long running operations may go on after a shutdown began.
    pub shutdown_grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            token: None,
            inbound_message_bytes_max: 128 << 20,
            session_timeout: Duration::from_secs(60 * 60),
            detached_timeout: Duration::from_secs(5 * 60),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl ServerOptions {
    pub fn from_conf(conf: &BTreeMap<String, String>) -> Self {
        let default = Self::default();
        let duration =
            |key: &str, default: Duration| conf.get(key).and_then(|text| parse::duration(text)).unwrap_or(default);
        Self {
            token: conf.get("spark.connect.authenticate.token").filter(|token| !token.is_empty()).cloned(),
            inbound_message_bytes_max: (conf.get("spark.connect.grpc.maxInboundMessageSize"))
                .and_then(|text| parse::bytes(text))
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(default.inbound_message_bytes_max),
            session_timeout: duration("spark.connect.session.manager.defaultSessionTimeout", default.session_timeout),
            detached_timeout: duration("spark.connect.execute.manager.detachedTimeout", default.detached_timeout),
            shutdown_grace: duration("firesteel.shutdown.grace", default.shutdown_grace),
        }
    }
}

/// The service over an engine.
pub struct Server {
    sessions: Arc<Sessions>,
    options: ServerOptions,
    workers: Handle,
}

impl Server {
    /// `workers`: the runtime that analyzes and runs plans. Its threads need deep stacks (see the binary).
    pub fn new(engine: Engine, options: ServerOptions, workers: Handle) -> Self {
        let lifetimes = Lifetimes { session: options.session_timeout, detached_operation: options.detached_timeout };
        Self { sessions: Arc::new(Sessions::new(engine, lifetimes)), options, workers }
    }

    /// Serves until `shutdown`; then operations get their grace, what still runs is cancelled, and connections close.
    pub async fn serve(self, listener: Listener, shutdown: CancellationToken) -> Result<(), tonic::transport::Error> {
        let service = Service { sessions: Arc::clone(&self.sessions), workers: self.workers.clone() };
        let service = SparkConnectServiceServer::new(service)
            .max_decoding_message_size(self.options.inbound_message_bytes_max)
            .max_encoding_message_size(usize::MAX);
        let service = tonic::service::interceptor::InterceptedService::new(
            service,
            Authenticate::new(self.options.token.as_deref()),
        );
        let upkeep = tokio::spawn(maintain(Arc::clone(&self.sessions)));
        let sessions = Arc::clone(&self.sessions);
        let grace = self.options.shutdown_grace;
        let result = tonic::transport::Server::builder()
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES * 2)
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .add_service(service)
            .serve_with_incoming_shutdown(incoming(listener), async move {
                shutdown.cancelled().await;
                wind_down(&sessions, grace).await;
            })
            .await;
        upkeep.abort();
        self.sessions.close_all();
        result
    }
}

/// The connections of a port, until nobody asks for them any more. A handshake holds up no other.
fn incoming(listener: Listener) -> ReceiverStream<std::io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let arrival = tokio::select! {
                () = sender.closed() => return,
                arrival = listener.accept() => arrival,
            };
            let sender = sender.clone();
            tokio::spawn(async move {
                if let Some(connection) = arrival.open().await {
                    let _ = sender.send(Ok(connection)).await;
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

async fn maintain(sessions: Arc<Sessions>) {
    let mut ticks = tokio::time::interval(MAINTENANCE_INTERVAL);
    loop {
        ticks.tick().await;
        sessions.maintain();
    }
}

/// Waits for running operations, up to the grace, and cancels the rest.
async fn wind_down(sessions: &Sessions, grace: Duration) {
    let deadline = tokio::time::Instant::now() + grace;
    loop {
        let running = sessions.begin_shutdown();
        if running == 0 || tokio::time::Instant::now() >= deadline {
            break;
        }
        tracing::info!(running, "waiting for operations before the shutdown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sessions.close_all();
}
