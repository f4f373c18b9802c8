//! What the run ran on, and which versions of what.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// One line: processor, kernel, distribution.
pub(crate) fn machine() -> String {
    let processors = read("/proc/cpuinfo");
    let cpu = processors
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()))
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    // Not `available_parallelism`: this thread may have given one away.
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let system = read("/etc/os-release")
        .lines()
        .find_map(|line| Some(line.strip_prefix("PRETTY_NAME=")?.trim_matches('"').to_owned()))
        .unwrap_or_default();
    format!("{cpu}, {count} processors; Linux {}; {system}", kernel.trim())
}

/// nginx's version.
pub(crate) fn nginx(program: &Path) -> String {
    // `nginx -v` writes to standard error.
    output(Command::new(program).arg("-v")).trim_start_matches("nginx version: ").to_owned()
}

/// Tidegate's version and the commit that it was built from.
pub(crate) fn tidegate(program: &Path) -> String {
    let commit = output(Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]));
    let version = output(Command::new(program).arg("--version"));
    if commit.is_empty() { version } else { format!("{version} ({commit})") }
}

/// The compiler.
pub(crate) fn rustc() -> String {
    output(Command::new("rustc").arg("--version"))
}

/// Today, `YYYY-MM-DD`, UTC.
pub(crate) fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    date_of(days)
}

/// A day's date from its number since 1970, by Howard Hinnant's rule of eras of 400 years.
fn date_of(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a command writes, to either stream; empty where it cannot run.
fn output(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::date_of;

    #[test]
    fn days_become_dates() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(11_016), "2000-02-29");
        assert_eq!(date_of(20_777), "2026-11-20");
    }
}
