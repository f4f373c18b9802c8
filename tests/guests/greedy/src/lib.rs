//! Takes as much as the header `x-do` says: `calls N`, `bytes N`, `edits N`, `log N`,
//! `recurse`, `spin`, `trap`. Hides what `x-secret` says where only its memory keeps it, and
//! tells in `x-found` what it found there before.

use std::cell::RefCell;
use std::hint::black_box;

use tidegate_plugin::{ConfigError, Edit, Plugin, Reply, RequestHeaders, ResponseHeaders, log, request};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What a new version of it says in `x-version`.
    #[serde(default)]
    version: String,
}

struct Greedy {
    version: String,
    /// The request that it has seen last.
    asked: Option<String>,
}

thread_local! {
    static HIDDEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl Plugin for Greedy {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.version == "bad" {
            return Err(ConfigError::new("/version", "is bad"));
        }
        Ok(Self { version: config.version, asked: None })
    }
}

/// Needs more stack than there is.
fn recurse(depth: u64) -> u64 {
    // On the stack, and seen from outside, so that the compiler makes no loop of it.
    let room = black_box([depth; 32]);
    let below = if room[0] == u64::MAX { 0 } else { recurse(depth + 1) };
    below ^ black_box(&room)[1]
}

#[expect(clippy::panic, reason = "what this guest is for")]
fn obey(command: &str, edits: &mut Vec<Edit>) {
    let (word, number) = command.split_once(' ').unwrap_or((command, "0"));
    let number = number.parse::<usize>().unwrap_or_default();
    match word {
        "calls" => (0..number).for_each(|_| {
            black_box(request::is_websocket());
        }),
        "bytes" => edits.push(Edit::set("x-long", "b".repeat(number))),
        "edits" => edits.extend((0..number).map(|n| Edit::append("x-many", n.to_string()))),
        "log" => log::info("l".repeat(number)),
        "recurse" => edits.push(Edit::set("x-depth", recurse(0).to_string())),
        "spin" => loop {
            black_box(());
        },
        "trap" => panic!("this guest traps"),
        _ => {}
    }
}

impl RequestHeaders for Greedy {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        let mut edits = vec![Edit::set("x-version", self.version.as_str())];
        if let Some(command) = request::header_text("x-do") {
            obey(&command, &mut edits);
        }
        let found = HIDDEN.with_borrow_mut(|hidden| {
            let found = hidden.join(",");
            hidden.extend(request::header_text("x-secret"));
            found
        });
        edits.push(Edit::set("x-found", found));
        self.asked = request::variable("request_id");
        Ok(edits)
    }
}

impl ResponseHeaders for Greedy {
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
        let is_mine = self.asked.is_some() && self.asked == request::variable("request_id");
        Ok(vec![
            Edit::set("x-asked", if is_mine { "yes" } else { "no" }),
            Edit::set("x-version", self.version.as_str()),
        ])
    }
}

tidegate_plugin::export!(Greedy: request_headers, response_headers);
