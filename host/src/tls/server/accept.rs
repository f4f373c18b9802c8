//! The handshake with a client.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Facts, Served};

/// Why there is no connection. Told in the log; the client got an alert where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", name.as_ref().map(|name| format!("for {name}: ")).unwrap_or_default())]
pub struct Refused {
    /// The name that the client asked for.
    pub name: Option<String>,
    /// What went wrong.
    pub error: io::Error,
}

impl Refused {
    fn new(name: Option<&str>, error: io::Error) -> Self {
        Self { name: name.map(str::to_owned), error }
    }
}

/// Shake hands with a client by the terms of the name that it asks for; none where it only looked
/// whether a challenge is answered.
///
/// # Errors
/// What the client sent is no TLS, nothing that both sides want is common, or it took too long.
pub async fn accept<IO>(stream: IO, served: &Served) -> Result<Option<(TlsStream<IO>, Facts)>, Refused>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let shaking = async {
        // The limit of the semaphore is never taken back, so this does not fail.
        let _room = match &served.room {
            Some(room) => room.acquire().await.ok(),
            None => None,
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
        let start = start.map_err(|error| Refused::new(None, error))?;
        let name = start.client_hello().server_name().map(str::to_owned);
        if let Some(challenge) = served.challenges.find(&start.client_hello()) {
            let shaken = start.into_stream(challenge).await;
            let mut stream = shaken.map_err(|error| Refused::new(name.as_deref(), error))?;
            tracing::info!(name, "a challenge over TLS was looked at");
            // RFC 8737 §3: nothing is said over it. Who looked may have left already.
            let _gone = stream.shutdown().await;
            return Ok(None);
        }
        let terms = Arc::clone(served.names.find(name.as_deref()));
        let shaken = start.into_stream(Arc::clone(&terms.config)).await;
        let stream = shaken.map_err(|error| Refused::new(name.as_deref(), error))?;
        let session = stream.get_ref().1;
        let facts = Facts::of(session, session.server_name(), &terms);
        Ok(Some((stream, facts)))
    };
    let late = |_elapsed| Refused::new(None, io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long"));
    tokio::time::timeout(served.handshake_timeout(), shaking).await.map_err(late)?
}
