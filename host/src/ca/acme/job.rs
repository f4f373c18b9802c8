//! One certificate that is kept: what there is of it, and when it is ordered next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{CertificateIdentifier, RenewalInfo};
use rustls::pki_types::{CertificateDer, Der};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Outlook, Settings, Wish, due};
use crate::tls::server::{Certified, Leaf};

/// An authority that does not say when it wants to be asked again is asked after this.
const ASK: Duration = Duration::from_secs(6 * 3600);
/// It is not asked more often than this: who renews because of its answer is not told to renew
/// again by the same answer.
const SELDOM: Duration = Duration::from_secs(86_400);
/// Nor believed to want to be asked more often than this.
const OFTEN: Duration = Duration::from_secs(60);

/// A certificate that is kept.
pub(super) struct Job {
    pub(super) settings: Arc<Settings>,
    pub(super) wish: Wish,
    /// How often an order failed since one went well.
    pub(super) failures: u32,
    error: Option<String>,
    seen: Option<SystemTime>,
    /// What is served now; none where there is nothing, or not for all names.
    leaf: Option<Leaf>,
    identifier: Option<CertificateIdentifier<'static>>,
    /// When it would be renewed.
    due: SystemTime,
    /// Not before this, after failures.
    retry: SystemTime,
    /// When the authority is asked when to renew (RFC 9773).
    ask: SystemTime,
    /// What the authority knows it by, where it wants to hear what is replaced.
    told: Option<CertificateIdentifier<'static>>,
    chance: f64,
}

impl Job {
    pub(super) fn new(settings: &Arc<Settings>, wish: &Wish) -> Self {
        let now = SystemTime::now();
        Self {
            settings: Arc::clone(settings),
            wish: wish.clone(),
            failures: 0,
            error: None,
            seen: None,
            leaf: None,
            identifier: None,
            due: now,
            retry: now,
            ask: now,
            told: None,
            chance: due::chance(),
        }
    }

    /// When something is to be done for it.
    pub(super) fn next(&self) -> SystemTime {
        self.due.max(self.retry)
    }

    /// Whether nobody has looked for so long.
    pub(super) fn is_unseen(&self, long: Duration) -> bool {
        self.seen.is_none_or(|seen| seen.elapsed().is_ok_and(|since| since >= long))
    }

    /// This is what there is.
    pub(super) fn saw(&mut self, certified: Option<&Certified>) {
        self.seen = Some(SystemTime::now());
        let covers = |leaf: &Leaf| self.wish.names().iter().all(|name| leaf.names.contains(name));
        let good = certified.filter(|certified| covers(&certified.leaf));
        let leaf = good.map(|certified| certified.leaf.clone());
        if leaf == self.leaf && leaf.is_some() {
            return;
        }
        self.due = leaf.as_ref().map_or_else(SystemTime::now, |leaf| due::renewal(leaf, self.chance));
        self.identifier = good.and_then(|good| identifier(good.chain().first()?));
        self.leaf = leaf;
        self.told = None;
    }

    /// What the authority is to be asked about now.
    pub(super) fn asks(&self) -> Option<CertificateIdentifier<'static>> {
        let asks = self.leaf.is_some() && self.ask <= SystemTime::now() && self.next() > SystemTime::now();
        self.identifier.clone().filter(|_| asks)
    }

    /// The authority has said when to renew it; none where it does not say.
    pub(super) fn was_told(
        &mut self,
        answer: Option<(RenewalInfo, Duration)>,
        identifier: CertificateIdentifier<'static>,
    ) {
        let again = answer.as_ref().map_or(ASK, |(_, again)| *again);
        self.ask = SystemTime::now() + again.clamp(OFTEN, SELDOM);
        let Some((info, _)) = answer else { return };
        let window = &info.suggested_window;
        self.due = due::within(window.start.unix_timestamp(), window.end.unix_timestamp(), self.chance);
        self.told = Some(identifier);
    }

    /// What the next order says that it replaces: said once, lest an authority that takes offence
    /// is asked the same again.
    pub(super) fn replaces(&mut self) -> Option<CertificateIdentifier<'static>> {
        self.told.take()
    }

    /// It was issued.
    pub(super) fn succeeded(&mut self, certified: &Certified) {
        (self.failures, self.error) = (0, None);
        // One that is to be renewed as soon as it is issued must not keep the authority busy.
        self.retry = SystemTime::now() + self.settings.retry;
        self.chance = due::chance();
        self.ask = SystemTime::now() + SELDOM;
        self.saw(Some(certified));
    }

    /// It was not. Returns how long is waited.
    pub(super) fn failed(&mut self, error: String, asked: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
        let wait = due::back_off(self.settings.retry, self.failures, asked, due::chance());
        self.retry = SystemTime::now() + wait;
        wait
    }

    /// When what is served expires, seconds since 1970.
    pub(super) fn expires(&self) -> Option<i64> {
        self.leaf.as_ref().map(|leaf| leaf.not_after)
    }

    pub(super) fn outlook(&self) -> Outlook {
        Outlook {
            names: self.wish.names().to_vec(),
            next: self.next(),
            failures: self.failures,
            error: self.error.clone(),
        }
    }
}

/// By what an authority knows a certificate (RFC 9773 §4.1).
fn identifier(der: &CertificateDer<'_>) -> Option<CertificateIdentifier<'static>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let authority = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    })?;
    let identifier =
        CertificateIdentifier::new(Der::from_slice(authority.0), Der::from_slice(certificate.raw_serial()));
    Some(identifier.into_owned())
}
