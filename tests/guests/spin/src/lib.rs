//! Never returns from `check`: always, or with `{"always": false}` only for requests
//! with the header `x-spin`.

use tidegate_plugin::{ConfigError, Decision, Origin, Plugin, request};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Spin {
    #[serde(default = "yes")]
    always: bool,
}

fn yes() -> bool {
    true
}

impl Plugin for Spin {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, ConfigError> {
        Ok(config)
    }
}

impl Origin for Spin {
    fn check(&mut self) -> Decision {
        let mut turns = 0_u64;
        while self.always || request::has_header("x-spin") {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
        Decision::Next
    }
}

tidegate_plugin::export!(Spin: origin);
