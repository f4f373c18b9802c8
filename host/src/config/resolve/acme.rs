//! `[acme]`, and the certificates that sites want of it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ca::acme::{Challenge, Eab, Settings, Wanted, Wish};
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::types::Listener;
use crate::config::{defaults, json};
use crate::tls::server::{Files, Identity, Staple};
use crate::tls::{self, Client, ClientSettings, Roots, Version};

/// What a certificate is called that is ordered.
pub(super) const ACME: &str = "acme";

/// The authority, and what has been wanted of it so far.
pub(super) struct Orders {
    /// Whether there is an `[acme]`.
    present: bool,
    /// None where it is wrong, too.
    wanted: Option<Wanted>,
}

impl Orders {
    /// Read `[acme]`.
    pub(super) fn read(root: &Reader<'_>) -> Self {
        let present = root.own(&k::ACME).is_some();
        let settings = if present { settings(&root.table(&k::ACME)) } else { None };
        let wanted = settings.map(|settings| Wanted { settings: Arc::new(settings), wishes: Vec::new() });
        Self { present, wanted }
    }

    /// A certificate for these names, which is said at `place`; what is there of it.
    pub(super) fn identity(
        &mut self,
        table: &Reader<'_>,
        place: &Text<'_>,
        names: &[String],
        staple: Staple,
    ) -> Option<Identity> {
        if !self.present {
            let hint = "add [acme] with `state` and `accept_terms = true`; a file of that name is \"./acme\"";
            table.cx.hinted(place.at, &place.path, "there is no [acme]", hint);
        }
        if let Staple::File(_) = &staple {
            let hint = "say `ocsp = \"fetch\"`, or leave it out";
            table.cx.hinted(
                place.at,
                &place.path,
                "a response in a file does not fit a certificate that changes",
                hint,
            );
            return None;
        }
        let (good, bad): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_host_name(name));
        for name in bad {
            let hint = "only whole host names can be proved by http-01 and tls-alpn-01";
            table.cx.hinted(place.at, &place.path, format!("no certificate is issued for \"{name}\""), hint);
        }
        if names.is_empty() {
            table.cx.problem(place.at, &place.path, "there are no names of a site to order a certificate for");
        }
        let wish = Wish::new(good.into_iter().map(|name| name.to_lowercase()).collect())?;
        let wanted = self.wanted.as_mut()?;
        let file = wanted.settings.certificate(&wish);
        wanted.add(wish);
        Identity::load(&Files::awaited(&file, staple)).ok()
    }

    /// Everything that is wanted; none where nothing is.
    pub(super) fn finish(self, root: &Reader<'_>, listeners: &[Listener]) -> Option<Wanted> {
        let wanted = self.wanted.filter(|wanted| !wanted.wishes.is_empty())?;
        if wanted.settings.challenge == Challenge::Http01
            && listeners.iter().all(|at| at.tls.is_some() || at.is_streams)
        {
            let table = root.table(&k::ACME);
            let hint = "add [[listeners]] for port 80, or say `challenge = \"tls-alpn-01\"`";
            table.cx.hinted(table.at, &table.path, "no listener without `tls` can answer http-01", hint);
        }
        Some(wanted)
    }
}

fn settings(table: &Reader<'_>) -> Option<Settings> {
    let directory = table.text(&k::ACME_DIRECTORY)?;
    if let Some(text) = table.placed(&k::ACME_DIRECTORY).filter(|text| !is_url(text.text, &["https"])) {
        table.cx.problem(text.at, &text.path, format!("\"{}\" is no URL of https", text.text));
    }
    if !table.flag(&k::ACME_TERMS) {
        let hint = "read them, then write `accept_terms = true`";
        table.cx.hinted(table.at, &table.path, "the authority's terms of service are not accepted", hint);
    }
    // All of them, so that all their problems are found.
    let (trust, eab) = (trust(table), eab(table));
    Some(Settings {
        directory: directory.to_owned(),
        contact: table.own_texts(&k::ACME_CONTACT).iter().map(contact).collect(),
        trust: trust?,
        challenge: match table.text(&k::ACME_CHALLENGE) {
            Some("tls-alpn-01") => Challenge::TlsAlpn01,
            _ => Challenge::Http01,
        },
        folder: Settings::folder(&table.cx.path(table.text(&k::ACME_STATE)?), directory),
        eab: eab?,
        retry: table.duration(&k::ACME_RETRY).unwrap_or(defaults::ACME_RETRY),
    })
}

/// A mail address is one without a scheme.
fn contact(text: &Text<'_>) -> String {
    if text.text.contains(':') { text.text.to_owned() } else { format!("mailto:{}", text.text) }
}

/// Whose certificate the authority's own server must have.
fn trust(table: &Reader<'_>) -> Option<Client> {
    let file = table.placed(&k::ACME_CA);
    let (at, path) = file.as_ref().map_or((table.at, table.path.clone()), |file| (file.at, file.path.clone()));
    let roots = match &file {
        Some(file) => {
            let name = table.cx.path(file.text);
            tls::certificates(&name).map(Roots::Trusted).map_err(|why| format!("{} {why}", name.display()))
        }
        None => Roots::of_the_system(),
    };
    let made = roots.and_then(|roots| {
        let settings = ClientSettings { roots, identity: None, versions: Version::ALL.to_vec() };
        Client::new(settings).map_err(|error| error.to_string())
    });
    made.map_err(|why| table.cx.problem(at, &path, why)).ok()
}

/// The linked account; none where what is said of it is wrong.
fn eab(table: &Reader<'_>) -> Option<Option<Eab>> {
    let (kid, key) = (table.own_placed(&k::ACME_EAB_KID), table.own(&k::ACME_EAB_KEY));
    let (kid, key) = match (kid, key) {
        (None, None) => return Some(None),
        (Some(kid), Some(key)) => (kid, key),
        (Some(kid), None) => {
            table.cx.problem(kid.at, &kid.path, "`eab_kid` and `eab_key` come together");
            return None;
        }
        (None, Some(key)) => {
            table.cx.problem(key.at(), &key.path, "`eab_kid` and `eab_key` come together");
            return None;
        }
    };
    let text = json::secret(table.cx, key.node, &key.path)?;
    match URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')) {
        Ok(bytes) if !bytes.is_empty() => Some(Some(Eab { kid: kid.text.to_owned(), key: bytes })),
        // Without the text: it is a secret.
        _ => {
            table.cx.problem(key.at(), &key.path, "is no base64url");
            None
        }
    }
}

/// Whether a text is a URL of one of these schemes.
pub(super) fn is_url(text: &str, schemes: &[&str]) -> bool {
    let url = text.parse::<http::Uri>().ok();
    let has = |url: &http::Uri| {
        url.scheme_str().is_some_and(|s| schemes.contains(&s)) && url.host().is_some_and(|h| !h.is_empty())
    };
    url.is_some_and(|url| has(&url))
}

/// Whether an authority can look at a name: letters, digits and hyphens between dots.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.len() < 64 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.len() < 254 && name.split('.').all(is_label) && name.parse::<std::net::IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_proved() {
        for (name, good) in [
            ("example.com", true),
            ("xn--bcher-kva.example", true),
            ("localhost", true),
            ("*.example.com", false),
            ("www.*", false),
            ("~^a", false),
            ("192.0.2.1", false),
            ("a..b", false),
            ("", false),
        ] {
            assert_eq!(is_host_name(name), good, "{name}");
        }
    }

    #[test]
    fn urls() {
        assert!(is_url("https://ca.test/dir", &["https"]) && is_url("http://ca.test:80", &["http", "https"]));
        assert!(!is_url("http://ca.test/dir", &["https"]) && !is_url("ca.test", &["https"]) && !is_url("", &["https"]));
    }
}
