//! System calls per operation, counted by `strace -c` on a proxy under load.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{BenchError, Context as _, Result};
use crate::poll::pause;
use crate::process::Tree;
use crate::subject::Setup;

/// Counts of one run.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    /// Calls per operation by name, the most frequent first.
    pub(crate) by_name: Vec<(String, f64)>,
}

impl Calls {
    /// All of them.
    pub(crate) fn total(&self) -> f64 {
        self.by_name.iter().map(|(_, count)| count).sum()
    }
}

/// An `strace` that is attached.
pub(crate) struct Trace {
    child: Child,
    output: PathBuf,
}

impl Trace {
    /// Attach to all processes and threads of a proxy.
    pub(crate) fn attach(tree: &Tree, setup: &Setup) -> Result<Self> {
        let output = setup.directory.join("strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-q", "-U", "name,calls", "-o"]).arg(&output);
        for id in tree.ids() {
            command.arg("-p").arg(id.to_string());
        }
        let child = command.stderr(Stdio::null()).spawn().map_err(|source| BenchError::Missing {
            program: format!("strace ({source})"),
            hint: "apt-get install strace",
        })?;
        let trace = Self { child, output };
        let begun = Instant::now();
        while !is_traced(tree)? {
            if begun.elapsed() > Duration::from_secs(5) {
                return Err(BenchError::Format("strace: it did not attach".into()));
            }
            pause(Duration::from_millis(5));
        }
        Ok(trace)
    }

    /// Detach and count.
    pub(crate) fn detach(mut self, operations: f64) -> Result<Calls> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::INT).during("stop strace")?;
        }
        self.child.wait().during("wait for strace")?;
        let text = std::fs::read_to_string(&self.output).during("read strace's table")?;
        let mut by_name: Vec<_> =
            counts(&text).into_iter().map(|(name, calls)| (name, calls as f64 / operations)).collect();
        by_name.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Calls { by_name })
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether every thread has a tracer.
fn is_traced(tree: &Tree) -> Result<bool> {
    for id in tree.ids() {
        let path = format!("/proc/{id}/task");
        for thread in std::fs::read_dir(&path).during(path)?.flatten() {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            if status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() == "0")) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The lines `NAME CALLS` of the table.
fn counts(text: &str) -> Vec<(String, u64)> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, calls) = (words.next()?, words.next()?.parse().ok()?);
        (name != "total").then(|| (name.to_owned(), calls))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_without_its_total() {
        let text = "syscall               calls\n---------------- ---------\nepoll_wait              12\nread                     7\n---------------- ---------\ntotal                   19\n";
        assert_eq!(counts(text), [("epoll_wait".to_owned(), 12), ("read".to_owned(), 7)]);
    }
}
