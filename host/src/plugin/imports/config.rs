//! `tidegate:plugin/config`: the plugin's own configuration.

use serde_json::Value;

use super::wit::config::Host;
use crate::plugin::instance::Ctx;

impl Host for Ctx {
    fn document(&mut self) -> wasmtime::Result<String> {
        Ok(self.shared.document.clone())
    }

    fn get(&mut self, pointer: String) -> wasmtime::Result<Option<String>> {
        Ok(self.shared.config.pointer(&pointer).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }))
    }
}
