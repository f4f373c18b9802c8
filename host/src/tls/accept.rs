//! The handshake with a client.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Facts, Names, Terms};

/// Why there is no connection. Told in the log; the client got an alert where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", name.as_ref().map(|name| format!("for {name}: ")).unwrap_or_default())]
pub struct Refused {
    /// The name that the client asked for.
    pub name: Option<String>,
    /// What went wrong.
    pub error: io::Error,
}

/// Shake hands with a client by the terms of the name that it asks for.
///
/// # Errors
/// What the client sent is no TLS, or nothing that both sides want is common.
pub async fn accept(stream: TcpStream, names: &Names<Arc<Terms>>) -> Result<(TlsStream<TcpStream>, Facts), Refused> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
    let start = start.map_err(|error| Refused { name: None, error })?;
    let name = start.client_hello().server_name().map(str::to_owned);
    let terms = Arc::clone(names.find(name.as_deref()));
    let shaken = start.into_stream(Arc::clone(&terms.config)).await;
    let stream = shaken.map_err(|error| Refused { name, error })?;
    let facts = Facts::of(stream.get_ref().1, &terms);
    Ok((stream, facts))
}
