//! `tidegate:plugin/response`: the response's head, where the hook has one.

use super::wit::response::Host;
use super::wit::types::Field;
use crate::hook::ResponseView;
use crate::plugin::instance::Ctx;

impl Ctx {
    fn answered(&self) -> wasmtime::Result<&ResponseView> {
        self.meter.allow_call()?;
        self.response.as_deref().ok_or_else(|| {
            wasmtime::Error::msg(
                "there is no response: `response` can be read in hooks that come after it (wit/v0.1/request.wit has them)",
            )
        })
    }
}

impl Host for Ctx {
    fn status(&mut self) -> wasmtime::Result<u16> {
        Ok(self.answered()?.status.as_u16())
    }

    fn get(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.answered()?.headers.get(&name).map(<[u8]>::to_vec))
    }

    fn get_all(&mut self, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        Ok(self.answered()?.headers.get_all(&name).map(<[u8]>::to_vec).collect())
    }

    fn entries(&mut self) -> wasmtime::Result<Vec<Field>> {
        Ok(super::fields(&self.answered()?.headers))
    }
}
