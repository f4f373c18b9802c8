//! Tools' ways into the runtime: a component made ready once, and how its instances start.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::PluginError;
use super::failure::{Failure, Fault};
use super::instance::{Live, Shared, new_store};
use super::lane::{self, Lane};
use super::load::{Compiled, Inspection, Spec};
use super::runtime::{Runtime, on_own_stack, on_own_thread, start_error};
use super::schema::Schema;

/// A component that was read and compiled: what is loaded from it needs neither again.
#[derive(Clone)]
pub struct Prepared(pub(super) Arc<Compiled>);

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("size", &self.0.inspection.size).finish_non_exhaustive()
    }
}

impl Prepared {
    /// What the component is.
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }
}

/// How one instance started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// From nothing to an instance that is configured and can be called.
    pub took: Duration,
    /// Its linear memory then, bytes.
    pub memory: usize,
}

impl Runtime {
    /// Read a component and compile it, or take it from the cache.
    ///
    /// # Errors
    /// As [`Runtime::load`], but for what is about the configuration.
    pub fn prepare(&self, bytes: &[u8]) -> Result<Prepared, PluginError> {
        self.compiled(bytes, false).map(Prepared)
    }

    /// What the plugin's configuration looks like; none where it does not say.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub fn schema(&self, spec: &Spec) -> Result<Option<serde_json::Value>, PluginError> {
        let compiled = self.ready(spec)?;
        let shared = self.shared(spec, &compiled)?;
        Ok(described(&compiled, &shared, self.stack)?.map(|schema| schema.document().clone()))
    }

    /// Start an instance so often, one after the other, each dropped before the next.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub fn starts(&self, spec: &Spec, times: usize) -> Result<Vec<Start>, PluginError> {
        let compiled = self.ready(spec)?;
        let shared = self.shared(spec, &compiled)?;
        let starts = match shared.lane {
            Lane::Sync => on_own_stack(self.stack, || (0..times).map(|_| start(&compiled, &shared)).collect()),
            Lane::Fiber => on_own_thread(self.stack, start_later(&compiled, &shared, times)),
        };
        starts.map_err(|failure| start_error(failure, &shared.limits))
    }
}

fn start(compiled: &Compiled, shared: &Arc<Shared>) -> Result<Start, Failure> {
    let begun = Instant::now();
    let live = Live::make(compiled, shared)?;
    Ok(Start { took: begun.elapsed(), memory: live.memory() })
}

async fn start_later(compiled: &Compiled, shared: &Arc<Shared>, times: usize) -> Result<Vec<Start>, Failure> {
    let mut starts = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        let live = Live::make_async(compiled, shared).await?;
        starts.push(Start { took: begun.elapsed(), memory: live.memory() });
    }
    Ok(starts)
}

/// The schema of a plugin's configuration; asked for once, since it is always the same.
pub(super) fn described<'a>(
    compiled: &'a Compiled,
    shared: &Arc<Shared>,
    stack: usize,
) -> Result<Option<&'a Schema>, PluginError> {
    if !compiled.exports.has_schema() {
        return Ok(None);
    }
    if let Some(schema) = compiled.schema.get() {
        return Ok(schema.as_ref());
    }
    let text = match shared.lane {
        Lane::Sync => on_own_stack(stack, || schema_text(compiled, shared)),
        Lane::Fiber => on_own_thread(stack, schema_text_later(compiled, shared)),
    };
    let text = text.map_err(|failure| start_error(failure, &shared.limits))?;
    let schema = text.as_deref().map(Schema::read).transpose()?;
    Ok(compiled.schema.get_or_init(|| schema).as_ref())
}

fn schema_text(compiled: &Compiled, shared: &Arc<Shared>) -> Result<Option<String>, Failure> {
    let mut store = new_store(compiled, shared);
    let text = (|| {
        let instance = compiled.pre.instantiate(&mut store)?;
        let Some(schema) = compiled.exports.schema(&mut store, &instance)? else { return Ok(None) };
        Ok(Some(schema.call(&mut store, ())?.0))
    })();
    text.map_err(|fault: Fault| Failure::of(&fault, store.data()))
}

async fn schema_text_later(compiled: &Compiled, shared: &Arc<Shared>) -> Result<Option<String>, Failure> {
    let mut store = new_store(compiled, shared);
    let pauses = store.data().turn.pauses();
    let text = lane::within(shared.limits.configure, &pauses, async {
        let instance = compiled.pre.instantiate_async(&mut store).await?;
        let Some(schema) = compiled.exports.schema(&mut store, &instance)? else { return Ok(None) };
        Ok(Some(schema.call_async(&mut store, ()).await?.0))
    });
    let text = text.await.unwrap_or(Err(Fault::Deadline));
    text.map_err(|fault| Failure::of(&fault, store.data()))
}
