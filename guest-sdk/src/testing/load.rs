//! What peers serve, for tests of balancers.

/// What the peers of a group serve, as [`crate::peers`] tells it. A peer that is not named
/// cannot be picked.
#[derive(Debug, Clone, Default)]
pub struct Load {
    active: Vec<(u32, u32)>,
    tried: Vec<u32>,
    elsewhere: u32,
}

impl Load {
    /// No peer can be picked.
    pub fn new() -> Self {
        Self::default()
    }

    /// This peer can be picked, and serves so much. Said again, the later one counts.
    #[must_use]
    pub fn peer(mut self, id: u32, active: u32) -> Self {
        self.active.retain(|(known, _)| *known != id);
        self.active.push((id, active));
        self
    }

    /// This peer was tried for the request already.
    #[must_use]
    pub fn tried(mut self, id: u32) -> Self {
        self.tried.push(id);
        self
    }

    /// What peers serve that cannot be picked, or have left.
    #[must_use]
    pub fn elsewhere(mut self, active: u32) -> Self {
        self.elsewhere = active;
        self
    }

    pub(super) fn active(&self, id: u32) -> Option<u32> {
        let found = self.active.iter().find(|(known, _)| *known == id);
        found.filter(|_| !self.tried.contains(&id)).map(|(_, active)| *active)
    }

    pub(super) fn total(&self) -> u32 {
        self.active.iter().fold(self.elsewhere, |sum, (_, active)| sum.saturating_add(*active))
    }

    pub(super) fn ids_tried(&self) -> &[u32] {
        &self.tried
    }
}
