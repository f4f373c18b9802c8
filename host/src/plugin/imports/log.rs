//! `tidegate:plugin/log`: lines for the proxy's log, tagged with the plugin's name.

use super::wit::log::{Host, Level};
use crate::plugin::instance::Ctx;
use crate::plugin::output::Output;

impl Host for Ctx {
    fn enabled(&mut self, level: Level) -> wasmtime::Result<bool> {
        self.meter.allow_call()?;
        Ok(Output::enabled(of(level)))
    }

    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.meter.allow_call()?;
        self.shared.output.line(of(level), &message);
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
