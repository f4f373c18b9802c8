//! Sends one request as its configuration says, when it starts and for each request, and
//! answers the client with what came of both. As hook `messages` it does so for each text of a client
//! but `!pass`, and puts what came in its place.

use std::time::Duration;

use serde::Deserialize;
use tidegate_plugin::http_client::{FetchError, Request, Response, describe};
use tidegate_plugin::messages::{Message, Subscription, Verdict as Judgement};
use tidegate_plugin::{Authorizer, ConfigError, Messages, Plugin, Reply, Verdict};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// This many bytes `b`.
    #[serde(default)]
    body: usize,
    #[serde(default)]
    max_body: u32,
    #[serde(default)]
    timeout_ms: u64,
}

struct Fetcher {
    request: Request,
    at_start: String,
}

impl Plugin for Fetcher {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let mut request =
            Request::new(config.method, config.url).body("b".repeat(config.body)).max_body(config.max_body);
        if config.timeout_ms > 0 {
            request = request.timeout(Duration::from_millis(config.timeout_ms));
        }
        for (name, value) in config.headers {
            request = request.header(name, value);
        }
        let at_start = said(&request.send());
        Ok(Self { request, at_start })
    }
}

impl Authorizer for Fetcher {
    fn authorize(&mut self) -> Verdict {
        let answer = self.request.send();
        Reply::new(200).header("x-at-start", self.at_start.as_str()).text(said(&answer)).into()
    }
}

impl Messages for Fetcher {
    fn open(&mut self, _tunnel: u64) -> Option<Subscription> {
        // A request may be sent here, too.
        let _answer = self.request.send();
        Some(Subscription::to_upstream())
    }

    fn on_message(&mut self, _tunnel: u64, message: Message, data: Vec<u8>) -> Judgement {
        if !message.text || data == b"!pass" {
            return Judgement::Pass;
        }
        let text = String::from_utf8_lossy(&data).into_owned();
        Judgement::replacing(format!("{text}: {}", said(&self.request.send())))
    }

    fn close(&mut self, _tunnel: u64) {}
}

fn said(answer: &Result<Response, FetchError>) -> String {
    match answer {
        Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
        Err(error) => describe(error),
    }
}

tidegate_plugin::export!(Fetcher: authorizer, messages);
