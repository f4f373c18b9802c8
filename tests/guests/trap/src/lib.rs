//! Traps in `authorize`: always, or with `{"always": false}` only for requests with the
//! header `x-trap`.

use tidegate_plugin::{Authorizer, ConfigError, Plugin, Verdict, request};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Trap {
    #[serde(default = "yes")]
    always: bool,
}

fn yes() -> bool {
    true
}

impl Plugin for Trap {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, ConfigError> {
        Ok(config)
    }
}

impl Authorizer for Trap {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn authorize(&mut self) -> Verdict {
        if self.always || request::has_header("x-trap") {
            panic!("this guest traps");
        }
        Verdict::Next
    }
}

tidegate_plugin::export!(Trap: authorizer);
