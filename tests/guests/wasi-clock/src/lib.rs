//! Sleeps before it grants: `{"millis": n}` through WASI 0.2's clock and poll. Grants set
//! `x-slept`.

use tidegate_plugin::{Authorizer, ConfigError, Edit, Grant, Plugin, Verdict};

#[allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]
mod wasi {
    wit_bindgen::generate!({ path: "wit", world: "sleeper", generate_all });
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WasiClock {
    millis: u64,
}

impl Plugin for WasiClock {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, ConfigError> {
        Ok(config)
    }
}

impl Authorizer for WasiClock {
    fn authorize(&mut self) -> Verdict {
        wasi::wasi::clocks::monotonic_clock::subscribe_duration(self.millis * 1_000_000).block();
        Grant::new().edit(Edit::set("x-slept", self.millis.to_string())).into()
    }
}

tidegate_plugin::export!(WasiClock: authorizer);
