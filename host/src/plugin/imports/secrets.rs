//! `tidegate:plugin/secrets`: secrets by name.

use super::wit::secrets::Host;
use crate::plugin::instance::Ctx;
use crate::plugin::load::denial;

impl Host for Ctx {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, String>> {
        let found = self.shared.secrets.iter().find(|(known, _)| **known == *name);
        Ok(match found {
            Some((_, text)) => Ok(text.as_ref().to_owned()),
            None => Err(format!("no secret \"{name}\": {}", denial(&self.shared.name, &format!("secret:{name}")))),
        })
    }
}
