//! A chat filter: words are masked, and who uses too many of them is shown out.

use std::collections::HashMap;

use tidegate_plugin::messages::{Message, Subscription, Verdict};
use tidegate_plugin::{ConfigError, ConfigSchema, Messages, Plugin, log, request};

/// The `config` table of the plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Words to mask, in any case.
    words: Vec<String>,
    /// How many of them a client may use before its tunnel is closed with 1008.
    #[serde(default = "three")]
    patience: u32,
}

fn three() -> u32 {
    3
}

/// The plugin.
pub struct WordFilter {
    words: Vec<String>,
    patience: u32,
    /// What is known of each open tunnel.
    tunnels: HashMap<u64, Speaker>,
}

struct Speaker {
    address: String,
    /// Words that were masked.
    masked: u32,
}

impl Plugin for WordFilter {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if let Some(empty) = config.words.iter().position(|word| word.trim().is_empty()) {
            return Err(ConfigError::new(format!("/words/{empty}"), "must not be empty"));
        }
        let words = config.words.iter().map(|word| word.to_ascii_lowercase()).collect();
        Ok(Self { words, patience: config.patience, tunnels: HashMap::new() })
    }
}

impl Messages for WordFilter {
    fn open(&mut self, tunnel: u64) -> Option<Subscription> {
        let address = request::variable("remote_addr").unwrap_or_default();
        self.tunnels.insert(tunnel, Speaker { address, masked: 0 });
        // Both ways: what others say is masked for those who listen, too.
        Some(Subscription::text())
    }

    fn on_message(&mut self, tunnel: u64, message: Message, data: Vec<u8>) -> Verdict {
        let Ok(text) = String::from_utf8(data) else { return Verdict::Pass };
        let (masked, found) = mask(&text, &self.words);
        if found == 0 {
            return Verdict::Pass;
        }
        let is_clients = message.way == tidegate_plugin::messages::Way::ToUpstream;
        if let Some(speaker) = self.tunnels.get_mut(&tunnel).filter(|_| is_clients) {
            speaker.masked += found;
            if speaker.masked > self.patience {
                log::warn(format_args!("{} was shown out", speaker.address));
                return Verdict::closing(1008, "mind your words");
            }
        }
        Verdict::replacing(masked)
    }

    fn close(&mut self, tunnel: u64) {
        self.tunnels.remove(&tunnel);
    }
}

/// The text with the words' letters replaced by `*`, and how many there were.
fn mask(text: &str, words: &[String]) -> (String, u32) {
    // ASCII case only, so that places are the same in both.
    let lower = text.to_ascii_lowercase();
    let mut masked = text.to_owned();
    let mut found = 0;
    for word in words {
        for (at, _) in lower.match_indices(word.as_str()) {
            masked.replace_range(at..at + word.len(), &"*".repeat(word.len()));
            found += 1;
        }
    }
    (masked, found)
}

impl ConfigSchema for WordFilter {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(WordFilter: messages, config_schema);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{self, Request, Tunnel};

    use super::*;

    fn filter() -> WordFilter {
        testing::configure(r#"{"words": ["Darn", "heck"], "patience": 2}"#).unwrap()
    }

    #[test]
    fn words_are_masked_both_ways() {
        let mut filter = filter();
        let mut tunnel = Tunnel::open(&mut filter, &Request::websocket("/chat")).unwrap();
        assert_eq!(tunnel.client_says("hello"), Verdict::Pass);
        assert_eq!(tunnel.client_says("oh DARN it"), Verdict::replacing("oh **** it"));
        assert_eq!(tunnel.upstream_says("what the heck"), Verdict::replacing("what the ****"));
        assert_eq!(tunnel.message(tidegate_plugin::messages::Way::ToClient, false, b"darn"), Verdict::Pass);
    }

    #[test]
    fn each_client_has_its_own_patience() {
        let mut filter = filter();
        let mut first = Tunnel::numbered(&mut filter, &Request::websocket("/chat"), 1).unwrap();
        assert_eq!(first.client_says("darn darn"), Verdict::replacing("**** ****"));
        assert_eq!(first.client_says("heck"), Verdict::closing(1008, "mind your words"));
        drop(first);
        let mut second = Tunnel::numbered(&mut filter, &Request::websocket("/chat"), 2).unwrap();
        assert_eq!(second.client_says("heck"), Verdict::replacing("****"));
        drop(second);
        assert!(filter.tunnels.is_empty(), "nothing is left of a tunnel that has ended");
    }

    #[test]
    fn an_empty_word_is_refused() {
        let refused = testing::configure::<WordFilter>(r#"{"words": ["a", " "]}"#).err().unwrap();
        assert_eq!(refused.to_string(), "/words/1: must not be empty");
    }
}
