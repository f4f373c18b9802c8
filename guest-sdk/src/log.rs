//! Lines for the proxy's log, tagged there with the plugin's name. A panic of the
//! plugin is written as an error by itself.
//!
//! ```
//! use tidegate_plugin::{log, testing};
//!
//! log::warn("no such key");
//! log::info(format_args!("{} keys", 2));
//! assert_eq!(testing::take_log(), [(log::Level::Warn, "no such key".into()), (log::Level::Info, "2 keys".into())]);
//! ```

use std::fmt::Display;

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::tidegate::plugin::log as host;
pub use crate::bindings::imports::tidegate::plugin::log::Level;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::log as host;

/// Whether a line of this level would be written.
pub fn enabled(level: Level) -> bool {
    host::enabled(level)
}

/// Write one line, which is made only if its level is enabled. Over 4 KiB it is cut.
pub fn write(level: Level, message: impl Display) {
    if host::enabled(level) {
        host::write(level, &message.to_string());
    }
}

/// Step by step.
pub fn trace(message: impl Display) {
    write(Level::Trace, message);
}

/// For the plugin's author.
pub fn debug(message: impl Display) {
    write(Level::Debug, message);
}

/// Worth knowing.
pub fn info(message: impl Display) {
    write(Level::Info, message);
}

/// Something is off, and work goes on.
pub fn warn(message: impl Display) {
    write(Level::Warn, message);
}

/// Something failed.
pub fn error(message: impl Display) {
    write(Level::Error, message);
}
