//! Memory of tunnels at rest: open many, exchange one message on each, wait, look.

use std::time::Duration;

use super::CONNECTIONS;
use super::echo::check_echo;
use crate::error::Result;
use crate::net::Sources;
use crate::poll::pause;
use crate::process::Tree;
use crate::wire::{Door, Wire};
use crate::ws;

/// How long the proxy may tidy up before its memory is read.
const SETTLE: Duration = Duration::from_millis(1500);

/// Resident bytes per tunnel: the difference that `tunnels` of them make, divided.
pub(crate) fn run(to: &Door, tunnels: usize, tree: &Tree) -> Result<f64> {
    // What the first connections cost a process once and for all is not a tunnel's.
    drop(open(to, "/ws/echo", CONNECTIONS)?);
    pause(SETTLE);
    let before = tree.resident()?;
    let held = open(to, "/ws/echo", tunnels)?;
    pause(SETTLE);
    let after = tree.resident()?;
    Ok(after.saturating_sub(before) as f64 / held.len() as f64)
}

/// Open tunnels, and exchange a message on each.
pub(crate) fn open(to: &Door, path: &str, tunnels: usize) -> Result<Vec<Wire>> {
    let payload = ws::payload(64);
    let (message, answer) = (ws::message(&payload, true), ws::message(&payload, false));
    let mut sources = Sources::new();
    let mut held = Vec::with_capacity(tunnels);
    for _ in 0..tunnels {
        let mut stream = sources.tunnel(to, path)?;
        check_echo(&mut stream, &message, &answer)?;
        held.push(stream);
    }
    Ok(held)
}
