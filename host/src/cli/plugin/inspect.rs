//! `tidegate plugin inspect`

use std::path::Path;

use super::{Failed, logging};
use crate::plugin::{Inspection, Lane, Runtime, RuntimeSettings};

/// Show what a component is.
pub(super) fn inspect(path: &Path) -> Result<(), Failed> {
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    // Nothing is run, so nothing is worth keeping.
    let runtime = Runtime::new(&RuntimeSettings { instances: 1, ..RuntimeSettings::default() })?;
    let found = runtime.inspect(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    logging::say(&describe(path, &found));
    Ok(())
}

fn describe(path: &Path, found: &Inspection) -> String {
    let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let hooks: Vec<String> = found.hooks.iter().map(|hook| hook.to_string()).collect();
    let (path, size) = (path.display(), found.size);
    let lane = match found.lane {
        Lane::Sync => "sync (called on the worker's stack)",
        Lane::Fiber => "fiber (it can wait, so it is called on a stack of its own)",
    };
    let config = if found.configurable { "yes (lifecycle.configure)" } else { "no" };
    let mut lines = vec![
        format!("component:  {path}"),
        format!("size:       {size} bytes"),
        format!("contract:   tidegate:plugin@{}", found.contract),
        format!("hooks:      {}", list(&hooks)),
        format!("configured: {config}"),
        format!("imports:    {}", list(&found.services)),
        format!("wasi:       {}", list(&found.wasi)),
        format!("lane:       {lane}"),
    ];
    if !found.others.is_empty() {
        lines.push(format!("unknown:    {} (it will not load)", list(&found.others)));
    }
    lines.join("\n")
}
