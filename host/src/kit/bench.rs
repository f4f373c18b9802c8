//! How long calls take: through the same code as in the proxy, with what the host does around them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::{self, Called, Ready, Tunnels};
use super::file::{Case, Cases};
use super::{KitError, Stand};
use crate::hook::{HookFailure, Message, Plugin};
use crate::plugin::Stage;

/// How long the calls of one step, or one message, took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The case, and what of it where there is more than one.
    pub name: String,
    /// The hook.
    pub hook: &'static str,
    /// How many calls were measured.
    pub calls: usize,
    /// Half of them took less.
    pub median: Duration,
    /// Ninety-nine of a hundred took less.
    pub p99: Duration,
    /// The shortest.
    pub least: Duration,
    /// The most linear memory that an instance had after a call, bytes.
    pub memory: usize,
}

/// What was measured of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// From nothing to an instance that is configured: the median of a hundred.
    pub start: Duration,
    /// The slowest but one of them.
    pub start_p99: Duration,
    /// Linear memory of an instance that was just configured, bytes.
    pub start_memory: usize,
    /// By step.
    pub steps: Vec<Timing>,
}

/// Instances that are started to see how long that takes.
const STARTS: usize = 100;
/// Time before the calls that are counted, so that caches, branch predictors and, in the guest, its
/// heap are as they are in a proxy that has run for a while.
const WARM_UP: Duration = Duration::from_millis(200);

impl Stand {
    /// Measure each step of the cases whose names the filter fits, for `time` each.
    ///
    /// # Errors
    /// A case whose plugin does not load, or a call that fails.
    pub fn bench(&self, cases: &Cases, fits: impl Fn(&str) -> bool, time: Duration) -> Result<Timings, KitError> {
        let chosen: Vec<&Case> = cases.cases.iter().filter(|case| fits(&case.name)).collect();
        let wrong = |case: &Case, why: String| KitError::Case { case: case.name.clone(), why };
        let mut starts = None;
        let mut steps = Vec::new();
        for case in chosen {
            let world = self.world(cases, case, Stage::deaf()).map_err(|why| wrong(case, why))?;
            let Ok(plugin) = self.runtime.load(&world.spec) else {
                // What it measures would be a refusal: that is for `test`.
                continue;
            };
            if starts.is_none() {
                let made = self.runtime.starts(&world.spec, STARTS);
                starts = Some(made.map_err(|error| wrong(case, error.to_string()))?);
            }
            let list = case.steps();
            let several = list.len() > 1;
            for (number, mut step) in (1..).zip(list) {
                step.request = cases.request.under(&step.request);
                let ready = ask::ready(step, plugin.hooks()).map_err(|why| wrong(case, why))?;
                let name = if several { format!("{}, step {number}", case.name) } else { case.name.clone() };
                let measured = self.waits.block_on(measure(&plugin, &ready, &name, time));
                let mut measured = measured.map_err(|failure| wrong(case, failure.to_string()))?;
                measured.iter_mut().for_each(|timing| timing.memory = world.stage.memory());
                steps.extend(measured);
            }
        }
        let mut starts = starts.unwrap_or_default();
        starts.sort_by_key(|start| start.took);
        let at = |share| starts.get(place(starts.len(), share)).map(|start| start.took).unwrap_or_default();
        let start_memory = starts.iter().map(|start| start.memory).max().unwrap_or_default();
        Ok(Timings { start: at(50), start_p99: at(99), start_memory, steps })
    }
}

/// Measure a step: its call, or each of its messages.
async fn measure(
    plugin: &Arc<dyn Plugin>,
    ready: &Ready,
    name: &str,
    time: Duration,
) -> Result<Vec<Timing>, HookFailure> {
    let hook = ready.hook.name();
    if ready.step.messages.is_empty() {
        return Ok(vec![timing(name, hook, &repeat(time, || ask::call(plugin, ready)).await?)]);
    }
    let mut timings = Vec::new();
    let several = ready.step.messages.len() > 1;
    for (number, said) in (1..).zip(&ready.step.messages) {
        // A tunnel of its own for each: what came before does not count.
        let mut tunnels = Tunnels::default();
        tunnels.open(plugin, ready, 0).await?;
        let Some(session) = tunnels.session(0) else { continue };
        let (way, content, data) = ask::parts(said);
        let subscription = session.subscription();
        if !subscription.interest.has(way, content) {
            continue;
        }
        let length = u64::try_from(data.len()).ok();
        let message = Message { way, content, length, data: ask::cut(&data, content, subscription.first) };
        let name = if several { format!("{name}, message {number}") } else { name.to_owned() };
        timings.push(timing(&name, hook, &repeat(time, || Called::of(session.on_message(&message))).await?));
    }
    Ok(timings)
}

/// Call it for a while, then for `time`, and give the times of the calls in order. Each is timed alone, with
/// two looks at the clock, which cost some 50 ns.
async fn repeat(time: Duration, mut call: impl FnMut() -> Called) -> Result<Vec<Duration>, HookFailure> {
    /// What one measurement keeps.
    const MOST: usize = 2_000_000;
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP.min(time) {
        call().done().await?;
    }
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.is_empty() || (begun.elapsed() < time && times.len() < MOST) {
        let before = Instant::now();
        call().done().await?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn timing(name: &str, hook: &'static str, times: &[Duration]) -> Timing {
    let at = |share| times.get(place(times.len(), share)).copied().unwrap_or_default();
    Timing { name: name.to_owned(), hook, calls: times.len(), median: at(50), p99: at(99), least: at(0), memory: 0 }
}

/// Where, among so many in order, so much of a hundred lie below.
fn place(count: usize, share: usize) -> usize {
    (count * share / 100).min(count.saturating_sub(1))
}
