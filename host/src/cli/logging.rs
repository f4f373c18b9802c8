//! The program's own log, and what it says to the terminal.

use std::io::{IsTerminal, Write};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber, span};
use tracing_subscriber::layer::{Context, Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::observe::level;

/// Begin to log to standard error. `level` is a `tracing` filter: `info`, `tidegate=debug`.
///
/// # Errors
/// Where the filter cannot be read.
pub(super) fn start(level: &str) -> Result<(), super::Failed> {
    let filter = ByRequest(EnvFilter::try_new(level)?);
    let colours = std::io::stderr().is_terminal();
    let log = fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_filter(filter);
    // A second start in one process (tests) keeps the first.
    let _already = tracing_subscriber::registry().with(log).try_init();
    Ok(())
}

/// Lets through what `[log] level` says, but for requests that have a level of their own.
struct ByRequest(EnvFilter);

/// The most that a request's own level lets through.
const MOST: LevelFilter = LevelFilter::DEBUG;

fn is_ours(line: &Metadata<'_>) -> bool {
    line.target().starts_with("tidegate")
}

impl<S: Subscriber> Filter<S> for ByRequest {
    fn enabled(&self, line: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        match level::current() {
            Some(level) if is_ours(line) => *line.level() <= level,
            _ => Filter::enabled(&self.0, line, cx),
        }
    }

    fn callsite_enabled(&self, line: &'static Metadata<'static>) -> Interest {
        if level::is_active() && is_ours(line) {
            return Interest::sometimes();
        }
        <EnvFilter as Filter<S>>::callsite_enabled(&self.0, line)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hint = <EnvFilter as Filter<S>>::max_level_hint(&self.0);
        if level::is_active() { hint.map(|hint| hint.max(MOST)) } else { hint }
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        Filter::on_new_span(&self.0, attributes, id, cx);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        Filter::on_record(&self.0, id, values, cx);
    }

    fn on_enter(&self, id: &span::Id, cx: Context<'_, S>) {
        Filter::on_enter(&self.0, id, cx);
    }

    fn on_exit(&self, id: &span::Id, cx: Context<'_, S>) {
        Filter::on_exit(&self.0, id, cx);
    }

    fn on_close(&self, id: span::Id, cx: Context<'_, S>) {
        Filter::on_close(&self.0, id, cx);
    }
}

/// Print a line for the operator.
pub(super) fn say(text: &str) {
    // A closed standard output is the reader's choice.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// Print why a command failed.
pub(super) fn complain(error: &dyn std::error::Error) {
    let _closed = writeln!(std::io::stderr(), "{error}");
}
