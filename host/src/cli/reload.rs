//! `tidegate reload`

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::Failed;

/// Send a server the signal to reload. Whether it did stands in its log.
pub(super) fn reload(pid_file: Option<&Path>, pid: Option<i32>) -> Result<(), Failed> {
    let number = match (pid, pid_file) {
        (Some(number), _) => number,
        (None, Some(path)) => read(path)?,
        (None, None) => return Err("say which server: --pid-file or --pid".into()),
    };
    let pid = Pid::from_raw(number).filter(|_| number > 0).ok_or_else(|| format!("{number} is not a process id"))?;
    kill_process(pid, Signal::HUP).map_err(|e| format!("cannot signal process {number}: {e}"))?;
    Ok(())
}

fn read(path: &Path) -> Result<i32, Failed> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let number = text.trim().parse().map_err(|_| format!("{} holds no process id", path.display()))?;
    Ok(number)
}
