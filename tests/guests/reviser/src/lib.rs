//! Revises bodies: makes them upper case, or does what they say where they begin with `!`.

use std::collections::HashMap;

use tidegate_plugin::bodies::{Changes, ChunkVerdict, EndVerdict, Wish};
use tidegate_plugin::metrics::Counter;
use tidegate_plugin::{ConfigError, Edit, Field, Plugin, Reply, RequestBody, ResponseBody, request, response};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// `none`, `whole` or `chunks`.
    #[serde(default)]
    wish: String,
    /// For `whole`; 0 for as much as there may be.
    #[serde(default)]
    most: u64,
    /// What is written behind what it has seen.
    #[serde(default)]
    mark: String,
    /// Whether the end says how many pieces and bytes there were, and which trailers.
    #[serde(default)]
    tally: bool,
    /// Leave bodies as they are, but for commands.
    #[serde(default)]
    quiet: bool,
}

struct Reviser {
    wish: Wish,
    mark: String,
    tally: bool,
    quiet: bool,
    /// Pieces and bytes of each exchange.
    seen: HashMap<u64, (u32, usize)>,
    kept: Vec<Vec<u8>>,
    closed: Counter,
}

impl Plugin for Reviser {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let wish = match config.wish.as_str() {
            "none" => Wish::None,
            "whole" => Wish::Whole(config.most),
            "chunks" => Wish::Chunks,
            _ => return Err(ConfigError::new("/wish", "is wrong")),
        };
        let closed = Counter::new("bodies_closed_total", "Bodies closed.", &[]);
        let closed = closed.map_err(|error| ConfigError::new("", format!("{error:?}")))?;
        let Config { mark, tally, quiet, .. } = config;
        Ok(Self { wish, mark, tally, quiet, seen: HashMap::new(), kept: Vec::new(), closed })
    }
}

/// What is to be done with some bytes.
enum Done {
    Pass,
    Drop,
    Replace(Vec<u8>),
    Reply(Reply),
    Abort(String),
}

impl Reviser {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn revise(&mut self, data: &[u8]) -> Done {
        let text = String::from_utf8_lossy(data);
        let (command, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match command {
            "!pass" => Done::Pass,
            "!drop" => Done::Drop,
            "!reply" => Done::Reply(Reply::new(403).header("x-why", "told so").text(rest)),
            "!abort" => Done::Abort(rest.to_owned()),
            "!trap" => panic!("this guest traps"),
            "!spin" => loop {
                std::hint::black_box(0);
            },
            "!hog" => loop {
                self.kept.push(std::hint::black_box(vec![1; 1 << 20]));
            },
            "!keep" => {
                // Never given back: an instance that only grows.
                self.kept.push(vec![1; 1 << 20]);
                Done::Pass
            }
            "!huge" => Done::Replace(vec![b'x'; rest.parse().unwrap_or(0)]),
            _ if self.quiet => Done::Pass,
            _ => Done::Replace([data.to_ascii_uppercase().as_slice(), self.mark.as_bytes()].concat()),
        }
    }

    fn open(&mut self, exchange: u64) -> Wish {
        self.seen.insert(exchange, (0, 0));
        self.wish
    }

    fn body(&mut self, exchange: u64, body: &[u8], trailers: &[Field]) -> Result<Changes, Reply> {
        self.count(exchange, body.len());
        let changes = match self.revise(body) {
            Done::Pass => Changes::none(),
            Done::Drop => Changes::replacing(Vec::new()),
            Done::Replace(body) => Changes::replacing(body),
            Done::Reply(reply) => return Err(reply),
            // Not the guest's to write.
            Done::Abort(_) => Changes::none().edit(Edit::set("content-length", "1")),
        };
        let changes = changes.edit(Edit::set("x-seen", format!("{} bytes at {}", body.len(), request::path())));
        Ok(if self.tally { changes.trailers(tallied(trailers)) } else { changes })
    }

    fn chunk(&mut self, exchange: u64, data: &[u8]) -> ChunkVerdict {
        self.count(exchange, data.len());
        match self.revise(data) {
            Done::Pass => ChunkVerdict::Pass,
            Done::Drop => ChunkVerdict::Drop,
            Done::Replace(data) => ChunkVerdict::Replace(data),
            Done::Reply(reply) => ChunkVerdict::Reply(reply),
            Done::Abort(why) => ChunkVerdict::Abort(why),
        }
    }

    fn end(&self, exchange: u64, trailers: &[Field]) -> EndVerdict {
        if !self.tally {
            return EndVerdict::Pass;
        }
        let (pieces, bytes) = self.seen.get(&exchange).copied().unwrap_or_default();
        let text = format!("[{bytes} bytes, {}]", if pieces == 0 { "none" } else { "some" });
        match trailers.iter().find(|field| field.name == "x-end") {
            Some(field) if field.value == b"abort" => EndVerdict::aborting("the trailer says so"),
            Some(field) if field.value == b"reply" => EndVerdict::Reply(Reply::new(409).text("at the end")),
            _ if trailers.is_empty() => EndVerdict::appending(text),
            _ => EndVerdict::Finish((text.into_bytes(), tallied(trailers))),
        }
    }

    fn count(&mut self, exchange: u64, bytes: usize) {
        let seen = self.seen.entry(exchange).or_default();
        *seen = (seen.0 + 1, seen.1 + bytes);
    }

    fn close(&mut self, exchange: u64) {
        self.seen.remove(&exchange);
        self.closed.add(1);
    }
}

/// The trailers, each value with its length before it.
fn tallied(trailers: &[Field]) -> Vec<Field> {
    let tallied = |field: &Field| Field {
        name: field.name.clone(),
        value: [format!("{}:", field.value.len()).as_bytes(), &field.value].concat(),
    };
    trailers.iter().map(tallied).collect()
}

impl RequestBody for Reviser {
    fn open(&mut self, exchange: u64) -> Wish {
        if request::has_header("x-unseen") { Wish::None } else { self.open(exchange) }
    }

    fn on_body(&mut self, exchange: u64, body: Vec<u8>, trailers: Vec<Field>) -> Result<Changes, Reply> {
        self.body(exchange, &body, &trailers)
    }

    fn on_chunk(&mut self, exchange: u64, data: Vec<u8>) -> ChunkVerdict {
        self.chunk(exchange, &data)
    }

    fn on_end(&mut self, exchange: u64, trailers: Vec<Field>) -> EndVerdict {
        self.end(exchange, &trailers)
    }

    fn close(&mut self, exchange: u64) {
        self.close(exchange);
    }
}

impl ResponseBody for Reviser {
    fn open(&mut self, exchange: u64) -> Wish {
        if response::header("x-unseen").is_some() { Wish::None } else { self.open(exchange) }
    }

    fn on_body(&mut self, exchange: u64, body: Vec<u8>, trailers: Vec<Field>) -> Result<Changes, Reply> {
        let status = response::status();
        let changes = self.body(exchange, &body, &trailers)?;
        Ok(changes.edit(Edit::set("x-status", status.to_string())))
    }

    fn on_chunk(&mut self, exchange: u64, data: Vec<u8>) -> ChunkVerdict {
        self.chunk(exchange, &data)
    }

    fn on_end(&mut self, exchange: u64, trailers: Vec<Field>) -> EndVerdict {
        self.end(exchange, &trailers)
    }

    fn close(&mut self, exchange: u64) {
        self.close(exchange);
    }
}

tidegate_plugin::export!(Reviser: request_body, response_body);
