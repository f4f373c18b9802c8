//! Who may open a WebSocket, and what may be said on it.

use std::collections::HashMap;

use tidegate_plugin::messages::{Message, Outgoing, Subscription, Verdict as Judgement, Way};
use tidegate_plugin::{Authorizer, ConfigError, Edit, Grant, Messages, Plugin, Reply, Verdict, log, request};

/// The `config` table of the plugin.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    origins: Vec<String>,
    words: Vec<String>,
    banned: Vec<String>,
    patience: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { origins: Vec::new(), words: Vec::new(), banned: Vec::new(), patience: 3 }
    }
}

/// The plugin.
pub struct Doorman {
    config: Config,
    /// What is known of each open tunnel: how many of its client's words were filtered.
    filtered: HashMap<u64, u32>,
}

impl Plugin for Doorman {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        for (name, list) in [("origins", &config.origins), ("words", &config.words), ("banned", &config.banned)] {
            if let Some(empty) = list.iter().position(String::is_empty) {
                return Err(ConfigError::new(format!("/{name}/{empty}"), "must not be empty"));
            }
        }
        Ok(Self { config, filtered: HashMap::new() })
    }
}

impl Authorizer for Doorman {
    fn authorize(&mut self) -> Verdict {
        let Some(origin) = request::header("origin") else { return Reply::new(403).text("origin missing\n").into() };
        let Some(known) = self.config.origins.iter().find(|known| known.as_bytes() == origin) else {
            return Reply::new(403).text("origin not allowed\n").into();
        };
        let grant = Grant::new().variable("visitor_origin", known);
        grant.edit(Edit::set("x-checked-by", "rust")).edit(Edit::remove("x-internal")).into()
    }
}

impl Messages for Doorman {
    fn open(&mut self, tunnel: u64) -> Option<Subscription> {
        self.filtered.insert(tunnel, 0);
        Some(Subscription::text())
    }

    fn on_message(&mut self, tunnel: u64, message: Message, mut data: Vec<u8>) -> Judgement {
        let of_client = message.way == Way::ToUpstream;
        let filtered = self.filtered.entry(tunnel).or_default();
        if of_client && data == b"/count" {
            let said = Outgoing::text(Way::ToClient, format!("filtered: {filtered}"));
            return Judgement::in_its_place([said]);
        }
        let drop = (0..data.len()).any(|at| word_at(&self.config.banned, &data[at..]).is_some());
        let found = if drop { 1 } else { mask(&self.config.words, &mut data) };
        if found == 0 {
            return Judgement::Pass;
        }
        if of_client {
            *filtered += found;
            if *filtered > self.config.patience {
                log::warn("a client was shown out");
                return Judgement::closing(1008, "mind your words");
            }
        }
        if drop { Judgement::Drop } else { Judgement::Replace(data) }
    }

    fn close(&mut self, tunnel: u64) {
        self.filtered.remove(&tunnel);
    }
}

/// The length of the word of the list that the text begins with, in any case.
fn word_at(list: &[String], text: &[u8]) -> Option<usize> {
    let begins = |word: &&String| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    list.iter().find(begins).map(String::len)
}

/// Mask the words in their place; how many there were.
fn mask(words: &[String], text: &mut [u8]) -> u32 {
    let (mut at, mut found) = (0, 0);
    while at < text.len() {
        match word_at(words, &text[at..]) {
            Some(length) => {
                text[at..at + length].fill(b'*');
                at += length;
                found += 1;
            }
            None => at += 1,
        }
    }
    found
}

tidegate_plugin::export!(Doorman: authorizer, messages);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{self, Request, Tunnel};

    use super::*;

    fn doorman() -> Doorman {
        testing::configure(r#"{"origins": ["https://a.example"], "words": ["Darn"], "banned": ["spam"]}"#).unwrap()
    }

    #[test]
    fn only_known_origins_come_in() {
        let mut doorman = doorman();
        let mut ask = |request: Request| testing::with(&request, || doorman.authorize());
        assert!(matches!(ask(Request::websocket("/").header("Origin", "https://a.example")), Verdict::Grant(_)));
        assert!(matches!(ask(Request::websocket("/").header("Origin", "https://b.example")), Verdict::Deny(_)));
        assert!(matches!(ask(Request::websocket("/")), Verdict::Deny(_)));
    }

    #[test]
    fn words_are_masked_and_counted() {
        let mut doorman = doorman();
        let mut tunnel = Tunnel::open(&mut doorman, &Request::websocket("/")).unwrap();
        assert_eq!(tunnel.client_says("hello"), Judgement::Pass);
        assert_eq!(tunnel.client_says("DARN it"), Judgement::replacing("**** it"));
        assert_eq!(tunnel.client_says("buy spam"), Judgement::Drop);
        assert_eq!(tunnel.client_says("darn darn"), Judgement::closing(1008, "mind your words"));
    }
}
