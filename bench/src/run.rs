//! The rounds: every case, every proxy in turn, the order turned round each time.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::case::{Case, Kind};
use crate::cli::{Options, Which};
use crate::error::{BenchError, Context as _, Result};
use crate::measure::{Plan, Sample, calls, measure};
use crate::report::{self, Report, Row};
use crate::strace::Calls;
use crate::subject::{Helper, Setup, Subject, keep_off};

/// Run what the options ask for and print the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let cases = options.cases()?;
    let subjects = options.subjects();
    let setup = prepare(options)?;
    if let Some(processor) = setup.pin {
        keep_off(processor)?;
    }
    let backend = Helper::start(&["backend"])?;
    let mut plan = Plan { window: Duration::from_secs_f64(options.seconds), tunnels: options.tunnels };
    // The proxy holds two sockets for each tunnel, and a few files.
    let possible = usize::try_from(setup.open_files.saturating_sub(256) / 2).unwrap_or(usize::MAX);
    if plan.tunnels > possible {
        say(&format!("limit of {} open files: {possible} idle tunnels instead of {}", setup.open_files, plan.tunnels));
        plan.tunnels = possible;
    }
    let mut rows = Vec::new();
    for case in cases {
        let subjects: Vec<Subject> = subjects.iter().copied().filter(|s| takes_part(&case, *s)).collect();
        if subjects.is_empty() {
            continue;
        }
        let mut samples: Vec<(Subject, Vec<Sample>)> = subjects.iter().map(|s| (*s, Vec::new())).collect();
        for round in 0..options.rounds {
            for (subject, taken) in in_turn(&mut samples, round) {
                let sample = measure(&case, *subject, &setup, backend.address, plan)?;
                say(&report::progress(&case, *subject, round, &sample));
                taken.push(sample);
            }
        }
        let calls = if options.strace { count_calls(&case, &subjects, &setup, &backend, plan)? } else { Vec::new() };
        rows.push(Row { case, samples, calls });
    }
    finish(options, &setup, plan, rows)
}

/// A relay has neither hooks nor a cache to warm.
fn takes_part(case: &Case, subject: Subject) -> bool {
    match case.kind {
        Kind::Hooks => subject.bare().is_some(),
        Kind::Messages(_) | Kind::Beside(_) => subject == Subject::Tidegate,
        Kind::StartUp | Kind::Reuse => subject != Subject::Relay,
        _ if case.is_secure() => subject != Subject::Relay,
        _ => true,
    }
}

/// Forwards in even rounds, backwards in odd ones, so that nobody always goes first.
fn in_turn<T>(items: &mut [T], round: u32) -> Box<dyn Iterator<Item = &mut T> + '_> {
    if round.is_multiple_of(2) { Box::new(items.iter_mut()) } else { Box::new(items.iter_mut().rev()) }
}

fn count_calls(
    case: &Case,
    subjects: &[Subject],
    setup: &Setup,
    backend: &Helper,
    plan: Plan,
) -> Result<Vec<(Subject, Calls)>> {
    let mut counted = Vec::new();
    for &subject in subjects {
        if let Some(calls) = calls(case, subject, setup, backend.address, plan)? {
            counted.push((subject, calls));
        }
    }
    Ok(counted)
}

fn finish(options: &Options, setup: &Setup, plan: Plan, rows: Vec<Row>) -> Result<()> {
    let report = Report {
        rows,
        rounds: options.rounds,
        window: plan.window,
        tunnels: plan.tunnels,
        nginx: setup.nginx.clone(),
        tidegate: (options.subject != Which::Nginx).then(|| setup.tidegate.clone()),
        pinned: setup.pin,
    };
    let text = report.text();
    write!(std::io::stdout(), "{text}").during("print the table")?;
    if options.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        report::write_between_markers(&path, &text)?;
        say(&format!("written to {}", path.display()));
    }
    Ok(())
}

fn prepare(options: &Options) -> Result<Setup> {
    let nginx = match &options.nginx {
        Some(path) => path.clone(),
        None if options.subject == Which::Tidegate => PathBuf::from("nginx"),
        None => find("nginx").ok_or(BenchError::Missing {
            program: "nginx".into(),
            hint: "apt-get install nginx-light, or --nginx FILE, or --subject tidegate",
        })?,
    };
    let tidegate = match &options.tidegate {
        Some(path) => path.clone(),
        None if options.subject == Which::Nginx => PathBuf::from("tidegate"),
        None => build()?,
    };
    Setup::new(nginx, tidegate, options.full, options.processor())
}

/// Build Tidegate's release binary beside this program, so that no stale one is measured.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "-p", "tidegate", "--bin", "tidegate"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .during("run cargo")?;
    if !status.success() {
        return Err(BenchError::Build);
    }
    let program = std::env::current_exe().during("find this program")?;
    let profiles = program.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
    Ok(profiles.join("release").join("tidegate"))
}

/// Look a program up in PATH and where Debian puts servers.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

/// Progress, to standard error; the table alone goes to standard output.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
