//! What plugins may use, when they are left alone, and who shares an instance.

use std::time::Duration;

/// What one plugin may use, besides its memory and its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Elements of all tables of one instance.
    pub table: usize,
    /// Bytes that one call or answer may carry from the guest to the host; none for what goes
    /// with the component's size.
    pub output: Option<usize>,
    /// Functions of the host that one call may call.
    pub host_calls: u64,
}

/// When a plugin that keeps failing is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// So many failures in a row are too many; 0 for any number.
    pub row: u32,
    /// This part of all calls within `window` is too much, in percent.
    pub failures: u32,
    /// So many calls within `window` say something.
    pub calls: u32,
    /// How long calls count, and how long the plugin must be well for the next rest to be a short one again.
    pub window: Duration,
    /// The first rest, after which one call tries the plugin; each one in vain doubles it.
    pub rest: Duration,
    /// The longest rest.
    pub longest_rest: Duration,
}

/// Who shares an instance of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Isolation {
    /// All requests of one worker.
    #[default]
    Worker,
    /// The hooks of one request, and of the tunnel that it opens.
    Request,
}
