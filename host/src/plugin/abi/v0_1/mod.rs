//! `tidegate:plugin@0.1`.

pub(in crate::plugin) mod bindings;
pub(in crate::plugin) mod bodies;
pub(in crate::plugin) mod convert;
pub(in crate::plugin) mod hooks;
pub(in crate::plugin) mod messages;

/// The package and version that plugins name.
pub(in crate::plugin) const PACKAGE: &str = "tidegate:plugin";
/// The version of the hook interfaces. Lookups by it are semver-aware: a plugin built for
/// 0.1.7 is found too.
pub(in crate::plugin) const VERSION: &str = "0.1.0";
/// What a component exports that answers requests itself. Any 0.2 is found.
pub(in crate::plugin) const HANDLER: &str = "wasi:http/incoming-handler@0.2.0";
