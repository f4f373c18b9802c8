//! Does to its store what the header `x-do` says, and answers with what came of it.

use std::time::Duration;

use serde::Deserialize;
use tidegate_plugin::kv::{KvError, Store, describe};
use tidegate_plugin::{Authorizer, ConfigError, Plugin, Reply, Verdict, request, secrets};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The store; none opens none.
    #[serde(default)]
    store: Option<String>,
    /// Refuses the configuration where this secret is not granted.
    #[serde(default)]
    secret: Option<String>,
}

struct Keeper {
    store: Option<Store>,
    /// What the store said while the plugin started.
    at_start: String,
}

impl Plugin for Keeper {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if let Some(secret) = config.secret {
            secrets::get(&secret).map_err(|why| ConfigError::new("/secret", why))?;
        }
        let store = config.store.as_deref().map(Store::open).transpose()?;
        let at_start = store.map_or_else(String::new, |store| said(store.get("k").map(|_| "allowed".to_owned())));
        Ok(Self { store, at_start })
    }
}

impl Authorizer for Keeper {
    fn authorize(&mut self) -> Verdict {
        let wish = request::header_text("x-do").unwrap_or_default();
        let mut words = wish.split(' ');
        let verb = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let text = match verb {
            "secret" => secrets::get(words.first().unwrap_or(&"")).unwrap_or_else(|why| why),
            "start" => self.at_start.clone(),
            _ => match &self.store {
                Some(store) => said(ask(store, verb, &words)),
                None => "no store".to_owned(),
            },
        };
        Reply::new(200).text(text).into()
    }
}

/// Times are the last word, in milliseconds; `-` is no value.
fn ask(store: &Store, verb: &str, words: &[&str]) -> Result<String, KvError> {
    let word = |i: usize| words.get(i).copied().unwrap_or_default();
    let number = |i: usize| word(i).parse::<i64>().unwrap_or_default();
    let time = |i: usize| Duration::from_millis(word(i).parse().unwrap_or_default());
    let value = |i: usize| Some(word(i).as_bytes()).filter(|text| *text != b"-");
    let key = word(0);
    Ok(match verb {
        "get" => store.get(key)?.map_or("-".to_owned(), |value| String::from_utf8_lossy(&value).into_owned()),
        "set" => store.set(key, word(1), time(2)).map(|()| "ok".to_owned())?,
        "delete" => store.delete(key)?.to_string(),
        "add" => store.increment(key, number(1), time(2))?.to_string(),
        "swap" => store.compare_and_swap(key, value(1), value(2), time(3))?.to_string(),
        "raise" => {
            let raised = store.raise(key, number(1), number(2), number(3), time(4))?;
            format!("{} {}", raised.done, raised.value)
        }
        // A value, or a key, of so many bytes.
        "value" => store
            .set("v", "x".repeat(usize::try_from(number(0)).unwrap_or_default()), time(1))
            .map(|()| "ok".to_owned())?,
        "key" => store.get(&"x".repeat(usize::try_from(number(0)).unwrap_or_default())).map(|_| "ok".to_owned())?,
        // So many keys.
        "flood" => {
            for i in 0..number(0) {
                store.set(&format!("flood{i}"), "x", Duration::ZERO)?;
            }
            "ok".to_owned()
        }
        _ => "what?".to_owned(),
    })
}

fn said(answer: Result<String, KvError>) -> String {
    answer.unwrap_or_else(|error| describe(&error))
}

tidegate_plugin::export!(Keeper: authorizer);
