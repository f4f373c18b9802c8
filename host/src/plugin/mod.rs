//! Running plugins: the Wasm side of the hook contract.
//!
//! [`Runtime::load`] turns a component into a [`crate::hook::Plugin`]; after that, nobody
//! outside of this folder knows that there is Wasm. `abi/` holds one folder for each
//! version of the contract, `imports/` one file for each interface that a plugin may
//! import.
//!
//! # Lanes
//! A plugin runs in one of two lanes, chosen when it is loaded ([`Lane`]): most are called
//! like a function, on the worker's own stack (0.2 µs); those that can wait, or that may
//! compute for longer than 20 ms, run on a fiber, and give the worker back while they wait
//! and every 5 ms while they compute.
//!
//! # Failure
//! A call that traps, passes its deadline, runs out of memory or answers what the contract
//! forbids fails alone: its instance is dropped, one line is logged, a counter rises, and
//! the caller gets a [`crate::hook::HookFailure`]. What then happens to the request is the
//! caller's business. A plugin that keeps failing is put into quarantine (`quarantine.rs`).

mod abi;
mod backtrace;
mod balance;
mod bodies;
mod cache;
mod clock;
mod cwasm;
mod engine;
mod error;
mod failure;
mod handler;
mod home;
mod imports;
mod instance;
mod isolated;
mod lane;
mod limits;
mod load;
mod loaded;
mod metrics;
mod output;
mod pool;
mod quarantine;
mod runtime;
mod schema;
mod session;
mod side;
mod stage;
mod start;
mod talk;
mod ticker;
mod voice;

#[cfg(test)]
mod tests;

pub use error::PluginError;
pub use lane::Lane;
pub use load::{Inspection, Source, Spec};
pub use loaded::WAITING_CALLS;
pub use metrics::{PluginCounts, QuarantineState, Registry};
pub use runtime::{Loads, Runtime, RuntimeSettings};
pub use schema::{Misfit, Schema};
pub use stage::Stage;
pub use start::{Prepared, Start};
