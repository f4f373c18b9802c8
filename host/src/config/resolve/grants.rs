//! `grants` of a plugin: what it may use besides the request that it is asked about.

use tidegate_cidr::Cidr;

use super::kv::Kept;
use super::upstream::{Upstreams, is_host};
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::types::{Grant, KvGranted, Services};
use crate::config::{Secret, defaults, suggest};

/// The services, each with what its grants look like.
const SERVICES: [(&str, &str); 5] = [
    ("http-client", USUAL),
    ("private", "such as \"private:10.0.0.0/8\""),
    ("kv", "such as \"kv:STORE\" or \"kv:STORE/PREFIX\""),
    ("secret", "such as \"secret:NAME\""),
    ("env", "such as \"env:NAME\""),
];
const USUAL: &str = "such as \"http-client:upstream:NAME\" or \"http-client:http://127.0.0.1:9000\"";
pub(super) const UNNAMEABLE: &str = "an upstream with `/`, `?` or `#` in its name cannot be asked by a plugin";

/// Whether a URL with this upstream in it ends the name where it ends.
pub(super) fn is_nameable(upstream: &str) -> bool {
    !upstream.contains(['/', '?', '#'])
}

impl Default for Services {
    fn default() -> Self {
        let max_fetches = usize::try_from(defaults::MAX_FETCHES).unwrap_or(usize::MAX);
        Self { kv: Vec::new(), secrets: Vec::new(), environment: Vec::new(), private: Vec::new(), max_fetches }
    }
}

/// The grants of a plugin of this name: destinations, and the rest.
pub(super) fn read(table: &Reader<'_>, plugin: &str, upstreams: &mut Upstreams, kept: &Kept) -> (Vec<Grant>, Services) {
    let (mut grants, mut services) = (Vec::new(), Services::default());
    if let Some(most) = table.count(&k::MAX_FETCHES) {
        services.max_fetches = usize::try_from(most).unwrap_or(usize::MAX);
    }
    for text in table.own_texts(&k::GRANTS) {
        let reading = Granting { table, text: &text };
        let Some((service, what)) = text.text.split_once(':') else {
            reading.no_grant(text.text);
            continue;
        };
        match service {
            "http-client" => grants.extend(reading.destination(upstreams, what)),
            "private" => match Cidr::parse(what) {
                Ok(range) => services.private.push(range),
                Err(why) => reading.refuse(&format!("\"{what}\" {why}"), "such as \"private:10.0.0.0/8\""),
            },
            "kv" => services.kv.extend(reading.store(plugin, kept, what, &services.kv)),
            "secret" => services.secrets.extend(reading.secret(kept, what).map(|secret| (what.into(), secret))),
            "env" => services.environment.extend(reading.variable(what).map(|value| (what.to_owned(), value))),
            other => reading.no_grant(other),
        }
    }
    (grants, services)
}

/// One grant in the reading.
struct Granting<'t, 'a> {
    table: &'t Reader<'a>,
    text: &'t Text<'a>,
}

impl Granting<'_, '_> {
    fn refuse(&self, message: &str, hint: &str) {
        self.table.cx.hinted(self.text.at, &self.text.path, message, hint);
    }

    /// It names no service, or a service alone.
    fn no_grant(&self, service: &str) {
        let known = SERVICES.iter().find(|(name, _)| *name == service);
        let usual = known.map_or_else(
            || suggest::hint(service, SERVICES.map(|(name, _)| name), USUAL),
            |(_, usual)| (*usual).to_owned(),
        );
        self.refuse(&format!("\"{}\" is not a grant", self.text.text), &usual);
    }

    fn destination(&self, upstreams: &mut Upstreams, destination: &str) -> Option<Grant> {
        let whole = "/".to_owned();
        if let Some(name) = destination.strip_prefix("upstream:") {
            if upstreams.named(name).is_some() && !is_nameable(name) {
                self.refuse(UNNAMEABLE, "give the upstream a plain name");
                return None;
            }
            let (name, path) = name.split_once('/').map_or((name, whole), |(name, path)| (name, format!("/{path}")));
            return match upstreams.named(name) {
                Some(_) if !is_nameable(name) => {
                    self.refuse(UNNAMEABLE, "give the upstream a plain name");
                    None
                }
                Some(upstream) => {
                    let destination = format!("upstream:{name}");
                    Some(Grant { destination, path: self.path(path)?, by_name: false, upstream })
                }
                None => {
                    let message = format!("no upstream named \"{name}\"");
                    self.refuse(&message, &suggest::hint(name, upstreams.names(), USUAL));
                    None
                }
            };
        }
        let Some((scheme, rest)) = destination.split_once("://") else {
            self.refuse(&format!("\"{destination}\" is not a destination"), USUAL);
            return None;
        };
        let (place, path) = rest.split_once('/').map_or((rest, whole), |(place, path)| (place, format!("/{path}")));
        if place.contains(['?', '#', '@', '*']) {
            self.refuse("a destination is scheme, host and port, and what paths begin with", USUAL);
            return None;
        }
        let path = self.path(path)?;
        // Unknown schemes are refused there, as for a route's upstream.
        let origin = format!("{scheme}://{place}");
        let wanted = Text { text: &origin, path: self.text.path.clone(), at: self.text.at };
        let upstream = upstreams.find(self.table, &wanted)?;
        let address = upstreams.list.get(upstream).map(|upstream| upstream.name.to_ascii_lowercase())?;
        let host = address.strip_prefix("https://").unwrap_or(&address);
        let by_name = is_host(host.rsplit_once(':').map_or(host, |(host, _)| host));
        let scheme = if address.starts_with("https://") { "" } else { "http://" };
        Some(Grant { destination: format!("{scheme}{address}"), path, by_name, upstream })
    }

    /// What paths begin with.
    fn path(&self, path: String) -> Option<String> {
        let is_plain = path.bytes().all(|b| b > b' ' && !matches!(b, b'?' | b'#' | b'%' | b'*' | b'\\' | 0x7f..));
        let has_dots = path.split('/').any(|part| part == "." || part == "..");
        if is_plain && !has_dots {
            return Some(path);
        }
        self.refuse(
            &format!("\"{path}\" is not the beginning of a path"),
            "plain ASCII, without `%`, `?`, `*`, `.` and `..`",
        );
        None
    }

    fn store(&self, plugin: &str, kept: &Kept, what: &str, before: &[KvGranted]) -> Option<KvGranted> {
        let (name, prefix) = what.split_once('/').map_or((what, None), |(name, prefix)| (name, Some(prefix)));
        let Some(store) = kept.stores.iter().position(|store| &*store.name == name) else {
            if !kept.named.iter().any(|known| &**known == name) {
                let hint =
                    suggest::hint(name, kept.named.iter().map(|name| &**name), &format!("define it in [kv.{name}]"));
                self.refuse(&format!("no store named \"{name}\""), &hint);
            }
            return None;
        };
        if before.iter().any(|granted| &*granted.name == name) {
            self.refuse(&format!("the store \"{name}\" is granted already"), "a plugin has one prefix in a store");
            return None;
        }
        let prefix = prefix.map_or_else(|| format!("{plugin}:"), str::to_owned);
        Some(KvGranted { store, name: name.into(), prefix: prefix.into() })
    }

    fn secret(&self, kept: &Kept, name: &str) -> Option<Secret> {
        if let Some(secret) = kept.secrets.get(name) {
            return secret.clone();
        }
        let hint = suggest::hint(
            name,
            kept.secrets.keys().map(|name| &**name),
            &format!("write [secrets] {name} = {{ from_file = \"…\" }}"),
        );
        self.refuse(&format!("no secret named \"{name}\""), &hint);
        None
    }

    fn variable(&self, name: &str) -> Option<Secret> {
        if name.is_empty() || name.contains(['=', '\0']) {
            self.refuse(&format!("\"{name}\" is not the name of an environment variable"), "such as \"env:TZ\"");
            return None;
        }
        let value = std::env::var(name).ok();
        if value.is_none() {
            self.refuse(&format!("the environment variable {name} is not set, or is not UTF-8"), "leave the grant out");
        }
        value.map(Secret::from)
    }
}
