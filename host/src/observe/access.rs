//! What came of tunnels that were bound by their grants.

use std::fmt::Write;

use super::metrics::{Count, header};

/// Tunnels that ended with their grants, and grants that were asked for again.
#[derive(Debug, Default)]
pub struct AccessTally {
    /// The grant was over, or the tunnel had lived as long as it might.
    pub expired: Count,
    /// The grant was revoked.
    pub revoked: Count,
    /// It was asked for again, and refused.
    pub denied: Count,
    /// It was asked for again, and given.
    pub renewed: Count,
    /// It was asked for again, and who was asked failed.
    pub failed: Count,
}

impl AccessTally {
    /// Prometheus text.
    pub(super) fn render(&self, out: &mut String) {
        let ended = "Tunnels that were closed because their grant ended, by how.";
        header(out, "tidegate_grants_ended_total", ended, "counter");
        for (cause, count) in [("expired", &self.expired), ("revoked", &self.revoked), ("denied", &self.denied)] {
            let _infallible = writeln!(out, "tidegate_grants_ended_total{{cause=\"{cause}\"}} {}", count.get());
        }
        let asked = "Times that authorizers were asked again about an open tunnel, by what came of it.";
        header(out, "tidegate_grants_renewals_total", asked, "counter");
        for (outcome, count) in [("granted", &self.renewed), ("denied", &self.denied), ("failed", &self.failed)] {
            let _infallible = writeln!(out, "tidegate_grants_renewals_total{{outcome=\"{outcome}\"}} {}", count.get());
        }
    }
}
