//! `firesteel server`: configuration, listening, and the clean end.
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use firesteel_conf::sources::Sources;
use firesteel_connect::{Server, ServerOptions};
use firesteel_engine::{Engine, EngineOptions};
use firesteel_listen::{Listener, Protocol, Tls};
use firesteel_service::{JOB_STORE_KEY, Service, ServiceOptions, is_secret};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Plans nest deep and are walked by recursion. The memory is only taken where a stack grows into it.
const STACK_BYTES: usize = 64 << 20;
const IO_THREADS: usize = 2;
/// How long a thread for blocking calls outlives its last one: with it ends what the allocator keeps for it.
const BLOCKING_THREAD_IDLE: Duration = Duration::from_secs(1);
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 15002;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Address to listen on; one that other machines reach needs a token (or --insecure) [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// Port of Spark Connect; 0 takes a free one [default: 15002]
    #[arg(long, value_name = "PORT")]
    connect_port: Option<u16>,
    /// Port of the REST API; 0 takes a free one, without it there is none
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// Where the catalog and the warehouse live; without it they go when the server stops
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where jobs and tokens of the REST API live: a PostgreSQL database [default: SQLite in the data directory]
    #[arg(long, value_name = "postgresql://…", env = "FIRESTEEL_JOB_STORE", hide_env_values = true)]
    job_store: Option<String>,
    /// A configuration value; may be given many times
    #[arg(long = "conf", short = 'c', value_name = "KEY=VALUE")]
    conf: Vec<String>,
    /// A file of `key value` lines [default: $SPARK_CONF_DIR/spark-defaults.conf]
    #[arg(long, value_name = "FILE")]
    properties_file: Option<PathBuf>,
    /// Written when the server answers: a JSON object of its addresses
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The certificate of both ports, a PEM file: clients then connect with TLS alone
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's key, a PEM file
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Listen on a public address without a token
    #[arg(long)]
    insecure: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    start_logging();
    let conf = sources(&arguments)?;
    let address = address(&arguments, &conf)?;
    let workers = runtime("firesteel-worker", None)?;
    let io = runtime("firesteel-io", Some(IO_THREADS))?;
    let result = io.block_on(serve(arguments, conf, address, &workers));
    // Work that ignores its cancellation does not hold the process.
    workers.shutdown_background();
    io.shutdown_background();
    result
}

fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process changes nothing.
    let _ = subscriber.try_init();
}

fn runtime(name: &str, threads: Option<usize>) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .thread_name(name)
        .thread_stack_size(STACK_BYTES)
        .thread_keep_alive(BLOCKING_THREAD_IDLE)
        .build()
}

fn sources(arguments: &Arguments) -> Result<Sources, Box<dyn Error>> {
    let mut sources = Sources::default();
    // As a JVM does, the session's zone follows the process's. A TZ that is a file path or a rule is left alone.
    if let Ok(zone) = std::env::var("TZ")
        && firesteel_conf::check_value("spark.sql.session.timeZone", &zone).is_ok()
    {
        sources.add_properties(&format!("spark.sql.session.timeZone={zone}"), "TZ")?;
    }
    if let Some(file) = properties_file(arguments) {
        sources.add_properties_file(&file)?;
    }
    sources.add_environment(
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    )?;
    for argument in &arguments.conf {
        sources.add_argument(argument)?;
    }
    Ok(sources)
}

fn properties_file(arguments: &Arguments) -> Option<PathBuf> {
    if let Some(file) = &arguments.properties_file {
        return Some(file.clone());
    }
    let file = Path::new(&std::env::var_os("SPARK_CONF_DIR")?).join("spark-defaults.conf");
    file.is_file().then_some(file)
}

fn address(arguments: &Arguments, conf: &Sources) -> Result<SocketAddr, Box<dyn Error>> {
    let host = arguments.host.as_deref().or(conf.get("spark.connect.grpc.binding.address")).unwrap_or(DEFAULT_HOST);
    let ip: IpAddr = match host {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => host.parse().map_err(|_| format!("--host wants an IP address or localhost, not {host:?}"))?,
    };
    let port = match (arguments.connect_port, conf.get("spark.connect.grpc.binding.port")) {
        (Some(port), _) => port,
        (None, Some(text)) => {
            text.parse().map_err(|_| format!("spark.connect.grpc.binding.port: {text:?} is no port"))?
        }
        (None, None) => DEFAULT_PORT,
    };
    let has_token = conf.get("spark.connect.authenticate.token").is_some_and(|token| !token.is_empty());
    if !ip.is_loopback() && !has_token && !arguments.insecure {
        return Err(format!(
            "{ip} can be reached from other machines: set spark.connect.authenticate.token, or say --insecure"
        )
        .into());
    }
    Ok(SocketAddr::new(ip, port))
}

/// The certificate of `--tls-certificate` and `--tls-key`, or of the configuration; `None`: there is none.
fn tls(arguments: &Arguments, conf: &Sources) -> Result<Option<Tls>, Box<dyn Error>> {
    let file = |given: &Option<PathBuf>, key: &str| {
        given.clone().or_else(|| conf.get(key).filter(|path| !path.is_empty()).map(PathBuf::from))
    };
    let certificate = file(&arguments.tls_certificate, "firesteel.tls.certificate");
    match (certificate, file(&arguments.tls_key, "firesteel.tls.key")) {
        (Some(certificate), Some(key)) => Ok(Some(Tls::of_files(&certificate, &key)?)),
        (None, None) => Ok(None),
        (Some(_), None) => Err("a certificate needs its key: --tls-key or firesteel.tls.key".into()),
        (None, Some(_)) => Err("a key needs its certificate: --tls-certificate or firesteel.tls.certificate".into()),
    }
}

async fn serve(
    arguments: Arguments,
    conf: Sources,
    address: SocketAddr,
    workers: &Runtime,
) -> Result<(), Box<dyn Error>> {
    let tls = tls(&arguments, &conf)?;
    let listener = listen(address, tls.as_ref(), Protocol::Http2).await?;
    let mut addresses = Addresses { connect: listener.local_addr()?, rest: None, has_tls: tls.is_some() };
    let http = match arguments.http_port {
        Some(port) => Some(listen(SocketAddr::new(address.ip(), port), tls.as_ref(), Protocol::Http1).await?),
        None => None,
    };
    let mut conf = conf.into_values();
    if let Some(url) = arguments.job_store {
        conf.insert(JOB_STORE_KEY.into(), url);
    }
    let options = ServerOptions::from_conf(&conf);
    let service_options = ServiceOptions::from_conf(&conf, arguments.data_dir.clone());
    conf.retain(|key, _| !is_secret(key));
    let engine_options = EngineOptions { conf, data_dir: arguments.data_dir };
    let engine = workers.spawn(Engine::new(engine_options)).await??;
    let runtimes = vec![workers.handle().clone(), Handle::current()];
    workers.spawn(crate::allocator::trim_when_idle(Arc::clone(engine.jobs()), runtimes));
    let server = Server::new(engine.clone(), options, workers.handle().clone());
    let shutdown = CancellationToken::new();
    tokio::spawn(watch_signals(shutdown.clone()));
    let rest = match http {
        Some(listener) => {
            addresses.rest = Some(listener.local_addr()?);
            let opened = Service::open(engine, service_options, workers.handle().clone());
            let service = opened.await.map_err(|error| error.to_string())?;
            Some(tokio::spawn(service.serve(listener, shutdown.clone())))
        }
        None => None,
    };
    // The listeners queue connections from here on, so whoever reads the file is answered.
    if let Some(file) = &arguments.ready_file {
        write_ready_file(file, &addresses)?;
    }
    tracing::info!("Spark Connect answers on {}", addresses.connect());
    if let Some(address) = addresses.rest() {
        tracing::info!("REST answers on {address}, with a page at {address}/docs");
    }
    server.serve(listener, shutdown).await?;
    if let Some(rest) = rest {
        rest.await??;
    }
    if let Some(file) = &arguments.ready_file {
        let _ = std::fs::remove_file(file);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Where the server answers.
struct Addresses {
    connect: SocketAddr,
    rest: Option<SocketAddr>,
    has_tls: bool,
}

impl Addresses {
    fn connect(&self) -> String {
        format!("sc://{}{}", self.connect, if self.has_tls { "/;use_ssl=true" } else { "" })
    }

    fn rest(&self) -> Option<String> {
        let scheme = if self.has_tls { "https" } else { "http" };
        self.rest.map(|address| format!("{scheme}://{address}"))
    }
}

async fn listen(address: SocketAddr, tls: Option<&Tls>, protocol: Protocol) -> Result<Listener, Box<dyn Error>> {
    let bound = Listener::bind(address, tls, protocol).await;
    bound.map_err(|error| format!("cannot listen on {address}: {error}").into())
}

/// Written beside and moved into place: a reader sees all of it or nothing.
fn write_ready_file(file: &Path, addresses: &Addresses) -> std::io::Result<()> {
    let mut object = serde_json::json!({ "connect": addresses.connect() });
    if let Some(address) = addresses.rest() {
        object["rest"] = address.into();
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, format!("{object}\n"))?;
    std::fs::rename(&partial, file)
}

/// The first signal begins the shutdown; a second one ends the process at once.
async fn watch_signals(shutdown: CancellationToken) {
    for begun in [false, true] {
        if let Err(error) = signal().await {
            tracing::warn!(%error, "signals cannot be watched");
            return;
        }
        if begun {
            std::process::exit(130);
        }
        tracing::info!("shutting down");
        shutdown.cancel();
    }
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
