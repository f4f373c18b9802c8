//! Which stream a connection is for, if any: by the hello of its TLS client.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::hello::Hello;
use super::peek::{Seen, peek};
use super::serve::{self, Refusal};
use super::{Arrived, Found, Here, Stream};
use crate::proxy::Proxy;
use crate::tls::server::Served;

/// Where a connection goes.
pub enum Chosen {
    /// To a stream, as it is, with what its client has asked for.
    Stream(Arc<Stream>, Option<Hello>),
    /// To a stream, once TLS is terminated.
    Terminated(Arc<Stream>),
    /// To no stream: it is HTTP's.
    Http,
    /// Nowhere: it is to be closed.
    Nowhere,
}

/// Choose. `served` is the listener's TLS, if it has any. The first bytes are looked at only where
/// they matter, and stay to be read.
pub async fn choose(
    here: &Here,
    stream: &TcpStream,
    arrived: &Arrived<'_>,
    served: Option<&Served>,
    proxy: &Arc<Proxy>,
    mut draining: watch::Receiver<bool>,
) -> Chosen {
    if !here.prereads {
        return here.rest(None, served.is_some());
    }
    let patience = served.map_or(here.patience, Served::handshake_timeout);
    let looking = async {
        // Who is asked for a hello takes part in the handshakes at once.
        let _room = match served {
            Some(served) => served.enter().await,
            None => None,
        };
        peek(stream).await
    };
    let seen = tokio::select! {
        biased;
        seen = timeout(patience, looking) => seen,
        // The sender lives as long as the worker.
        _drains = draining.wait_for(|draining| *draining) => return Chosen::Nowhere,
    };
    let refusal = match seen {
        Ok(Ok(Seen::Hello(hello))) => return here.by_hello(hello, served.is_some()),
        Ok(Ok(Seen::Other)) => return here.rest(None, served.is_some()),
        // rustls says so to the client, by an alert.
        Ok(Ok(Seen::TooLong)) if served.is_some() => return here.rest(None, true),
        Ok(Ok(Seen::TooLong)) => Refusal::HelloTooLong,
        Ok(Ok(Seen::Left) | Err(_)) => Refusal::Left,
        Err(_elapsed) => Refusal::HelloTooSlow,
    };
    match served {
        // As where TLS alone is spoken: told in the process's log.
        Some(_) if refusal == Refusal::Left => {}
        Some(_) => tracing::info!(client = %arrived.client.address, reason = refusal.code(), "no TLS handshake"),
        None => serve::refuse(&here.first, arrived, refusal, proxy),
    }
    Chosen::Nowhere
}

impl Here {
    fn by_hello(&self, hello: Hello, terminates: bool) -> Chosen {
        let name = hello.server_name.as_deref();
        let takes = |wanted: &&super::ByAlpn| {
            let offered = |protocol: &[u8]| wanted.protocols.iter().any(|one| **one == *protocol);
            wanted.names.as_ref().is_none_or(|names| *names.find(name)) && hello.alpn().any(offered)
        };
        if let Some(found) = self.by_alpn.iter().find(takes) {
            return Chosen::Stream(Arc::clone(&found.stream), Some(hello));
        }
        match self.names.find(name) {
            Found::Stream(stream) => Chosen::Stream(Arc::clone(stream), Some(hello)),
            Found::Site => Chosen::Http,
            Found::Nobody => self.rest(Some(hello), terminates),
        }
    }

    /// What no name leads to.
    fn rest(&self, hello: Option<Hello>, terminates: bool) -> Chosen {
        match &self.rest {
            None => Chosen::Http,
            Some(stream) if terminates => Chosen::Terminated(Arc::clone(stream)),
            Some(stream) => Chosen::Stream(Arc::clone(stream), hello),
        }
    }
}
