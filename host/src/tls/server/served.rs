//! TLS of one listener, as connections see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::quic::ByName;
use super::{BadTerms, Challenges, Entry, Names, Settings, Staple, Terms, Wanted};

/// TLS of one listener.
#[derive(Debug)]
pub struct Served {
    pub(super) names: Arc<Names<Arc<Terms>>>,
    settings: Settings,
    /// What was wanted for which terms, by which a reload finds those that stay.
    made: Vec<(Wanted, Arc<Terms>)>,
    /// Room for handshakes; none where there is no limit.
    pub(super) room: Option<Semaphore>,
    /// Challenges that are answered instead of a handshake.
    pub(super) challenges: Arc<Challenges>,
}

impl Served {
    /// Make ready what holds for names and, at last, for others. What `before` has and stays as
    /// it is goes on, so that its sessions can be resumed.
    ///
    /// # Errors
    /// The first that cannot be.
    pub fn new(
        settings: &Settings,
        names: &[(Entry, Wanted)],
        default: &Wanted,
        before: Option<&Self>,
        challenges: &Arc<Challenges>,
    ) -> Result<Self, BadTerms> {
        let before = before.filter(|before| before.settings == *settings).map_or(&[][..], |before| &before.made);
        let mut made: Vec<(Wanted, Arc<Terms>)> = Vec::new();
        let mut terms = |wanted: &Wanted| {
            if let Some((_, terms)) = made.iter().chain(before).find(|(other, _)| other == wanted) {
                let terms = Arc::clone(terms);
                made.push((wanted.clone(), Arc::clone(&terms)));
                return Ok::<_, BadTerms>(terms);
            }
            let kin = before.iter().find(|(other, _)| other.is_renewed_by(wanted)).map(|(_, terms)| &**terms);
            let terms = Arc::new(Terms::new(wanted, settings, kin)?);
            made.push((wanted.clone(), Arc::clone(&terms)));
            Ok(terms)
        };
        let mut found = Names::new(terms(default)?);
        for (name, wanted) in names {
            found.insert(name, terms(wanted)?);
        }
        let room = settings.max_handshakes.map(|most| Semaphore::new(most as usize));
        Ok(Self { names: Arc::new(found), settings: settings.clone(), made, room, challenges: Arc::clone(challenges) })
    }

    /// How long a handshake may take.
    pub fn handshake_timeout(&self) -> Duration {
        self.settings.handshake_timeout
    }

    /// The same for connections of QUIC; none where rustls has no suite for their first packets.
    pub fn quic(&self) -> Option<Arc<dyn quinn::crypto::ServerConfig>> {
        Some(Arc::new(ByName::new(Some(&self.names))?))
    }

    /// A place among the handshakes that are under way at once; none where they are not limited.
    pub async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so this does not fail.
        self.room.as_ref()?.acquire().await.ok()
    }

    /// How often files of certificates are looked at for changes.
    pub fn renew_every(&self) -> Duration {
        self.settings.renew
    }

    /// Whether some certificate's OCSP response is to be asked for.
    pub fn fetches(&self) -> bool {
        let mut files = self.made.iter().flat_map(|(wanted, _)| &wanted.identities).map(|identity| &identity.files);
        files.any(|files| matches!(files.staple, Staple::Fetch(_)))
    }

    /// All terms, each once.
    pub fn terms(&self) -> Vec<Arc<Terms>> {
        let mut all: Vec<Arc<Terms>> = Vec::new();
        for (_, terms) in &self.made {
            if !all.iter().any(|other| Arc::ptr_eq(other, terms)) {
                all.push(Arc::clone(terms));
            }
        }
        all
    }
}
