//! Does with messages what they say: a text that begins with `!` is a command, and what it says
//! is done with it. Any other text gets `suffix`, if there is one; binary passes.

use std::collections::HashMap;

use tidegate_plugin::messages::{Interest, Message, Outgoing, Subscription, Summary, Verdict, Way};
use tidegate_plugin::metrics::{Counter, Gauge};
use tidegate_plugin::{ConfigError, Messages, Plugin, Tunnel, request};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// `text-up`, `binary-up`, `text-down`, `binary-down`; all where it is not there, and none at
    /// all where it is empty.
    interest: Option<Vec<String>>,
    first: Option<u32>,
    #[serde(default)]
    suffix: String,
    /// Trap in `open` for requests with the header `x-trap`.
    #[serde(default)]
    trap: bool,
}

struct Messenger {
    subscription: Option<Subscription>,
    suffix: String,
    trap: bool,
    /// What each tunnel's client and upstream have said.
    seen: HashMap<u64, u32>,
    kept: Vec<Vec<u8>>,
    opened: Counter,
    closed: Counter,
    delivered: Counter,
    last_code: Gauge,
}

impl Plugin for Messenger {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let interest = match &config.interest {
            None => Some(Interest::all()),
            Some(words) if words.is_empty() => None,
            Some(words) => Some(words.iter().try_fold(Interest::empty(), |interest, word| {
                Ok(interest
                    | match word.as_str() {
                        "text-up" => Interest::TEXT_TO_UPSTREAM,
                        "binary-up" => Interest::BINARY_TO_UPSTREAM,
                        "text-down" => Interest::TEXT_TO_CLIENT,
                        "binary-down" => Interest::BINARY_TO_CLIENT,
                        _ => return Err(ConfigError::new("/interest", "is wrong")),
                    })
            })?),
        };
        let metric = |error| ConfigError::new("", format!("{error:?}"));
        Ok(Self {
            subscription: interest.map(|interest| Subscription { interest, first: config.first }),
            suffix: config.suffix,
            trap: config.trap,
            seen: HashMap::new(),
            kept: Vec::new(),
            opened: Counter::new("tunnels_opened_total", "Tunnels opened.", &[]).map_err(metric)?,
            closed: Counter::new("tunnels_closed_total", "Tunnels closed.", &[]).map_err(metric)?,
            delivered: Counter::new("delivered_total", "Messages delivered.", &[]).map_err(metric)?,
            last_code: Gauge::new("last_close_code", "The last close code.", &[]).map_err(metric)?,
        })
    }
}

impl Messages for Messenger {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn open(&mut self, tunnel: u64) -> Option<Subscription> {
        if self.trap && request::has_header("x-trap") {
            panic!("this guest traps");
        }
        self.seen.insert(tunnel, 0);
        self.subscription
    }

    fn on_message(&mut self, tunnel: u64, message: Message, data: Vec<u8>) -> Verdict {
        let count = self.seen.entry(tunnel).or_default();
        *count += 1;
        let count = *count;
        if !message.text {
            return Verdict::Pass;
        }
        let text = String::from_utf8_lossy(&data).into_owned();
        let (command, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if command.starts_with('!') {
            return self.obey(command, rest, &message, count);
        }
        if self.suffix.is_empty() { Verdict::Pass } else { Verdict::replacing(format!("{text}{}", self.suffix)) }
    }

    fn close(&mut self, tunnel: u64) {
        self.seen.remove(&tunnel);
    }
}

impl Messenger {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn obey(&mut self, command: &str, rest: &str, message: &Message, count: u32) -> Verdict {
        match command {
            "!drop" => Verdict::Drop,
            "!replace" => Verdict::replacing(rest),
            "!to-client" => Verdict::before_it([Outgoing::text(Way::ToClient, rest)]),
            "!to-upstream" => Verdict::before_it([Outgoing::text(Way::ToUpstream, rest)]),
            "!both" => {
                Verdict::in_its_place([Outgoing::text(Way::ToClient, rest), Outgoing::binary(Way::ToUpstream, rest)])
            }
            "!close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                Verdict::closing(code.parse().unwrap_or_default(), reason)
            }
            "!count" => Verdict::replacing(format!("{count} of {}", self.seen.len())),
            "!length" => Verdict::replacing(format!("{:?}", message.length)),
            "!trap" => panic!("this guest traps"),
            "!spin" => loop {
                std::hint::black_box(0);
            },
            "!hog" => loop {
                self.kept.push(std::hint::black_box(vec![1; 1 << 20]));
            },
            "!huge" => Verdict::replacing(vec![b'x'; rest.parse().unwrap_or(0)]),
            "!flood" => Verdict::in_its_place(
                (0..rest.parse().unwrap_or(0))
                    .map(|n| Outgoing::text(Way::ToClient, n.to_string()))
                    .collect::<Vec<_>>(),
            ),
            "!bad-text" => Verdict::replacing([0xFF, 0xFE]),
            "!again" => {
                Verdict::before_it([Outgoing::text(Way::ToClient, "!again"), Outgoing::text(Way::ToUpstream, "!again")])
            }
            "!request" => Verdict::replacing(request::path()),
            _ => Verdict::Pass,
        }
    }
}

impl Tunnel for Messenger {
    fn on_open(&mut self, _tunnel: u64) {
        // That it can be read.
        let _path = request::path();
        self.opened.add(1);
    }

    fn on_close(&mut self, _tunnel: u64, summary: Summary) {
        self.closed.add(1);
        self.delivered.add(summary.messages.map_or(0, |messages| messages.to_upstream + messages.to_client));
        self.last_code.set(summary.close_code.map_or(0.0, f64::from));
    }
}

tidegate_plugin::export!(Messenger: messages, tunnel);
