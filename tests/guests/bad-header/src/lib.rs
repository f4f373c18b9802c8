//! Sets the header that its configuration names, which may be one that cannot be or one
//! that is the host's: `{"name": "x y", "value": "1"}`. The value is taken as latin-1.

use tidegate_plugin::{ConfigError, Edit, Plugin, Reply, RequestHeaders};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct BadHeader {
    #[serde(default = "not_a_token")]
    name: String,
    #[serde(default)]
    value: String,
}

fn not_a_token() -> String {
    "in valid".to_owned()
}

impl Plugin for BadHeader {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, ConfigError> {
        Ok(config)
    }
}

impl RequestHeaders for BadHeader {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        let value: Vec<u8> = self.value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
        // The first edit is sound: it must have no effect where the second is refused.
        Ok(vec![Edit::set("x-before", "1"), Edit::set(self.name.as_str(), value)])
    }
}

tidegate_plugin::export!(BadHeader: request_headers);
