//! `tls` of listeners and of sites, `client_auth` and `reject_handshake`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::acme::{ACME, Orders, is_url};
use super::{http3, suggest};
use crate::config::defaults;
use crate::config::document::Value;
use crate::config::key::{Key, Kind};
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Item, Reader, Text};
use crate::config::types::{Http3, Listener, ListenerTls, Protocols};
use crate::tls::Version;
use crate::tls::server::{BadSettings, ClientAuth, Entry, Fetch, Files, Identity, Mode, Settings, Staple, Wanted};

/// What a site says of TLS.
pub(super) struct SiteTls {
    /// The listeners that it is at; none is all.
    pub(super) listen: Vec<SocketAddr>,
    /// Whether it takes the names that nobody has.
    pub(super) default: bool,
    names: Vec<Entry>,
    /// The same as they are written.
    hosts: Vec<String>,
    wanted: Wanted,
    /// Whether it refuses handshakes.
    rejects: bool,
    /// Whether it names a certificate, be it a good one.
    names_one: bool,
}

/// Of one site. Files are read here, so that a bad one is told of with its place.
pub(super) fn site(table: &Reader<'_>, names: &[Text<'_>], listen: &[SocketAddr], acme: &mut Orders) -> SiteTls {
    let tables = table.tables_or_false(&k::SITE_TLS).unwrap_or_default();
    let hosts: Vec<String> = names.iter().map(|name| name.text.to_owned()).collect();
    SiteTls {
        listen: listen.to_vec(),
        default: table.flag(&k::DEFAULT_SITE),
        names: names.iter().flat_map(|name| entries(name.text)).collect(),
        wanted: Wanted {
            identities: tables.iter().filter_map(|table| load(table, &OF_SITE, &hosts, acme)).collect(),
            client_auth: client_auth(table).map(Arc::new),
        },
        rejects: table.flag(&k::REJECT_HANDSHAKE),
        names_one: !tables.is_empty(),
        hosts,
    }
}

/// A name as it is looked up; `.x` is `x` and all below it.
pub(super) fn entries(name: &str) -> Vec<Entry> {
    if let Some(regex) = pattern::site_regex(name) {
        return regex.ok().map(Entry::Pattern).into_iter().collect();
    }
    let name = name.to_lowercase();
    match name.strip_prefix('.') {
        Some(rest) => vec![Entry::Name(rest.into()), Entry::Name(format!("*.{rest}").into())],
        None => vec![Entry::Name(name.into())],
    }
}

/// The keys that say what an identity is.
struct Keys {
    certificate: &'static Key,
    key: &'static Key,
    ocsp: &'static Key,
    responder: &'static Key,
    verify: &'static Key,
}

const OF_SITE: Keys = Keys {
    certificate: &k::CERTIFICATE,
    key: &k::CERTIFICATE_KEY,
    ocsp: &k::CERTIFICATE_OCSP,
    responder: &k::OCSP_RESPONDER,
    verify: &k::OCSP_VERIFY,
};

/// Of a listener, for sites that have none.
const OF_LISTENER: Keys = Keys {
    certificate: &k::LISTEN_CERTIFICATE,
    key: &k::LISTEN_CERTIFICATE_KEY,
    ocsp: &k::LISTEN_CERTIFICATE_OCSP,
    responder: &k::LISTEN_OCSP_RESPONDER,
    verify: &k::LISTEN_OCSP_VERIFY,
};

/// The identity that a table says; one that is ordered is for these names.
fn load(table: &Reader<'_>, keys: &Keys, names: &[String], acme: &mut Orders) -> Option<Identity> {
    let (certificate, key) = (table.own_placed(keys.certificate), table.own_placed(keys.key));
    let staple = staple(table, keys);
    let ordered = certificate.as_ref().is_some_and(|text| text.text == ACME);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), None) if ordered => return acme.identity(table, &certificate, names, staple),
        (Some(_), Some(key)) if ordered => {
            table.cx.problem(key.at, &key.path, "is of no use: with `certificate = \"acme\"` the key is made anew");
            return None;
        }
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(alone), None) | (None, Some(alone)) => {
            table.cx.problem(alone.at, &alone.path, "`certificate` and `key` come together");
            return None;
        }
        (None, None) => return None,
    };
    let path = |text: &Text<'_>| table.cx.path(text.text);
    let files = Files { certificate: path(&certificate), key: path(&key), staple, awaited: false };
    match Identity::load(&files) {
        Ok(identity) => Some(identity),
        Err(error) => {
            table.cx.problem(table.at, &table.path, error.to_string());
            None
        }
    }
}

/// What `ocsp` and what goes with it say.
fn staple(table: &Reader<'_>, keys: &Keys) -> Staple {
    let ocsp = table.own_placed(keys.ocsp);
    let responder = table.own_placed(keys.responder);
    if let Some(url) = responder.as_ref().filter(|url| !is_url(url.text, &["http"])) {
        table.cx.problem(url.at, &url.path, format!("\"{}\" is no URL of http", url.text));
    }
    match ocsp {
        Some(text) if text.text == "fetch" => {
            let responder = responder.map(|url| url.text.to_owned());
            return Staple::Fetch(Fetch { responder, verify: table.flag(keys.verify) });
        }
        Some(text) => return Staple::File(table.cx.path(text.text)),
        None => {}
    }
    for alone in [keys.responder, keys.verify].into_iter().filter_map(|key| table.own(key)) {
        table.cx.problem(alone.at(), &alone.path, "is of no use without `ocsp = \"fetch\"`");
    }
    Staple::Off
}

fn client_auth(table: &Reader<'_>) -> Option<ClientAuth> {
    let Kind::TableOrFalse(section) = k::CLIENT_AUTH.kind else { return None };
    let item = table.own(&k::CLIENT_AUTH)?;
    let table = table.table_at(&item, section)?;
    let path = |key| table.placed(key).map(|text| table.cx.path(text.text));
    let auth = ClientAuth {
        mode: match table.text(&k::CLIENT_AUTH_MODE) {
            Some("optional") => Mode::Optional,
            Some("optional_no_ca") => Mode::Unchecked,
            _ => Mode::Required,
        },
        depth: table.count(&k::CLIENT_AUTH_DEPTH).and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        ca: path(&k::CLIENT_AUTH_CA)?,
        crl: path(&k::CLIENT_AUTH_CRL),
    };
    if let Err(error) = auth.verifier() {
        table.cx.problem(table.at, &table.path, error.to_string());
        return None;
    }
    Some(auth)
}

impl SiteTls {
    /// What the site asks of clients.
    pub(super) fn client_auth(&self) -> Option<Arc<ClientAuth>> {
        self.wanted.client_auth.clone()
    }
}

/// `protocols` of a listener.
pub(super) fn protocols(table: &Reader<'_>) -> Protocols {
    let Some(list) = table.own(&k::LISTEN_PROTOCOLS) else {
        return Protocols { h1: true, h2: speaks_tls(table), h3: false };
    };
    let mut protocols = Protocols { h1: false, h2: false, h3: false };
    for text in table.own_texts(&k::LISTEN_PROTOCOLS) {
        let wanted = match text.text {
            "h1" => &mut protocols.h1,
            "h2" => &mut protocols.h2,
            "h3" => &mut protocols.h3,
            other => {
                let hint = suggest::hint(other, ["h1", "h2", "h3"], "");
                table.cx.hinted(text.at, &text.path, format!("\"{other}\" is no version of HTTP"), hint);
                continue;
            }
        };
        if std::mem::replace(wanted, true) {
            table.cx.problem(text.at, &text.path, "is in this list already");
        }
    }
    if list.node.is_empty_list() {
        table.cx.hinted(list.at(), &list.path, "no version would be spoken", "such as [\"h1\", \"h2\"]");
    }
    protocols
}

/// `http3` of a listener; none where it does not speak that.
pub(super) fn http3(table: &Reader<'_>) -> Option<Http3> {
    let asked = table.own_texts(&k::LISTEN_PROTOCOLS).into_iter().find(|text| text.text == "h3");
    if asked.is_none() {
        http3::unused(table);
    }
    Some(http3::http3(table, &asked?, speaks_tls(table)))
}

/// Whether a listener speaks TLS.
pub(super) fn speaks_tls(table: &Reader<'_>) -> bool {
    table.own(&k::LISTEN_TLS).is_some_and(|item| !matches!(item.node.value, Value::Flag(false)))
}

/// Give the listeners that speak TLS what their sites say.
pub(super) fn attach(root: &Reader<'_>, listeners: &mut [Listener], sites: &[SiteTls], acme: &mut Orders) {
    for (table, listener) in root.tables(&k::LISTENERS).iter().zip(listeners) {
        let Some(item) = table.own(&k::LISTEN_TLS).filter(|item| !matches!(item.node.value, Value::Flag(false))) else {
            continue;
        };
        let offered = table.table(&k::LISTEN_TLS);
        let settings = settings(&offered, listener.protocols);
        if listener.is_streams {
            attach_to_streams(table, &item, &offered, listener, acme);
            continue;
        }
        let here: Vec<&SiteTls> =
            sites.iter().filter(|site| site.listen.is_empty() || site.listen.contains(&listener.address)).collect();
        let Some(first) = here.iter().find(|site| site.default).or(here.first()) else {
            // Without sites at all that has been said.
            if listener.streams.is_some() {
                let hint = "leave `tls` out to pass TLS on as it is";
                table.cx.hinted(item.at(), &item.path, "no site is here whose TLS could be terminated", hint);
            }
            continue;
        };
        let ordered = offered.own_placed(&k::LISTEN_CERTIFICATE).is_some_and(|text| text.text == ACME);
        // What is ordered is each site's own.
        let own = if ordered { None } else { load(&offered, &OF_LISTENER, &[], acme) };
        let fallback: Vec<Identity> = match own {
            Some(identity) => vec![identity],
            None => first.wanted.identities.clone(),
        };
        let reported =
            offered.own(&k::LISTEN_CERTIFICATE).is_some() || offered.own(&k::LISTEN_CERTIFICATE_KEY).is_some();
        if fallback.is_empty() && !first.rejects && !first.names_one && !reported {
            table.cx.hinted(
                item.at(),
                &item.path,
                "there is no certificate for clients that ask for no name of a site",
                "give it `certificate` and `key`, or its default site a `tls` with them or `reject_handshake = true`",
            );
        }
        let mut wanted = |site: &SiteTls| match (site.rejects, site.wanted.identities.is_empty()) {
            (true, _) => Wanted { identities: Vec::new(), client_auth: None },
            (false, true) if ordered && !site.names_one => Wanted {
                identities: load(&offered, &OF_LISTENER, &site.hosts, acme).into_iter().collect(),
                ..site.wanted.clone()
            },
            (false, true) => Wanted { identities: fallback.clone(), ..site.wanted.clone() },
            (false, false) => site.wanted.clone(),
        };
        let default = wanted(first);
        let mut names = Vec::new();
        for site in &here {
            let wanted = if std::ptr::eq(*site, *first) { default.clone() } else { wanted(site) };
            names.extend(site.names.iter().map(|name| (name.clone(), wanted.clone())));
        }
        listener.tls = Some(ListenerTls { settings, names, default });
    }
}

/// Give a listener that is a stream's what it says itself: no site is at it, and nothing is chosen
/// to be spoken.
fn attach_to_streams(
    table: &Reader<'_>,
    item: &Item<'_>,
    offered: &Reader<'_>,
    listener: &mut Listener,
    acme: &mut Orders,
) {
    let settings = settings(offered, Protocols { h1: false, h2: false, h3: false });
    let Some(identity) = load(offered, &OF_LISTENER, &[], acme) else {
        if offered.own(&k::LISTEN_CERTIFICATE).is_none() {
            let hint = "give it `certificate` and `key`; to pass TLS on as it is, leave `tls` out";
            table.cx.hinted(item.at(), &item.path, "a stream's listener has no site with a certificate", hint);
        }
        return;
    };
    let default = Wanted { identities: vec![identity], client_auth: None };
    listener.tls = Some(ListenerTls { settings, names: Vec::new(), default });
}

fn settings(table: &Reader<'_>, protocols: Protocols) -> Settings {
    let names = |key| table.own_texts(key).iter().map(|text| text.text.to_owned()).collect::<Vec<_>>();
    let settings = Settings {
        versions: versions(table),
        ciphers: names(&k::TLS_CIPHERS),
        curves: names(&k::TLS_CURVES),
        prefer_server_ciphers: table.flag(&k::TLS_PREFER_SERVER),
        session_tickets: table.flag(&k::TLS_TICKETS),
        session_timeout: table.duration(&k::TLS_SESSION_TIMEOUT).unwrap_or(defaults::TLS_SESSION_TIMEOUT),
        session_cache: table.count(&k::TLS_SESSIONS).and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        handshake_timeout: table.duration(&k::TLS_HANDSHAKE_TIMEOUT).unwrap_or(defaults::TLS_HANDSHAKE_TIMEOUT),
        max_handshakes: table.count(&k::TLS_HANDSHAKES).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
        renew: table.duration(&k::TLS_RENEW).unwrap_or(defaults::TLS_RENEW),
        alpn: [protocols.h2.then_some("h2"), protocols.h1.then_some("http/1.1")].into_iter().flatten().collect(),
        quic: protocols.h3,
    };
    for bad in settings.problems() {
        refuse(table, &bad);
    }
    settings
}

/// Say which name is none, and what there is.
fn refuse(table: &Reader<'_>, bad: &BadSettings) {
    let (key, name, all) = match bad {
        BadSettings::Cipher(name) => (&k::TLS_CIPHERS, name.as_str(), Settings::all_ciphers().collect::<Vec<_>>()),
        BadSettings::Curve(name) => (&k::TLS_CURVES, name.as_str(), Settings::all_curves().collect()),
        BadSettings::NoCipher(_) => (&k::TLS_CIPHERS, "", Vec::new()),
    };
    let texts = table.own_texts(key);
    let (at, path) = match (texts.iter().find(|text| text.text == name), table.own(key)) {
        (Some(text), _) => (text.at, text.path.clone()),
        (None, Some(list)) => (list.at(), list.path),
        (None, None) => (table.at, table.path.clone()),
    };
    let hint = suggest::hint(name, all.iter().map(String::as_str), &format!("there is {}", all.join(", ")));
    match bad {
        BadSettings::NoCipher(_) => table.cx.problem(at, &path, bad.to_string()),
        _ => table.cx.hinted(at, &path, bad.to_string(), hint),
    }
}

fn versions(table: &Reader<'_>) -> Vec<Version> {
    let all = Version::ALL;
    let Some(list) = table.own(&k::LISTEN_VERSIONS) else { return all.to_vec() };
    if list.node.is_empty_list() {
        table.cx.hinted(list.at(), &list.path, "no version would be spoken", "such as [\"1.2\", \"1.3\"]");
    }
    let mut versions = Vec::new();
    for text in table.own_texts(&k::LISTEN_VERSIONS) {
        match all.into_iter().find(|version| version.number() == text.text) {
            Some(version) if !versions.contains(&version) => versions.push(version),
            Some(_) => table.cx.problem(text.at, &text.path, "is in this list already"),
            None => {
                let message = format!("\"{}\" is no version of TLS that is spoken", text.text);
                table.cx.hinted(text.at, &text.path, message, "there is \"1.2\" and \"1.3\"; older ones are broken");
            }
        }
    }
    versions
}
