//! `tidegate plugin bench`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::test::shown;
use super::{Failed, logging};
use crate::config::{self, units};
use crate::kit::{self, Stand, Timing, Timings};

/// What is to be measured.
#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// Files of cases, as for `test`: each step is called again and again.
    #[arg(default_value = "cases.toml")]
    files: Vec<PathBuf>,
    /// The component, instead of the one that a file names.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Only cases with this in their name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// How long each call is measured, after a fifth of a second of warming up.
    #[arg(long, default_value = "1s", value_parser = units::parse_duration)]
    time: Duration,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measure.
///
/// # Errors
/// What cannot be measured.
pub(super) fn bench(bench: &Bench) -> Result<(), Failed> {
    let mut files = Vec::new();
    for file in &bench.files {
        let cases = kit::read(file)?;
        let component = kit::component_of(&cases, file, bench.component.as_deref())?;
        let stand = Stand::new(&component, config::user_cache().as_deref())?;
        let timings = stand.bench(&cases, |name| name.contains(&bench.filter), bench.time)?;
        let size = stand.inspection().size;
        if bench.json {
            files.push(as_json(&component.display().to_string(), size, stand.ready_in, &timings));
        } else {
            logging::say(&table(&component.display().to_string(), size, stand.ready_in, &timings));
        }
    }
    if bench.json {
        logging::say(&Value::Array(files).to_string());
    }
    Ok(())
}

fn table(component: &str, size: usize, ready_in: Duration, timings: &Timings) -> String {
    let Timings { start, start_p99, start_memory, steps } = timings;
    let mut text = format!("{component}: {size} bytes, compiled or found compiled in {}\n", shown(ready_in));
    let _ = writeln!(
        text,
        "an instance starts in {} (99 %: {}) and has {} KiB of memory",
        shown(*start),
        shown(*start_p99),
        start_memory / 1024
    );
    let width = steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default().max(4);
    let _ = writeln!(
        text,
        "{:width$}  {:16} {:>9} {:>10} {:>10} {:>10} {:>10}",
        "case", "hook", "calls", "median", "99 %", "least", "memory"
    );
    for Timing { name, hook, calls, median, p99, least, memory } in steps {
        let (median, p99, least, memory) = (shown(*median), shown(*p99), shown(*least), memory / 1024);
        let _ =
            writeln!(text, "{name:width$}  {hook:16} {calls:>9} {median:>10} {p99:>10} {least:>10} {memory:>6} KiB");
    }
    text
}

fn as_json(component: &str, size: usize, ready_in: Duration, timings: &Timings) -> Value {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let step = |step: &Timing| {
        json!({
            "name": step.name,
            "hook": step.hook,
            "calls": step.calls,
            "median_ns": ns(step.median),
            "p99_ns": ns(step.p99),
            "least_ns": ns(step.least),
            "memory": step.memory,
        })
    };
    json!({
        "component": component,
        "size": size,
        "ready_ns": ns(ready_in),
        "start_ns": ns(timings.start),
        "start_p99_ns": ns(timings.start_p99),
        "start_memory": timings.start_memory,
        "steps": timings.steps.iter().map(step).collect::<Vec<_>>(),
    })
}
