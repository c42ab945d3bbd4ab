//! Where clients come in: a port, with TLS or without.
//!
//! ```text
//!  Listener::accept ─▶ Arrival ── open, in a task of its own: a handshake may take long ──▶ Connection
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod connection;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub use connection::Connection;
pub use tls::{Protocol, Tls};

/// For a client to say who it is and agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// Before the next try, when the system has refused a connection.
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);

/// A port that clients connect to.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Without `tls` clients talk in the clear.
    pub async fn bind(address: SocketAddr, tls: Option<&Tls>, protocol: Protocol) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address).await?, tls: tls.map(|tls| tls.acceptor(protocol)) })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The next client.
    pub async fn accept(&self) -> Arrival {
        loop {
            match self.tcp.accept().await {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    return Arrival { stream, tls: self.tls.clone() };
                }
                // Out of file descriptors, say: others may close theirs.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(REFUSAL_PAUSE).await;
                }
            }
        }
    }
}

/// A client whose handshake is still to come.
pub struct Arrival {
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
}

impl Arrival {
    /// `None`: the client broke off, took too long, or does not speak TLS.
    pub async fn open(self) -> Option<Connection> {
        let Some(tls) = self.tls else { return Some(Connection::Plain(self.stream)) };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(self.stream)).await {
            Ok(Ok(stream)) => Some(Connection::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}
