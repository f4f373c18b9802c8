//! Challenges that are open: what the data path answers while an order is under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use instant_acme::KeyAuthorization;
use parking_lot::Mutex;

use super::Challenge;
use crate::tls::server;

/// The challenges that are open now, of both kinds.
#[derive(Debug, Default)]
pub struct Challenges {
    /// How many tokens there are, so that a request looks no further where there is none.
    count: AtomicUsize,
    tokens: Mutex<HashMap<String, String>>,
    /// Those that are answered in handshakes.
    pub handshakes: Arc<server::Challenges>,
}

/// A challenge that can be answered until this is dropped.
pub(super) enum Open {
    /// Of HTTP.
    Token(Arc<Challenges>, String),
    /// Of TLS.
    Handshake {
        /// Held for its end.
        _open: server::Open,
    },
}

impl Challenges {
    /// What is answered to a request for a token (RFC 8555 §8.3); none where it is not open.
    pub fn answer(&self, token: &str) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.tokens.lock().get(token).cloned()
    }

    /// Answer a challenge from now on.
    pub(super) fn open(
        self: &Arc<Self>,
        kind: Challenge,
        name: &str,
        token: &str,
        authorization: &KeyAuthorization,
    ) -> Result<Open, String> {
        if kind == Challenge::TlsAlpn01 {
            let digest = <[u8; 32]>::try_from(authorization.digest().as_ref()).map_err(|error| error.to_string())?;
            return Ok(Open::Handshake { _open: self.handshakes.open(name, digest)? });
        }
        if self.tokens.lock().insert(token.to_owned(), authorization.as_str().to_owned()).is_none() {
            self.count.fetch_add(1, Ordering::Release);
        }
        Ok(Open::Token(Arc::clone(self), token.to_owned()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Self::Token(challenges, token) = self
            && challenges.tokens.lock().remove(token).is_some()
        {
            challenges.count.fetch_sub(1, Ordering::Release);
        }
    }
}
