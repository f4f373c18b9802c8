//! What a proxy has used so far, read from `/proc`: processor time and memory of a process
//! and all its descendants, threads included.

use std::fs;
use std::time::Duration;

use crate::error::{BenchError, Context as _, Result};

/// Unit of `utime` and `stime`: `USER_HZ`, 100 on every Linux that Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cpu {
    /// In user mode.
    pub(crate) user: Duration,
    /// In the kernel.
    pub(crate) system: Duration,
}

impl Cpu {
    /// Both.
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }
}

/// A reading of both clocks of a process tree: the split in ticks of 10 ms, the sum in
/// nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    ticks: Cpu,
    exact: Duration,
}

impl Reading {
    /// Time used between two readings: the scheduler's exact sum, split by the ratio of the
    /// ticks. Where the kernel has no exact sum (or a thread ended with its share in
    /// between, so that it lags behind the ticks) the ticks alone.
    pub(crate) fn used_since(self, earlier: Self) -> Cpu {
        let ticks = self.ticks.since(earlier.ticks);
        let exact = self.exact.saturating_sub(earlier.exact);
        let sum = ticks.total();
        if sum.is_zero() || exact + 4 * TICK < sum {
            return ticks;
        }
        let user = exact.mul_f64(ticks.user.as_secs_f64() / sum.as_secs_f64());
        Cpu { user, system: exact.saturating_sub(user) }
    }
}

/// A process and its descendants, found once when everything has started.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    ids: Vec<u32>,
}

impl Tree {
    /// The tree below and with `root`.
    pub(crate) fn of(root: u32) -> Result<Self> {
        let mut ids = vec![root];
        let mut next = 0;
        while let Some(&id) = ids.get(next) {
            next += 1;
            for thread in threads_of(id)? {
                let children = fs::read_to_string(format!("{thread}/children")).unwrap_or_default();
                ids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        Ok(Self { ids })
    }

    /// The ids, the root first.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Time used so far.
    pub(crate) fn cpu(&self) -> Result<Reading> {
        let mut reading = Reading::default();
        for &id in &self.ids {
            let path = format!("/proc/{id}/stat");
            let stat = fs::read_to_string(&path).during(path.clone())?;
            let (user, system) = ticks_of(&stat).ok_or(BenchError::Format(path))?;
            reading.ticks.user += TICK * user;
            reading.ticks.system += TICK * system;
            for thread in threads_of(id)? {
                let nanoseconds = fs::read_to_string(format!("{thread}/schedstat"))
                    .ok()
                    .and_then(|line| line.split_whitespace().next()?.parse().ok());
                reading.exact += Duration::from_nanos(nanoseconds.unwrap_or(0));
            }
        }
        Ok(reading)
    }

    /// Resident memory now, bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut sum = 0;
        for &id in &self.ids {
            let path = format!("/proc/{id}/status");
            let status = fs::read_to_string(&path).during(path.clone())?;
            sum += resident_of(&status).ok_or(BenchError::Format(path))?;
        }
        Ok(sum)
    }
}

fn threads_of(id: u32) -> Result<Vec<String>> {
    let path = format!("/proc/{id}/task");
    let entries = fs::read_dir(&path).during(path.clone())?;
    Ok(entries.flatten().map(|entry| format!("{path}/{}", entry.file_name().to_string_lossy())).collect())
}

/// `utime` and `stime`: fields 14 and 15, counted behind the name, which may hold blanks.
fn ticks_of(stat: &str) -> Option<(u32, u32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(ticks_of(stat), Some((17, 5)));
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let tree = Tree::of(std::process::id()).unwrap();
        let before = tree.cpu().unwrap();
        let mut sum = 0u64;
        while tree.cpu().unwrap().used_since(before).total() < Duration::from_millis(20) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(tree.resident().unwrap() > 100_000);
    }

    #[test]
    fn the_exact_sum_is_split_by_ticks() {
        let reading = |user, system, exact| Reading {
            ticks: Cpu { user: TICK * user, system: TICK * system },
            exact: Duration::from_millis(exact),
        };
        let used = reading(3, 9, 130).used_since(reading(1, 1, 28));
        assert_eq!(used.total(), Duration::from_millis(102));
        assert!((used.user.as_secs_f64() - 0.0204).abs() < 1e-9);
        let lost = reading(30, 90, 100).used_since(reading(0, 0, 0));
        assert_eq!(lost.total(), Duration::from_millis(1200));
    }
}
