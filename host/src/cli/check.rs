//! `tidegate check`

use std::path::Path;

use super::run::Text;
use super::{Failed, logging};
use crate::server;

/// Check a configuration and its plugins.
pub(super) fn check(path: &Path) -> Result<(), Failed> {
    check_text(&Text::from(path)?)
}

/// Check a configuration from wherever it comes.
pub(super) fn check_text(text: &Text) -> Result<(), Failed> {
    let config = text.load()?;
    server::check(&config)?;
    let counts = (config.sites.len(), config.routes.len(), config.upstreams.len(), config.plugins.len());
    logging::say(&format!(
        "{}: ok ({} sites, {} routes, {} upstreams, {} configured plugins)",
        text.label(),
        counts.0,
        counts.1,
        counts.2,
        counts.3
    ));
    Ok(())
}
