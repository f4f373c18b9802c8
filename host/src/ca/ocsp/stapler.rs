//! Keeps responses at hand for the certificates that are served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http::header::ACCEPT;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::check::{Bad, check};
use super::question::{Question, responder};
use crate::ca::http::{Failed, send};
use crate::tls::server::{Certified, Fetch, Staple, Terms};

/// How long a response without an end is stapled, and after which part of that it is asked for anew.
const ENDLESS: Duration = Duration::from_secs(86_400);
/// nginx refreshes such a response each hour.
const HOUR: Duration = Duration::from_secs(3600);
/// The first wait after a failure; each one that follows is twice as long, to an hour.
const RETRY: Duration = Duration::from_secs(1);
/// A response that is good for less is asked for no more often.
const LEAST: Duration = Duration::from_secs(1);

/// Responses by certificate and responder. They outlive reloads.
#[derive(Debug, Default)]
pub struct Stapler(Mutex<HashMap<[u8; 32], Known>>);

/// What is known of one certificate.
#[derive(Debug, Clone)]
struct Known {
    /// The response, and until when it holds.
    good: Option<(Vec<u8>, SystemTime)>,
    /// When it is asked for again.
    next: SystemTime,
    failures: u32,
}

/// Why nothing is stapled.
#[derive(Debug, thiserror::Error)]
enum Unstapled {
    #[error("the chain has no certificate of the issuer")]
    NoIssuer,
    #[error("the certificate names no OCSP responder, and `ocsp_responder` neither")]
    NoResponder,
    #[error("{0} is no URL of http")]
    Url(String),
    #[error("the responder answers with a status of {0}")]
    Status(u16),
    #[error(transparent)]
    Http(#[from] Failed),
    #[error(transparent)]
    Bad(#[from] Bad),
}

impl Stapler {
    /// Staple what responders say to these terms' handshakes, until this is dropped. `renewed`
    /// tells that certificates have changed.
    pub async fn keep(self: Arc<Self>, terms: Vec<Arc<Terms>>, mut renewed: watch::Receiver<()>) {
        loop {
            let mut next = SystemTime::now() + HOUR;
            for terms in &terms {
                for identity in terms.identities().iter() {
                    if let (Staple::Fetch(how), Some(served)) = (&identity.files.staple, identity.served()) {
                        next = next.min(self.tend(how, served).await);
                    }
                }
            }
            // What was known of certificates that nobody serves any more.
            let now = SystemTime::now();
            self.0.lock().retain(|_, known| known.next + ENDLESS * 2 > now);
            let wait = next.duration_since(SystemTime::now()).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(wait.max(LEAST / 10)) => {}
                Ok(()) = renewed.changed() => {}
            }
        }
    }

    /// See to one certificate; returns when to look again.
    async fn tend(&self, how: &Fetch, served: &Certified) -> SystemTime {
        let chain = served.chain();
        let mark = mark(&chain, how);
        let known = self.0.lock().get(&mark).cloned();
        let now = SystemTime::now();
        let mut known = known.unwrap_or(Known { good: None, next: now, failures: 0 });
        known.good = known.good.filter(|(_, until)| *until > now);
        // After a reload nothing is stapled yet, though it is known what to staple.
        served.staple(known.good.as_ref().map(|(response, _)| response.clone()));
        if known.next <= now {
            let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
            match ask(leaf, chain.get(1).map(AsRef::as_ref), how).await {
                Ok(answer) => known.take(answer, SystemTime::now()),
                Err(error) => known.lose(&error, &served.leaf.names, SystemTime::now()),
            }
            served.staple(known.good.as_ref().map(|(response, _)| response.clone()));
        }
        let next = known.good.as_ref().map_or(known.next, |(_, until)| known.next.min(*until));
        self.0.lock().insert(mark, known);
        next
    }
}

impl Known {
    /// The responder has said something good.
    fn take(&mut self, answer: Answer, now: SystemTime) {
        let until = answer.next_update.unwrap_or(now + ENDLESS);
        let half = answer.this_update + until.duration_since(answer.this_update).unwrap_or_default() / 2;
        // Some give the same response for a long time: half of what is left of it then.
        let half = if half > now { half } else { now + until.duration_since(now).unwrap_or_default() / 2 };
        self.next = if answer.next_update.is_none() { now + HOUR } else { half.max(now + LEAST) };
        self.failures = 0;
        self.good = Some((answer.response, until));
    }

    /// It has not. What is stapled stays until its end, unless the certificate is revoked.
    fn lose(&mut self, error: &Unstapled, names: &[String], now: SystemTime) {
        let names = names.join(", ");
        let wait = RETRY.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(HOUR);
        self.failures = self.failures.saturating_add(1);
        self.next = now + wait;
        if matches!(error, Unstapled::Bad(Bad::Revoked)) {
            self.good = None;
            tracing::error!(%names, "the responder says that the certificate is revoked: nothing is stapled");
            return;
        }
        let stapled = self.good.is_some();
        tracing::warn!(%names, %error, again_in = wait.as_secs(), stapled, "no OCSP response");
    }
}

/// By what a certificate and how it is asked for are known.
fn mark(chain: &[rustls::pki_types::CertificateDer<'_>], how: &Fetch) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in chain.iter().take(2) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update([u8::from(how.verify)]);
    hash.update(how.responder.as_deref().unwrap_or_default());
    hash.finalize().into()
}

/// A response that may be stapled.
struct Answer {
    response: Vec<u8>,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
}

async fn ask(leaf: &[u8], issuer: Option<&[u8]>, how: &Fetch) -> Result<Answer, Unstapled> {
    let question = Question::about(leaf, issuer.ok_or(Unstapled::NoIssuer)?).map_err(Bad::from)?;
    let place = how.responder.clone().or_else(|| responder(leaf)).ok_or(Unstapled::NoResponder)?;
    let url = question.url(&place).map_err(Bad::from)?;
    let request = Request::get(&url).header(ACCEPT, "application/ocsp-response").body(Bytes::new());
    let answer = send(None, request.map_err(|_url| Unstapled::Url(place))?).await?;
    if !answer.status().is_success() {
        return Err(Unstapled::Status(answer.status().as_u16()));
    }
    let response = answer.into_body().to_vec();
    let good = check(&response, &question, how.verify, SystemTime::now())?;
    Ok(Answer { response, this_update: good.this_update, next_update: good.next_update })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn known() -> Known {
        Known { good: None, next: NOW, failures: 0 }
    }

    fn answer(from: u64, to: Option<u64>) -> Answer {
        let at = |seconds| NOW + Duration::from_secs(seconds);
        Answer { response: b"yes".to_vec(), this_update: at(from), next_update: to.map(at) }
    }

    #[test]
    fn asked_again_at_half_time() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let mut known = known();
        known.take(answer(0, Some(8 * 3600)), NOW + hours(1));
        assert_eq!((known.next, known.good.clone().unwrap().1), (NOW + hours(4), NOW + hours(8)));
        known.take(answer(0, Some(8 * 3600)), NOW + hours(6));
        assert_eq!(known.next, NOW + hours(7), "half of what is left");
        known.take(answer(0, None), NOW + hours(6));
        assert_eq!((known.next, known.good.clone().unwrap().1), (NOW + hours(7), NOW + hours(6) + ENDLESS));
        known.take(answer(0, Some(2)), NOW + Duration::from_millis(1900));
        assert_eq!(known.next, NOW + Duration::from_millis(2900), "not too often");
    }

    #[test]
    fn failures_are_waited_for_and_only_a_revocation_ends_a_response() {
        let mut known = known();
        known.take(answer(0, Some(3600)), NOW);
        let waits: Vec<u64> = (0..14)
            .map(|_| {
                known.lose(&Unstapled::NoIssuer, &[], NOW);
                known.next.duration_since(NOW).unwrap().as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert!(known.good.is_some());
        known.lose(&Unstapled::Bad(Bad::Revoked), &[], NOW);
        assert!(known.good.is_none());
    }
}
