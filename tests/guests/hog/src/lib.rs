//! Takes memory in `on_request` and keeps it: without end, or `{"mib": n}` a call.

use tidegate_plugin::{ConfigError, Edit, Plugin, Reply, RequestHeaders};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    mib: Option<usize>,
}

struct Hog {
    mib: Option<usize>,
    kept: Vec<Vec<u8>>,
}

impl Plugin for Hog {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { mib: config.mib, kept: Vec::new() })
    }
}

impl RequestHeaders for Hog {
    fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
        let before = self.kept.len();
        while self.mib.is_none_or(|mib| self.kept.len() < before + mib) {
            self.kept.push(std::hint::black_box(vec![1; 1 << 20]));
        }
        Ok(vec![Edit::set("x-kept-mib", self.kept.len().to_string())])
    }
}

tidegate_plugin::export!(Hog: request_headers);
