//! Certificates that change on disk: served from then on, without a reload and without that a
//! connection notices.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Files, Identity, Staple, Terms};

/// When files were written, and how long they are: what tells that they changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stamp([Option<(SystemTime, u64)>; 3]);

impl Stamp {
    /// That of the files as they are.
    pub(super) fn of(files: &Files) -> Self {
        let staple = match &files.staple {
            Staple::File(path) => Some(path.as_path()),
            Staple::Off | Staple::Fetch(_) => None,
        };
        Self::of_paths([Some(&files.certificate), Some(&files.key), staple])
    }

    /// That of some files.
    pub(super) fn of_paths(paths: [Option<&Path>; 3]) -> Self {
        let stamp = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        Self(paths.map(|path| path.and_then(stamp)))
    }
}

/// Looks for changes of the files of some terms.
#[derive(Debug)]
pub struct Renewal {
    terms: Arc<Terms>,
    /// Those of files that were refused, by identity: told of once.
    refused: Vec<Option<Stamp>>,
    /// The same of what clients are judged by.
    refused_to_judge: Option<Stamp>,
}

impl Renewal {
    /// Begin to look.
    pub fn new(terms: Arc<Terms>) -> Self {
        Self { terms, refused: Vec::new(), refused_to_judge: None }
    }

    /// Look once, and serve what is new. Reads files. What cannot be used is told of in the
    /// log, and what is served stays. Returns whether something else is served now.
    pub fn look(&mut self) -> bool {
        if let Some(verifier) = &self.terms.verifier {
            verifier.look(&mut self.refused_to_judge);
        }
        let now = self.terms.identities();
        self.refused.resize(now.len(), None);
        let mut changed = false;
        let mut renewed = Vec::with_capacity(now.len());
        for (identity, refused) in now.iter().zip(&mut self.refused) {
            match fresh(identity, refused) {
                Some(fresh) => {
                    changed = true;
                    renewed.push(fresh);
                }
                None => renewed.push(identity.clone()),
            }
        }
        if changed {
            self.terms.renew(renewed);
        }
        changed
    }
}

/// What the files hold now, if that is new and good.
fn fresh(identity: &Identity, refused: &mut Option<Stamp>) -> Option<Identity> {
    let stamp = Stamp::of(&identity.files);
    if stamp == identity.stamp || refused.as_ref() == Some(&stamp) {
        return None;
    }
    let file = identity.files.certificate.display();
    match Identity::load(&identity.files) {
        // What is awaited is not there yet, or of no use: who writes it tells of that.
        Ok(fresh) if fresh.served.is_none() => {
            *refused = Some(stamp);
            None
        }
        Ok(fresh) => {
            tracing::info!(%file, "a certificate was renewed");
            Some(fresh)
        }
        Err(error) => {
            // Certificate and key are two files: between the two writes they do not fit, and
            // the next look finds them whole.
            tracing::warn!(%file, %error, "a certificate on disk cannot be used; the one before stays");
            *refused = Some(stamp);
            None
        }
    }
}
