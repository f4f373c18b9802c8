//! `auth_request`: what the stock plugin auth-request is told and granted.

use http::HeaderName;
use serde_json::{Map as Object, Value as Json};

use super::grants::{UNNAMEABLE, is_nameable};
use super::note;
use super::plugin::Generated;
use super::upstream::Upstreams;
use crate::config::defaults;
use crate::config::key::Kind;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text};
use crate::config::types::{Grant, Spot};
use crate::config::variables::{BUILTIN, BUILTIN_FAMILIES, Variables};
use crate::hook::is_hosts_own;

/// Whether an upstream is a route's own `https://HOST:PORT`, which is a URL's beginning itself.
fn is_https(upstream: &str) -> bool {
    upstream.strip_prefix("https://").is_some_and(is_nameable)
}

/// Whether `auth_request` is given and not `false`.
pub(super) fn has_auth_request(table: &Reader<'_>) -> bool {
    table.find(&k::AUTH_REQUEST).is_some_and(|item| item.node.table().is_some())
}

/// `auth_request`: what the stock plugin is told and granted; none where it is absent or false.
pub(super) fn auth_request(
    table: &Reader<'_>,
    upstreams: &mut Upstreams,
    variables: &Variables,
) -> Option<(Generated, Vec<Grant>)> {
    let Kind::TableOrFalse(section) = k::AUTH_REQUEST.kind else { return None };
    let item = table.find(&k::AUTH_REQUEST)?;
    let auth = table.table_at(&item, section)?;
    let mut told = Told { auth: &auth, config: Object::new(), spots: Vec::new() };
    told.path();
    let timeout = auth.duration(&k::AUTH_TIMEOUT).unwrap_or(defaults::AUTH_REQUEST_TIMEOUT);
    told.config.insert("timeout_ms".into(), u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).into());
    told.headers(variables);
    told.variables();
    told.names("copy", &k::AUTH_COPY_HEADERS);
    told.names("deny", &k::AUTH_DENY_HEADERS);
    let wanted = auth.own_placed(&k::AUTH_UPSTREAM).filter(|wanted| !wanted.text.is_empty())?;
    let upstream = upstreams.find(&auth, &wanted)?;
    if upstreams.list.get(upstream).is_some_and(|upstream| !is_nameable(&upstream.name) && !is_https(&upstream.name)) {
        auth.cx.hinted(wanted.at, &wanted.path, UNNAMEABLE, "give the upstream a plain name");
    }
    let name = &upstreams.list.get(upstream)?.name;
    let destination = if is_https(name) { name.to_string() } else { format!("upstream:{name}") };
    told.config.insert("destination".into(), destination.as_str().into());
    let Told { config, spots, .. } = told;
    let made = Generated { config, spots, at: item.at(), path: item.path, hooks: None, response_with: Vec::new() };
    Some((made, vec![Grant { destination, path: "/".to_owned(), by_name: false, upstream }]))
}

/// The names that `auth_request` gives to headers of answers, in this very table.
pub(super) fn variables_of(table: &Reader<'_>, found: &mut Vec<String>) {
    let (Some(item), Kind::TableOrFalse(section)) = (table.own(&k::AUTH_REQUEST), k::AUTH_REQUEST.kind) else { return };
    let Some(auth) = table.table_at(&item, section) else { return };
    found.extend(auth.own_map(&k::AUTH_VARIABLES).iter().map(|named| named.name.to_owned()));
}

/// The plugin's configuration in the making.
struct Told<'t, 'a> {
    auth: &'t Reader<'a>,
    config: Object<String, Json>,
    spots: Vec<Spot>,
}

impl Told<'_, '_> {
    fn path(&mut self) {
        let Some(path) = self.auth.own_placed(&k::AUTH_PATH).filter(|path| !path.text.is_empty()) else { return };
        let is_target = path.text.starts_with('/') && path.text.bytes().all(|b| b > b' ' && b != b'#' && b != 0x7f);
        if !is_target {
            let message = format!("\"{}\" is not a path: it begins with `/` and is percent-encoded", path.text);
            self.auth.cx.problem(path.at, &path.path, message);
        }
        self.spots.push(self.auth.cx.spot("/path".into(), &path.path, path.at));
        self.config.insert("path".into(), path.text.into());
    }

    fn headers(&mut self, variables: &Variables) {
        let mut set = Vec::new();
        for named in self.auth.own_map(&k::AUTH_SET_HEADERS) {
            self.name(named.name, named.name_at, &named.value.path);
            match pattern::variables(named.value.text) {
                Err(fault) => note(self.auth.cx, named.value.at, &named.value.path, fault),
                Ok(names) => {
                    for (message, hint) in names.iter().filter_map(|name| variables.fault(name)) {
                        self.auth.cx.hinted(named.value.at, &named.value.path, message, hint);
                    }
                }
            }
            self.spots.push(self.auth.cx.spot(format!("/set/{}", set.len()), &named.value.path, named.value.at));
            set.push(Json::from(vec![named.name, named.value.text]));
        }
        self.config.insert("set".into(), set.into());
    }

    fn variables(&mut self) {
        let mut list = Vec::new();
        for named in self.auth.own_map(&k::AUTH_VARIABLES) {
            let (name, name_at, Text { text: header, path, at }) = (named.name, named.name_at, named.value);
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let is_built_in = BUILTIN.contains(&name) || BUILTIN_FAMILIES.iter().any(|f| name.starts_with(f));
            if !is_name {
                let message = format!("\"{name}\" is not a variable's name");
                self.auth.cx.hinted(name_at, &path, message, "ASCII letters, digits and `_`");
            } else if is_built_in && name != "remote_user" {
                self.auth.cx.problem(name_at, &path, format!("`${name}` is built in and cannot be set"));
            }
            self.name(header, at, &path);
            list.push(Json::from(vec![name, header]));
        }
        self.config.insert("variables".into(), list.into());
    }

    fn names(&mut self, told: &str, key: &crate::config::key::Key) {
        let texts = self.auth.own_texts(key);
        for (i, text) in texts.iter().enumerate() {
            self.name(text.text, text.at, &text.path);
            if told == "deny" && text.text.to_ascii_lowercase().starts_with("content-") {
                let message = format!("\"{}\" is about a body that is not passed on", text.text);
                self.auth.cx.problem(text.at, &text.path, message);
            }
            self.spots.push(self.auth.cx.spot(format!("/{told}/{i}"), &text.path, text.at));
        }
        self.config.insert(told.to_owned(), texts.iter().map(|text| text.text).collect());
    }

    /// A header's name that is not the host's to write.
    fn name(&self, name: &str, at: usize, path: &str) {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            self.auth.cx.problem(at, path, format!("\"{name}\" is not a header's name"));
        } else if is_hosts_own(name) {
            self.auth.cx.problem(at, path, format!("\"{name}\" is the proxy's own: it cannot be set"));
        }
    }
}
