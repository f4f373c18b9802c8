//! How connections to the peers of an upstream are made: TLS, and the address to connect from.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::document::Value;
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::reader::{Reader, Text};
use crate::config::resolve::tcp;
use crate::config::types::{Dial, PeerTls};
use crate::proxy_protocol;
use crate::tls::{self, Client, ClientSettings, Identity, Roots, ServerName, Unusable, Version};

/// What one upstream says of it.
#[derive(Default)]
pub(super) struct Dialing {
    tls: Option<Tls>,
    bind: Option<IpAddr>,
    tcp_keepalive: bool,
    congestion_control: Option<Arc<str>>,
    proxy_protocol: Option<proxy_protocol::Version>,
}

struct Tls {
    client: Client,
    /// What every peer is called; none where each has a name of its own.
    name: Option<ServerName<'static>>,
}

impl Dialing {
    /// What an upstream's table says.
    pub(super) fn read(table: &Reader<'_>) -> Self {
        let proxy_protocol = table.text(&k::UPSTREAM_PROXY_PROTOCOL).and_then(|version| match version {
            "v1" => Some(proxy_protocol::Version::V1),
            "v2" => Some(proxy_protocol::Version::V2),
            _ => None,
        });
        Self {
            tls: tls(table, &k::UPSTREAM_TLS),
            bind: bind(table),
            tcp_keepalive: table.flag(&k::TCP_KEEPALIVE),
            congestion_control: tcp::congestion_control(table),
            proxy_protocol,
        }
    }

    /// TLS with all defaults.
    ///
    /// # Errors
    /// Where the system trusts nobody, with the reason.
    pub(super) fn tls() -> Result<Self, String> {
        let settings = ClientSettings { roots: Roots::of_the_system()?, identity: None, versions: default_versions() };
        let client = Client::new(settings).map_err(|error| error.to_string())?;
        Ok(Self { tls: Some(Tls { client, name: None }), ..Self::default() })
    }

    /// How a peer at `address` (as it is written) is connected to; none where TLS has no name for
    /// it, which is then a problem.
    pub(super) fn to(&self, reader: &Reader<'_>, address: &str, place: &Text<'_>) -> Option<Arc<Dial>> {
        let tls = match &self.tls {
            None => None,
            Some(Tls { client, name: Some(name) }) => Some(PeerTls { client: client.clone(), name: name.clone() }),
            Some(Tls { client, name: None }) => {
                let host = host(address);
                let Ok(name) = ServerName::try_from(host.to_owned()) else {
                    let message = format!("\"{host}\" is not a name that a certificate can have");
                    reader.cx.hinted(place.at, &place.path, message, "write `tls = { name = \"…\" }`");
                    return None;
                };
                Some(PeerTls { client: client.clone(), name })
            }
        };
        Some(Arc::new(Dial {
            tls,
            bind: self.bind,
            tcp_keepalive: self.tcp_keepalive,
            congestion_control: self.congestion_control.clone(),
            proxy_protocol: self.proxy_protocol,
        }))
    }
}

/// TLS with `address` by this key of this table, or with all defaults where it has none; none
/// where that is wrong, which is reported.
pub(in crate::config::resolve) fn peer_tls(
    table: &Reader<'_>,
    key: &Key,
    address: &str,
    place: &Text<'_>,
) -> Option<PeerTls> {
    let dialing = match table.own(key) {
        Some(_) => Dialing { tls: Some(tls(table, key)?), ..Dialing::default() },
        None => match Dialing::tls() {
            Ok(dialing) => dialing,
            Err(why) => {
                table.cx.hinted(place.at, &place.path, why, "write `tls = { ca = … }`");
                return None;
            }
        },
    };
    dialing.to(table, address, place)?.tls.clone()
}

/// The host of `HOST:PORT`. nginx calls a Unix socket `localhost`.
fn host(address: &str) -> &str {
    if address.starts_with("unix:") {
        return "localhost";
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    // A dot at the end, as in DNS, is no part of what certificates say (RFC 6066 §3).
    host.trim_start_matches('[').trim_end_matches([']', '.'])
}

fn bind(table: &Reader<'_>) -> Option<IpAddr> {
    let bind = table.placed(&k::BIND).filter(|bind| !bind.text.is_empty())?;
    let read = bind.text.parse();
    if read.is_err() {
        let message = format!("\"{}\" is not an IP address", bind.text);
        table.cx.hinted(bind.at, &bind.path, message, "such as \"10.0.0.5\", without a port");
    }
    read.ok()
}

/// `tls` of an upstream or a store; none where it is off, or wrong and reported.
fn tls(table: &Reader<'_>, key: &Key) -> Option<Tls> {
    let item = table.own(key)?;
    if !matches!(item.node.value, Value::Flag(true) | Value::Table(_)) {
        return None;
    }
    let table = table.table(key);
    let name = table.placed(&k::TLS_NAME).filter(|name| !name.text.is_empty()).and_then(|name| {
        let read = ServerName::try_from(name.text.to_owned());
        if read.is_err() {
            let message = format!("\"{}\" is not a host name or IP address", name.text);
            table.cx.problem(name.at, &name.path, message);
        }
        read.ok()
    });
    // All of them, so that all their problems are found.
    let (roots, identity, versions) = (roots(&table, &item.path, item.at()), identity(&table), versions(&table));
    let settings = ClientSettings { roots: roots?, identity: identity?, versions: versions? };
    match Client::new(settings) {
        Ok(client) => Some(Tls { client, name }),
        Err(error) => {
            let at = match &error {
                Unusable::Roots(_) => table.placed(&k::TLS_CA),
                Unusable::Identity(_) => table.placed(&k::TLS_CERTIFICATE),
                Unusable::Other(_) => None,
            };
            match at {
                Some(text) => refuse(&table, &text, error),
                None => table.cx.problem(item.at(), &item.path, error.to_string()),
            }
            None
        }
    }
}

/// A file is not what it should be.
fn refuse(table: &Reader<'_>, file: &Text<'_>, why: impl Display) {
    table.cx.problem(file.at, &file.path, format!("{} {why}", table.cx.path(file.text).display()));
}

fn roots(table: &Reader<'_>, path: &str, at: usize) -> Option<Roots> {
    let file = table.placed(&k::TLS_CA).filter(|file| !file.text.is_empty());
    if !table.flag(&k::TLS_VERIFY) {
        if let Some(file) = &file {
            table.cx.problem(file.at, &file.path, "is of no use with `verify = false`");
        }
        return Some(Roots::Unchecked);
    }
    match file {
        Some(file) => match tls::certificates(&table.cx.path(file.text)) {
            Ok(certificates) => Some(Roots::Trusted(certificates)),
            Err(why) => {
                refuse(table, &file, why);
                None
            }
        },
        None => match Roots::of_the_system() {
            Ok(roots) => Some(roots),
            Err(why) => {
                table.cx.hinted(at, path, why, "write `ca`");
                None
            }
        },
    }
}

/// The proxy's own certificate; none where it is wrong.
fn identity(table: &Reader<'_>) -> Option<Option<Identity>> {
    let (certificate, key) = match (table.placed(&k::TLS_CERTIFICATE), table.placed(&k::TLS_KEY)) {
        (None, None) => return Some(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(alone), None) => {
            table.cx.problem(alone.at, &alone.path, "is of no use without `key`");
            return None;
        }
        (None, Some(alone)) => {
            table.cx.problem(alone.at, &alone.path, "is of no use without `certificate`");
            return None;
        }
    };
    let chain = tls::certificates(&table.cx.path(certificate.text)).map_err(|why| refuse(table, &certificate, why));
    let private = tls::private_key(&table.cx.path(key.text)).map_err(|why| refuse(table, &key, why));
    Some(Some(Identity { chain: chain.ok()?, key: private.ok()? }))
}

fn default_versions() -> Vec<Version> {
    crate::config::defaults::TLS_VERSIONS.iter().filter_map(|name| Version::named(name)).collect()
}

fn versions(table: &Reader<'_>) -> Option<Vec<Version>> {
    let Some(list) = table.own(&k::TLS_VERSIONS) else { return Some(default_versions()) };
    let texts = table.own_texts(&k::TLS_VERSIONS);
    let mut versions = Vec::new();
    for text in &texts {
        match Version::named(text.text) {
            Some(version) => versions.push(version),
            None => {
                let message = format!("\"{}\" is not a version that is spoken", text.text);
                table.cx.hinted(text.at, &text.path, message, "there are \"1.2\" and \"1.3\"");
            }
        }
    }
    if list.node.is_empty_list() {
        table.cx.problem(list.at(), &list.path, "must not be empty");
    }
    (!versions.is_empty() && versions.len() == texts.len()).then_some(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_addresses() {
        for (address, expected) in [
            ("a.test:443", "a.test"),
            ("a.test.:443", "a.test"),
            ("of.a.service", "of.a.service"),
            ("[::1]:443", "::1"),
            ("10.0.0.1:1", "10.0.0.1"),
            ("unix:/run/a:b", "localhost"),
        ] {
            assert_eq!(host(address), expected);
        }
    }
}
