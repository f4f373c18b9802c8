//! Requests that plugins make themselves: to the upstreams that they are granted, over the
//! same kept connections as the requests that pass through.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_cidr::Cidr;
use tokio::sync::Semaphore;

use crate::config::Plugin;
use crate::error::{Error, Kind};
use crate::hook::{Fetch, FetchError, FetchRequest, FetchResponse, Fetching};
use crate::upstream::{self, OwnRequest, Upstream};

/// How long a step may take where the request has no time of its own; the deadline of the
/// plugin's call is what holds then.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one plugin is granted.
struct Granted {
    /// By destination; of several, the first whose path fits.
    places: HashMap<String, Vec<Place>>,
    /// Addresses that are not public and may be asked by name all the same.
    private: Arc<[Cidr]>,
    /// How many requests may be under way.
    turns: Arc<Semaphore>,
}

#[derive(Clone)]
struct Place {
    upstream: Arc<Upstream>,
    /// What Host is where the plugin says nothing.
    host: Arc<str>,
    /// What paths begin with.
    path: Arc<str>,
    /// Whether a name leads there, which others may let mean any address.
    by_name: bool,
}

/// What sends the requests of a plugin by its grants; none where it has none.
pub(super) fn granted(plugin: &Plugin, upstreams: &[Arc<Upstream>]) -> Option<Arc<dyn Fetch>> {
    let mut places: HashMap<_, Vec<_>> = HashMap::new();
    for grant in &plugin.grants {
        let Some(upstream) = upstreams.get(grant.upstream) else { continue };
        let host = upstream::authority(&upstream.name).0.into();
        let (path, by_name) = (grant.path.as_str().into(), grant.by_name);
        let place = Place { upstream: Arc::clone(upstream), host, path, by_name };
        places.entry(grant.destination.clone()).or_default().push(place);
    }
    if places.is_empty() {
        return None;
    }
    let turns = Arc::new(Semaphore::new(plugin.services.max_fetches.min(Semaphore::MAX_PERMITS)));
    Some(Arc::new(Granted { places, private: plugin.services.private.clone().into(), turns }))
}

impl Fetch for Granted {
    fn fetch(&self, request: FetchRequest) -> Fetching {
        let places = self.places.get(&request.destination);
        match places.and_then(|places| places.iter().find(|place| is_within(&request.target, &place.path))) {
            Some(place) => {
                let only_public = place.by_name.then(|| Arc::clone(&self.private));
                Box::pin(send(place.clone(), only_public, Arc::clone(&self.turns), request))
            }
            None => {
                let FetchRequest { destination, target, .. } = request;
                let path = if places.is_some() { target.split('?').next().unwrap_or_default() } else { "" };
                let why = format!("the plugin has no grant for {destination}{path}: `http-client:{destination}{path}`");
                Box::pin(std::future::ready(Err(FetchError::Denied(why))))
            }
        }
    }
}

/// Whether the path of a target begins with these segments. One that a server may take for
/// another path, by `..` or by what stands for `/`, is within `/` alone.
fn is_within(target: &str, prefix: &str) -> bool {
    if prefix == "/" {
        return true;
    }
    let path = target.split('?').next().unwrap_or_default();
    let Some(rest) = path.strip_prefix(prefix) else { return false };
    let lower = path.to_ascii_lowercase();
    let is_plain = !["%2e", "%2f", "%5c", "\\", ";"].iter().any(|odd| lower.contains(odd))
        && !path.split('/').any(|part| part == "." || part == "..");
    is_plain && (rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

async fn send(
    place: Place,
    only_public: Option<Arc<[Cidr]>>,
    turns: Arc<Semaphore>,
    request: FetchRequest,
) -> Result<FetchResponse, FetchError> {
    let FetchRequest { method, target, fields, body, timeout, max_body, destination: _ } = request;
    let patience = timeout.unwrap_or(PATIENCE);
    let host = place.host.to_string();
    let own = OwnRequest { method, target, fields, host, body, max_body, patience, only_public };
    let asking = async {
        // Never closed. The wait counts as any other.
        let _turn = turns.acquire().await;
        place.upstream.ask(&own).await
    };
    let answer = match timeout {
        Some(timeout) => tokio::time::timeout(timeout, asking).await.map_err(|_elapsed| FetchError::Timeout)?,
        None => asking.await,
    };
    let answer = answer.map_err(|error| refusal(&error))?;
    let body = answer.body.ok_or(FetchError::TooLarge)?;
    Ok(FetchResponse { status: answer.head.status, fields: answer.head.fields, body })
}

fn refusal(error: &Error) -> FetchError {
    let text = error.to_string();
    match error.kind {
        Kind::Private => FetchError::Denied(format!("{text}: `private:RANGE` grants it")),
        Kind::NoPeer | Kind::Connect | Kind::ConnectTimeout | Kind::Tls => FetchError::Connect(text),
        Kind::SendTimeout | Kind::ReadTimeout => FetchError::Timeout,
        Kind::Closed => FetchError::Closed(text),
        Kind::TlsBroken | Kind::BadResponse | Kind::BadSwitch | Kind::UnaskedSwitch => FetchError::Protocol(text),
        _ => FetchError::Other(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_within_whole_segments() {
        for (target, prefix) in [
            ("/", "/"),
            ("/../x", "/"),
            ("/a", "/a"),
            ("/a?/../b", "/a"),
            ("/a/b", "/a"),
            ("/a/b", "/a/"),
            ("/a/%41", "/a"),
        ] {
            assert!(is_within(target, prefix), "{target} {prefix}");
        }
        for (target, prefix) in [
            ("/ab", "/a"),
            ("/b", "/a"),
            ("/a", "/a/"),
            ("/A", "/a"),
            ("/a/../b", "/a"),
            ("/a/./b", "/a"),
            ("/a/%2e%2E/b", "/a"),
            ("/a/..%2fb", "/a"),
            ("/a/..\\b", "/a"),
            ("/a/..;/b", "/a"),
            ("/?/a", "/a"),
        ] {
            assert!(!is_within(target, prefix), "{target} {prefix}");
        }
    }
}
