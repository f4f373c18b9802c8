//! Options.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::case::{CASES, Case};
use crate::error::{BenchError, Result};
use crate::subject::Subject;

/// Measure Tidegate beside nginx: proxy CPU per operation, interleaved, in one run.
#[derive(Debug, Parser)]
#[command(name = "tidegate-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) helper: Option<HelperCommand>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What this program starts itself as.
#[derive(Debug, Subcommand)]
pub(crate) enum HelperCommand {
    /// The server behind the proxies.
    #[command(hide = true)]
    Backend,
    /// The bare relay.
    #[command(hide = true)]
    Relay {
        /// Where to.
        backend: SocketAddr,
    },
}

/// Of the benchmark itself.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these cases, comma between them: handshake, echo-64, paced-64, echo-1k, echo-16k, bulk-64k, bulk-1m, stream-down, stream-up, get,
    /// hooks, seen-64, seen-1k, beside-1m, reuse, idle, tls, tls-resumed, wss-64, wss-16k, wss-1m, wss-idle, start.
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Rounds; the table shows medians over them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Length of one measurement.
    #[arg(long, default_value_t = 3.0, value_name = "S", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Which proxies.
    #[arg(long, value_enum, default_value_t = Which::Both)]
    pub(crate) subject: Which,
    /// Measure a bare TCP relay too: the floor for two sockets.
    #[arg(long)]
    pub(crate) relay: bool,
    /// Three sites of ten routes, a rate limit, a limit of tunnels and an access log, on both proxies.
    #[arg(long)]
    pub(crate) full: bool,
    /// Count system calls per operation with strace, in runs of their own.
    #[arg(long)]
    pub(crate) strace: bool,
    /// Write the table into bench/README.md, between the markers.
    #[arg(long, conflicts_with = "only")]
    pub(crate) write: bool,
    /// Idle tunnels for the memory case; fewer where the limit of open files is too low.
    #[arg(long, default_value_t = 8000, value_name = "N")]
    pub(crate) tunnels: usize,
    /// The processor that the proxies have for themselves; the last one by default.
    #[arg(long, value_name = "CPU", conflicts_with = "no_pin")]
    pub(crate) pin: Option<usize>,
    /// Let everything run on any processor. Figures then depend on who met whom where.
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Tidegate's program; without it the release binary is built first.
    #[arg(long, value_name = "FILE")]
    pub(crate) tidegate: Option<PathBuf>,
    /// nginx's program.
    #[arg(long, value_name = "FILE")]
    pub(crate) nginx: Option<PathBuf>,
}

/// Which proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// nginx alone.
    Nginx,
    /// Tidegate alone.
    Tidegate,
    /// Side by side.
    Both,
}

impl Options {
    /// The cases to run.
    pub(crate) fn cases(&self) -> Result<Vec<Case>> {
        if self.only.is_empty() {
            return Ok(CASES.to_vec());
        }
        self.only
            .iter()
            .map(|name| {
                let names = || CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
                CASES.iter().find(|case| case.name == name).copied().ok_or_else(|| BenchError::Missing {
                    program: format!("case {name:?} (cases: {})", names()),
                    hint: "see --only",
                })
            })
            .collect()
    }

    /// The processor for the proxies; none on a machine that has only one.
    pub(crate) fn processor(&self) -> Option<usize> {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if self.no_pin || count < 2 { None } else { self.pin.or(Some(count - 1)) }
    }

    /// The proxies to measure, nginx first.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let mut subjects = match self.subject {
            Which::Nginx => vec![Subject::Nginx],
            Which::Tidegate => vec![Subject::Tidegate],
            Which::Both => vec![Subject::Nginx, Subject::Tidegate],
        };
        if self.relay {
            subjects.push(Subject::Relay);
        }
        subjects
    }
}

fn seconds(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.2..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.2 to 600".into()),
    }
}
