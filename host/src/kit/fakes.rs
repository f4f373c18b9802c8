//! What a plugin finds in place of the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::compare::is_text;
use super::{request, show};
use crate::hook::{Fetch, FetchError, FetchRequest, FetchResponse, Fetching};
use crate::message::Fields;

/// What a request of the plugin is answered with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpAnswer {
    /// The URL, or a pattern of it after `~`.
    url: String,
    /// The method; any where there is none.
    method: Option<String>,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: String,
    /// Instead of an answer: `denied`, `connect`, `timeout`, `closed`, `protocol` or `too-large`.
    error: Option<String>,
}

fn ok() -> u16 {
    200
}

/// Answers a plugin's requests, and remembers them.
#[derive(Debug)]
pub(super) struct Http {
    answers: Vec<HttpAnswer>,
    asked: Mutex<Vec<Value>>,
}

impl Http {
    pub(super) fn new(answers: &[HttpAnswer]) -> Arc<Self> {
        Arc::new(Self { answers: answers.to_vec(), asked: Mutex::default() })
    }

    /// The requests since the last time.
    pub(super) fn take_asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn answer(&self, request: &FetchRequest) -> Result<FetchResponse, FetchError> {
        let url = url(request);
        let lines = request.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        self.asked.lock().push(json!({
            "method": request.method.as_str(),
            "url": url,
            "headers": show::headers(lines),
            "body": show::bytes(&request.body),
        }));
        let fits = |answer: &&HttpAnswer| {
            is_text(&answer.url, &url) && answer.method.as_ref().is_none_or(|method| method == request.method.as_str())
        };
        let Some(found) = self.answers.iter().find(fits) else {
            return Err(FetchError::Denied(format!("the case has no answer to {} {url}", request.method)));
        };
        if let Some(error) = &found.error {
            return Err(refusal(error));
        }
        let other = |what: String| FetchError::Other(format!("the case's answer: {what}"));
        let mut fields = Fields::new();
        request::append(&mut fields, &found.headers).map_err(other)?;
        let status = StatusCode::from_u16(found.status).map_err(|error| other(error.to_string()))?;
        let mut body = found.body.clone().into_bytes();
        if request.max_body == 0 {
            body.clear();
        } else if body.len() > request.max_body {
            return Err(FetchError::TooLarge);
        }
        Ok(FetchResponse { status, fields, body })
    }
}

impl Fetch for Http {
    fn fetch(&self, request: FetchRequest) -> Fetching {
        Box::pin(std::future::ready(self.answer(&request)))
    }
}

fn refusal(error: &str) -> FetchError {
    let why = || "as the case says".to_owned();
    match error {
        "denied" => FetchError::Denied(why()),
        "connect" => FetchError::Connect(why()),
        "timeout" => FetchError::Timeout,
        "closed" => FetchError::Closed(why()),
        "protocol" => FetchError::Protocol(why()),
        "too-large" => FetchError::TooLarge,
        other => FetchError::Other(other.to_owned()),
    }
}

/// The URL as one writes it: without the scheme's own port.
fn url(request: &FetchRequest) -> String {
    let place = &request.destination;
    let own: BTreeMap<&str, &str> = [("http://", ":80"), ("https://", ":443")].into();
    let usual = own.iter().find(|(scheme, _)| place.starts_with(**scheme)).map(|(_, port)| *port);
    let place = usual.and_then(|port| place.strip_suffix(port)).unwrap_or(place);
    format!("{place}{}", request.target)
}
