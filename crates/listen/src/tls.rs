//! The server's certificate.
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// What is spoken on a port, as the handshake names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// HTTP/2, which gRPC needs
    Http2,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// A certificate and its key: TLS 1.2 and 1.3, with rustls and the cryptography that stores are reached with too.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// From PEM files: the certificate with what leads from it to its authority, and its key, without a password.
    pub fn of_files(certificate: &Path, key: &Path) -> Result<Self, String> {
        let chain: Vec<_> = read(certificate, "certificate", |file| CertificateDer::pem_file_iter(file)?.collect())?;
        if chain.is_empty() {
            return Err(format!("{} holds no certificate in PEM form", certificate.display()));
        }
        let private = read(key, "key", |file| PrivateKeyDer::from_pem_file(file))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
        match config {
            Ok(config) => Ok(Self(Arc::new(config))),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(format!("{} is not the key of the certificate {}", key.display(), certificate.display()))
            }
            Err(error) => {
                Err(format!("the certificate {} with the key {}: {error}", certificate.display(), key.display()))
            }
        }
    }

    pub(crate) fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = vec![protocol.name().to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

fn read<T>(file: &Path, what: &str, read: impl FnOnce(&Path) -> Result<T, pem::Error>) -> Result<T, String> {
    read(file).map_err(|error| match error {
        pem::Error::Io(error) => format!("the {what} {} cannot be read: {error}", file.display()),
        pem::Error::NoItemsFound => format!("{} holds no {what} in PEM form", file.display()),
        error => format!("the {what} {} is not in PEM form: {error}", file.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file() {
        let folder = std::env::temp_dir().join(format!("firesteel-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (missing, empty) = (folder.join("missing.pem"), folder.join("empty.pem"));
        std::fs::write(&empty, "no certificate\n").unwrap();
        let error = |certificate: &Path| Tls::of_files(certificate, &empty).err().unwrap();
        assert!(error(&missing).starts_with(&format!("the certificate {} cannot be read", missing.display())));
        assert_eq!(error(&empty), format!("{} holds no certificate in PEM form", empty.display()));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
