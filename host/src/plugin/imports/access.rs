//! `tidegate:plugin/access`: what a grant binds a tunnel to, said beside the verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::wit::access::Host;
use crate::hook::{AccessTerms, Grant, LONGEST_LABEL, MOST_TAGS};
use crate::plugin::instance::Ctx;

/// What one call has said so far.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Said {
    terms: AccessTerms,
    /// The first thing that cannot be: what makes the answer a bad one if it is a grant.
    fault: Option<String>,
}

impl Said {
    /// The grant with what was said beside it.
    ///
    /// # Errors
    /// What was said that cannot be.
    pub(in crate::plugin) fn bind(&self, mut grant: Grant) -> Result<Grant, String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        grant.terms = (!self.terms.is_empty()).then(|| Box::new(self.terms.clone()));
        Ok(grant)
    }

    /// A label, or a fault that is noted.
    fn label(&mut self, what: &str, name: String) -> Option<String> {
        let good = (1..=LONGEST_LABEL).contains(&name.len()) && !name.chars().any(char::is_control);
        if !good {
            let fault = format!("a {what} has 1 to {LONGEST_LABEL} bytes and no control characters");
            self.fault.get_or_insert(fault);
        }
        good.then_some(name)
    }
}

impl Ctx {
    fn said(&mut self) -> wasmtime::Result<&mut Said> {
        self.meter.allow_call()?;
        self.access.as_mut().ok_or_else(|| {
            wasmtime::Error::msg("nothing can be granted here: `access` can be called in `authorizer.authorize` only")
        })
    }
}

impl Host for Ctx {
    fn subject(&mut self, name: String) -> wasmtime::Result<()> {
        let said = self.said()?;
        if let Some(name) = said.label("subject", name) {
            said.terms.subject = Some(name);
        }
        Ok(())
    }

    fn tag(&mut self, name: String) -> wasmtime::Result<()> {
        let said = self.said()?;
        let Some(name) = said.label("tag", name) else { return Ok(()) };
        if said.terms.tags.contains(&name) {
            return Ok(());
        }
        if said.terms.tags.len() == MOST_TAGS {
            said.fault.get_or_insert_with(|| format!("a grant has at most {MOST_TAGS} tags"));
            return Ok(());
        }
        said.terms.tags.push(name);
        Ok(())
    }

    fn expires_at(&mut self, unix_ms: u64) -> wasmtime::Result<()> {
        let said = self.said()?;
        // A time that the system cannot tell is never.
        let terms = AccessTerms { expires: time(unix_ms), ..AccessTerms::default() };
        said.terms.join(&terms);
        Ok(())
    }

    fn max_lifetime(&mut self, ms: u64) -> wasmtime::Result<()> {
        let terms = AccessTerms { lifetime: Some(Duration::from_millis(ms)), ..AccessTerms::default() };
        self.said()?.terms.join(&terms);
        Ok(())
    }

    fn max_message(&mut self, bytes: u64) -> wasmtime::Result<()> {
        self.said()?.terms.join(&AccessTerms { max_message: Some(bytes), ..AccessTerms::default() });
        Ok(())
    }

    fn is_renewal(&mut self) -> wasmtime::Result<bool> {
        self.said()?;
        Ok(self.view.as_ref().is_some_and(|view| view.is_renewal))
    }
}

fn time(unix_ms: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_cannot_be_make_a_bad_answer() {
        for name in ["", "a\nb", "\u{7f}", &"x".repeat(LONGEST_LABEL + 1)] {
            let mut said = Said::default();
            assert_eq!(said.label("tag", name.to_owned()), None, "{name:?}");
            assert!(said.bind(Grant::default()).unwrap_err().contains("a tag has"), "{name:?}");
        }
        let mut said = Said::default();
        let longest = "é".repeat(LONGEST_LABEL / 2);
        said.terms.subject = said.label("subject", longest.clone());
        assert_eq!(said.bind(Grant::default()).unwrap().terms.unwrap().subject, Some(longest));
        assert_eq!(Said::default().bind(Grant::default()).unwrap().terms, None);
    }
}
