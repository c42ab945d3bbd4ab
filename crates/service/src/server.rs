//! Serving: connections, upkeep, and the clean end.
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use firesteel_engine::Engine;
use firesteel_listen::{Arrival, Listener};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::app::{App, Rates};
use crate::changes::recover;
use crate::jobs::Jobs;
use crate::jobs::queue::Limits;
use crate::options::ServiceOptions;
use crate::rows::Spool;
use crate::sessions::Sessions;
use crate::store::{self, Store, StorePlace};

/// For a request's head to come; a connection that says nothing is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 64 << 10;
const UPKEEP_INTERVAL: Duration = Duration::from_secs(30);
/// What still runs when the server stops gets this long.
const GRACE: Duration = Duration::from_secs(10);

/// The REST service over an engine.
pub struct Service {
    app: Arc<App>,
}

impl Service {
    /// Opens the store. What an earlier process left unfinished becomes interrupted, or succeeded where a table's log
    /// shows that it was.
    pub async fn open(
        engine: Engine,
        options: ServiceOptions,
        workers: Handle,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let place = StorePlace::of(options.job_store.as_deref(), options.data_dir.clone())?;
        let store = Store::open_as_server(&place).await?;
        let cursor_secret = store.secret("cursors", &rand::random::<[u8; 32]>()).await?;
        let limits = Limits {
            running_max: options.running_max,
            running_per_user_max: options.running_per_user_max,
            queued_per_user_max: options.queued_per_user_max,
        };
        let (results, jobs) = (options.result_retention, options.job_retention);
        let app = Arc::new(App {
            access: Access::new(store.clone(), options.token.as_deref()),
            jobs: Jobs::new(engine.clone(), store.clone(), workers.clone(), limits, results, jobs),
            sessions: Sessions::new(engine.clone()),
            spool: Spool::new(options.result_memory_bytes)?,
            rates: Rates::new(options.requests_per_second_max),
            cursor_secret,
            workers,
            engine,
            options,
        });
        for record in store.unfinished().await? {
            let record = recover::committed(&app, &record).await.unwrap_or_else(|| store::interrupted(record));
            store.update_job(&record).await?;
        }
        Ok(Self { app })
    }

    /// Serves until `shutdown`; what runs then gets a moment to end.
    pub async fn serve(self, listener: Listener, shutdown: CancellationToken) -> std::io::Result<()> {
        let router = crate::router::router(&self.app);
        let upkeep = tokio::spawn(upkeep(Arc::clone(&self.app)));
        let mut connections = JoinSet::new();
        loop {
            let arrival = tokio::select! {
                () = shutdown.cancelled() => break,
                arrival = listener.accept() => arrival,
            };
            while connections.try_join_next().is_some() {}
            connections.spawn(connection(arrival, router.clone(), shutdown.clone()));
        }
        let _ = tokio::time::timeout(GRACE, async {
            while self.app.jobs.running() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        self.app.jobs.stop_all();
        let ended = async {
            while self.app.jobs.running() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            while connections.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(GRACE, ended).await;
        upkeep.abort();
        Ok(())
    }
}

async fn connection(arrival: Arrival, router: Router, shutdown: CancellationToken) {
    let opened = tokio::select! {
        opened = arrival.open() => opened,
        () = shutdown.cancelled() => None,
    };
    let Some(stream) = opened else { return };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn upkeep(app: Arc<App>) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        app.jobs.expire().await;
        app.sessions.forget_unused();
        if let Err(error) = app.jobs.store().renew_claim().await {
            tracing::error!(%error, "the store of jobs may be used by another server");
        }
    }
}
