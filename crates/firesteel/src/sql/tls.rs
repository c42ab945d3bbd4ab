//! A channel to a server with a certificate that the system trusts (or `SSL_CERT_FILE`, as elsewhere).
use std::error::Error;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Uri};

type Failure = Box<dyn Error + Send + Sync>;

/// Connects to `host:port`.
pub async fn connect(place: &str) -> Result<Channel, Box<dyn Error>> {
    let connector = connector()?;
    // The scheme of what is in the tunnel.
    let endpoint = Channel::from_shared(format!("http://{place}"))?;
    let open = tower::service_fn(move |place: Uri| {
        let connector = connector.clone();
        async move { open(&connector, &place).await }
    });
    Ok(endpoint.connect_with_connector(open).await?)
}

async fn open(
    connector: &TlsConnector,
    place: &Uri,
) -> Result<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>, Failure> {
    let host = place.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, place.port_u16().unwrap_or_default())).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(connector.connect(ServerName::try_from(host.to_string())?, stream).await?))
}

fn connector() -> Result<TlsConnector, Box<dyn Error>> {
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
