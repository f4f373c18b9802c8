//! Requests that plugins make themselves: to the upstreams that they are granted, over the
//! same kept connections as the requests that pass through.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Grant;
use crate::error::{Error, Kind};
use crate::hook::{Fetch, FetchError, FetchRequest, FetchResponse, Fetching};
use crate::upstream::{self, OwnRequest, Upstream};

/// How long a step may take where the request has no time of its own; the deadline of the
/// plugin's call is what holds then.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one plugin is granted, by destination.
struct Granted(HashMap<String, Place>);

#[derive(Clone)]
struct Place {
    upstream: Arc<Upstream>,
    /// What Host is where the plugin says nothing.
    host: Arc<str>,
}

/// What sends the requests of a plugin with these grants; none where it has none.
pub(super) fn granted(grants: &[Grant], upstreams: &[Arc<Upstream>]) -> Option<Arc<dyn Fetch>> {
    let place = |grant: &Grant| {
        let upstream = Arc::clone(upstreams.get(grant.upstream)?);
        let host = upstream::authority(&upstream.name).0.into();
        Some((grant.destination.clone(), Place { upstream, host }))
    };
    let places: HashMap<_, _> = grants.iter().filter_map(place).collect();
    if places.is_empty() { None } else { Some(Arc::new(Granted(places))) }
}

impl Fetch for Granted {
    fn fetch(&self, request: FetchRequest) -> Fetching {
        match self.0.get(&request.destination) {
            Some(place) => Box::pin(send(place.clone(), request)),
            None => {
                let why = format!("the plugin has no grant for {}", request.destination);
                Box::pin(std::future::ready(Err(FetchError::Denied(why))))
            }
        }
    }
}

async fn send(place: Place, request: FetchRequest) -> Result<FetchResponse, FetchError> {
    let FetchRequest { method, target, fields, body, timeout, max_body, destination: _ } = request;
    let patience = timeout.unwrap_or(PATIENCE);
    let host = place.host.to_string();
    let own = OwnRequest { method, target, fields, host, body, max_body, patience };
    let asking = place.upstream.ask(&own);
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
        Kind::NoPeer | Kind::Connect | Kind::ConnectTimeout | Kind::Tls => FetchError::Connect(text),
        Kind::SendTimeout | Kind::ReadTimeout => FetchError::Timeout,
        Kind::Closed => FetchError::Closed(text),
        Kind::TlsBroken | Kind::BadResponse | Kind::BadSwitch | Kind::UnaskedSwitch => FetchError::Protocol(text),
        _ => FetchError::Other(text),
    }
}
