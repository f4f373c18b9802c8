//! TLS of one listener, as connections see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{BadTerms, Entry, Names, Settings, Terms, Wanted};

/// TLS of one listener.
#[derive(Debug)]
pub struct Served {
    pub(super) names: Names<Arc<Terms>>,
    settings: Settings,
    /// What was wanted for which terms, by which a reload finds those that stay.
    made: Vec<(Wanted, Arc<Terms>)>,
    /// Room for handshakes; none where there is no limit.
    pub(super) room: Option<Semaphore>,
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
        Ok(Self { names: found, settings: settings.clone(), made, room })
    }

    /// How long a handshake may take.
    pub fn handshake_timeout(&self) -> Duration {
        self.settings.handshake_timeout
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
