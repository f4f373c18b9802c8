//! `tidegate plugin test`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::{Failed, logging};
use crate::config;
use crate::kit::{self, Outcome, Stand};

/// What is to be tested.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// Files of cases, TOML or JSON.
    #[arg(default_value = "cases.toml")]
    files: Vec<PathBuf>,
    /// The component, instead of the one that a file names.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Only cases with this in their name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// One file of cases, and what became of them.
struct Tested {
    file: PathBuf,
    component: PathBuf,
    ready_in: Duration,
    took: Duration,
    outcomes: Vec<Outcome>,
}

/// Run the cases.
///
/// # Errors
/// Cases that fail, or cannot be run.
pub(super) fn test(test: &Test) -> Result<(), Failed> {
    let mut tested = Vec::new();
    for file in &test.files {
        tested.push(one(file, test)?);
    }
    let outcomes = || tested.iter().flat_map(|tested| &tested.outcomes);
    let (all, failed) = (outcomes().count(), outcomes().filter(|outcome| !outcome.is_good()).count());
    let took: Duration = tested.iter().map(|tested| tested.took).sum();
    if test.json {
        let files: Vec<Value> = tested.iter().map(Tested::json).collect();
        logging::say(&json!({ "cases": all, "failed": failed, "us": micros(took), "files": files }).to_string());
    } else {
        tested.iter().for_each(|tested| logging::say(&tested.text()));
        logging::say(&format!("{all} cases in {}: {} passed, {failed} failed", shown(took), all - failed));
    }
    match (all, failed) {
        // A filter that fits nothing is a slip, and no success.
        (0, _) => Err(format!("no case has `{}` in its name", test.filter).into()),
        (_, 0) => Ok(()),
        (all, failed) => Err(format!("{failed} of {all} cases failed").into()),
    }
}

fn one(file: &Path, test: &Test) -> Result<Tested, Failed> {
    let cases = kit::read(file)?;
    let component = kit::component_of(&cases, file, test.component.as_deref())?;
    let stand = Stand::new(&component, config::user_cache().as_deref())?;
    let begun = Instant::now();
    let outcomes = stand.run(&cases, |name| name.contains(&test.filter));
    Ok(Tested { file: file.to_owned(), component, ready_in: stand.ready_in, took: begun.elapsed(), outcomes })
}

impl Tested {
    fn text(&self) -> String {
        let (file, component) = (self.file.display(), self.component.display());
        let mut text = format!("{file}: {component}, ready in {}\n", shown(self.ready_in));
        for outcome in &self.outcomes {
            let mark = if outcome.is_good() { "ok  " } else { "FAIL" };
            let _ = writeln!(text, "  {mark} {} ({})", outcome.case, shown(outcome.took));
            if outcome.is_good() {
                continue;
            }
            if let Some(error) = &outcome.error {
                let _ = writeln!(text, "         {error}");
            }
            for mismatch in &outcome.mismatches {
                let _ = writeln!(text, "         {}", mismatch.to_string().replace('\n', "\n         "));
            }
            for told in &outcome.told {
                let _ =
                    writeln!(text, "         it logged {}: {}", told.level.as_str().to_ascii_lowercase(), told.text);
            }
        }
        text
    }

    fn json(&self) -> Value {
        let cases: Vec<Value> = self.outcomes.iter().map(case_json).collect();
        json!({
            "file": self.file.display().to_string(),
            "component": self.component.display().to_string(),
            "ready_us": micros(self.ready_in),
            "us": micros(self.took),
            "cases": cases,
        })
    }
}

fn case_json(outcome: &Outcome) -> Value {
    let mismatches = outcome
        .mismatches
        .iter()
        .map(|mismatch| json!({ "path": mismatch.path, "expected": mismatch.expected, "actual": mismatch.actual }));
    let log = outcome.told.iter().map(|told| json!([told.level.as_str().to_ascii_lowercase(), told.text]));
    json!({
        "name": outcome.case,
        "ok": outcome.is_good(),
        "us": micros(outcome.took),
        "error": outcome.error,
        "mismatches": mismatches.collect::<Vec<_>>(),
        "log": log.collect::<Vec<_>>(),
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A time in three digits or so.
pub(super) fn shown(time: Duration) -> String {
    match time.as_nanos() {
        ns @ 0..10_000 => format!("{}.{:02} µs", ns / 1000, ns % 1000 / 10),
        ns @ 10_000..1_000_000 => format!("{} µs", ns / 1000),
        ns @ 1_000_000..10_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns % 1_000_000 / 100_000),
        ns => format!("{} s", ns / 1_000_000_000),
    }
}
