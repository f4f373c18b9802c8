//! `tidegate:plugin/log`: lines for the proxy's log, tagged with the plugin's name.

use super::wit::log::{Host, Level};
use crate::plugin::instance::Ctx;

impl Host for Ctx {
    fn enabled(&mut self, level: Level) -> wasmtime::Result<bool> {
        self.meter.allow_call()?;
        Ok(self.voice.enabled(of(level)))
    }

    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.meter.allow_call()?;
        self.voice.say(of(level), &message, matches!(level, Level::Error));
        Ok(())
    }
}

fn of(level: Level) -> tracing::Level {
    match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error => tracing::Level::ERROR,
    }
}
