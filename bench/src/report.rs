//! The table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::case::{Case, Target, Unit};
use crate::error::{BenchError, Context as _, Result};
use crate::machine;
use crate::measure::{Sample, median};
use crate::strace::Calls;
use crate::subject::Subject;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// One case's samples, in order of rounds.
#[derive(Debug)]
pub(crate) struct Row {
    /// The case.
    pub(crate) case: Case,
    /// For each proxy.
    pub(crate) samples: Vec<(Subject, Vec<Sample>)>,
    /// System calls, where they were counted.
    pub(crate) calls: Vec<(Subject, Calls)>,
}

/// All that a run saw.
#[derive(Debug)]
pub(crate) struct Report {
    /// In the order of the table.
    pub(crate) rows: Vec<Row>,
    /// How many rounds.
    pub(crate) rounds: u32,
    /// How long each.
    pub(crate) window: Duration,
    /// Idle tunnels.
    pub(crate) tunnels: usize,
    /// nginx's program.
    pub(crate) nginx: PathBuf,
    /// Tidegate's program, where it took part.
    pub(crate) tidegate: Option<PathBuf>,
    /// The processor that proxies were bound to.
    pub(crate) pinned: Option<usize>,
}

/// One line for the terminal while the run goes on.
pub(crate) fn progress(case: &Case, subject: Subject, round: u32, sample: &Sample) -> String {
    let mut line = format!(
        "{:<10} {:<9} round {}: {} {}",
        case.name,
        subject.name(),
        round + 1,
        value(sample, case.unit()),
        case.unit().text()
    );
    if let Some(rate) = sample.rate {
        let busy = sample.busy.unwrap_or_default() * 100.0;
        line.push_str(&format!(", {}/s, proxy {busy:.0} % busy", thousands(rate)));
    }
    line
}

impl Report {
    /// The table and how it was made, in markdown.
    pub(crate) fn text(&self) -> String {
        let relay = self.rows.iter().any(|row| row.of(Subject::Relay).is_some());
        let mut text = String::from(
            "| case | unit | nginx (user + system) | Tidegate (user + system) | ratio (range) | target | reached | nginx ops/s | Tidegate ops/s |",
        );
        text.push_str(if relay { " bare relay (ratio) |\n" } else { "\n" });
        text.push_str("|---|---|---|---|---|---|---|---|---|");
        text.push_str(if relay { "---|\n" } else { "\n" });
        for row in &self.rows {
            text.push_str(&row.line(relay));
        }
        text.push('\n');
        text.push_str(&self.calls());
        text.push_str(&self.notes());
        text
    }

    fn calls(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for (subject, calls) in &row.calls {
                let unit = if let Unit::CpuPer(what) = row.case.unit() { what } else { "operation" };
                let most = calls.by_name.iter().filter(|(_, count)| *count >= 0.005);
                let names = most.map(|(name, count)| format!("{name} {count:.2}")).collect::<Vec<_>>().join(", ");
                text.push_str(&format!(
                    "| {} | {} | {:.2} / {unit} | {names} |
",
                    row.case.name,
                    subject.name(),
                    calls.total()
                ));
            }
        }
        if text.is_empty() {
            return text;
        }
        format!("| case | proxy | system calls | which |\n|---|---|---|---|\n{text}\n")
    }

    fn notes(&self) -> String {
        let versions = match &self.tidegate {
            Some(program) => format!("{}; {}; ", machine::nginx(&self.nginx), machine::tidegate(program)),
            None => format!("{}; ", machine::nginx(&self.nginx)),
        };
        let pinned = self.pinned.map_or(String::new(), |cpu| {
            format!(" The proxy has processor {cpu} for itself; generator and backend keep off it.")
        });
        format!(
            "{}, {}, {}. {versions}{}.\n\nMedians over rounds ({}), {} s each, proxies in turn, 0.5 s of warm-up; every measurement has a fresh \
             process; range: smallest and largest ratio of a round. CPU: user and system time of the proxy's processes, all \
             threads. Idle memory: {} tunnels, after one message on each.{pinned}\n",
            machine::today(),
            machine::machine(),
            if cfg!(debug_assertions) { "loopback, generator not optimised" } else { "loopback" },
            machine::rustc(),
            self.rounds,
            self.window.as_secs_f64(),
            self.tunnels,
        )
    }
}

impl Row {
    fn of(&self, subject: Subject) -> Option<&[Sample]> {
        self.samples.iter().find(|(of, _)| *of == subject).map(|(_, samples)| samples.as_slice())
    }

    fn line(&self, relay: bool) -> String {
        let unit = self.case.unit();
        let cell = |subject| self.of(subject).map_or("–".to_owned(), |samples| value(&middle(samples), unit));
        let rate =
            |subject| self.of(subject).and_then(|samples| middle(samples).rate).map_or("–".to_owned(), thousands);
        let ratio = self.ratio(Subject::Tidegate);
        let mut line = format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.case.title,
            unit.text(),
            cell(Subject::Nginx),
            cell(Subject::Tidegate),
            ratio.map_or("–".to_owned(), |r| format!("{:.2} ({:.2}–{:.2})", r.middle, r.low, r.high)),
            target(&self.case),
            self.reached().map_or("–", |reached| if reached { "yes" } else { "**no**" }),
            rate(Subject::Nginx),
            rate(Subject::Tidegate),
        );
        if relay {
            let ratio = self.ratio(Subject::Relay).map_or(String::new(), |r| format!(" ({:.2})", r.middle));
            line.push_str(&format!(" {}{ratio} |", cell(Subject::Relay)));
        }
        line.push('\n');
        line
    }

    /// A proxy's value divided by nginx's.
    fn ratio(&self, subject: Subject) -> Option<Ratio> {
        let (ours, nginx) = (self.of(subject)?, self.of(Subject::Nginx)?);
        let each = ours.iter().zip(nginx).map(|(a, b)| a.value / b.value);
        Some(Ratio {
            middle: middle(ours).value / middle(nginx).value,
            low: each.clone().fold(f64::INFINITY, f64::min),
            high: each.fold(f64::NEG_INFINITY, f64::max),
        })
    }

    fn reached(&self) -> Option<bool> {
        match self.case.target {
            Target::None => None,
            Target::Value(most) => Some(middle(self.of(Subject::Tidegate)?).value <= most),
            Target::Least(least) => Some(middle(self.of(Subject::Tidegate)?).value >= least),
            Target::Ratio(most) => Some(self.ratio(Subject::Tidegate)?.middle <= most),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Ratio {
    middle: f64,
    low: f64,
    high: f64,
}

fn target(case: &Case) -> String {
    match case.target {
        Target::None => "–".into(),
        Target::Ratio(most) => format!("≤ {most}"),
        Target::Least(least) => format!("≥ {least}"),
        Target::Value(most) => match case.unit() {
            Unit::CpuPer(_) => format!("≤ {most} µs"),
            Unit::Percent => format!("≤ {most} %"),
            Unit::KibiBytes => format!("≤ {most} KiB"),
            Unit::Milliseconds => format!("≤ {most} ms"),
        },
    }
}

/// The median of each figure by itself.
fn middle(samples: &[Sample]) -> Sample {
    let of = |get: fn(&Sample) -> f64| median(&mut samples.iter().map(get).collect::<Vec<_>>());
    let rates: Vec<f64> = samples.iter().filter_map(|s| s.rate).collect();
    Sample {
        value: of(|s| s.value),
        user: of(|s| s.user),
        system: of(|s| s.system),
        rate: (!rates.is_empty()).then(|| median(&mut rates.clone())),
        busy: None,
    }
}

fn value(sample: &Sample, unit: Unit) -> String {
    match unit {
        Unit::CpuPer(_) if sample.value >= 100.0 => {
            format!("{:.0} ({:.0} + {:.0})", sample.value, sample.user, sample.system)
        }
        Unit::CpuPer(_) => format!("{:.2} ({:.2} + {:.2})", sample.value, sample.user, sample.system),
        Unit::Percent => format!("{:.3}", sample.value),
        Unit::KibiBytes => format!("{:.2}", sample.value),
        Unit::Milliseconds => format!("{:.2}", sample.value),
    }
}

/// A rate with a comma between thousands.
fn thousands(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Replace what stands between the markers of a file.
pub(crate) fn write_between_markers(path: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(path).during(format!("read {}", path.display()))?;
    let new = replaced(&old, text).ok_or_else(|| BenchError::Markers(path.to_owned()))?;
    std::fs::write(path, new).during(format!("write {}", path.display()))
}

fn replaced(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::CASES;

    fn row(nginx: &[f64], tidegate: &[f64]) -> Row {
        let samples = |values: &[f64]| values.iter().map(|v| Sample { value: *v, ..Sample::default() }).collect();
        Row {
            case: CASES[0],
            samples: vec![(Subject::Nginx, samples(nginx)), (Subject::Tidegate, samples(tidegate))],
            calls: vec![],
        }
    }

    #[test]
    fn the_ratio_is_of_medians_and_the_range_of_rounds() {
        let ratio = row(&[70.0, 80.0, 60.0], &[77.0, 72.0, 90.0]).ratio(Subject::Tidegate).unwrap();
        assert_eq!((ratio.middle, ratio.low, ratio.high), (1.1, 0.9, 1.5));
    }

    #[test]
    fn a_target_is_reached_or_not() {
        assert_eq!(row(&[100.0], &[110.0]).reached(), Some(true));
        assert_eq!(row(&[100.0], &[111.0]).reached(), Some(false));
    }

    #[test]
    fn only_the_part_between_the_markers_is_replaced() {
        let old = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(replaced(&old, "new\n"), Some(format!("a\n{BEGIN}\nnew\n{END}\nb\n")));
        assert_eq!(replaced("no markers", "new"), None);
    }

    #[test]
    fn large_rates_are_readable() {
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(thousands(999.4), "999");
    }
}
