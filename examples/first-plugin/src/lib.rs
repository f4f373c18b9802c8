use tidegate_plugin::{Authorizer, ConfigError, Edit, Grant, Plugin, Reply, Verdict, log, request};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    key: String,
}

struct Doorkeeper {
    key: String,
    refused: u32,
}

impl Plugin for Doorkeeper {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.key.is_empty() {
            return Err(ConfigError::new("/key", "must not be empty"));
        }
        Ok(Self { key: config.key, refused: 0 })
    }
}

impl Authorizer for Doorkeeper {
    fn authorize(&mut self) -> Verdict {
        match request::variable("arg_key") {
            Some(key) if key == self.key => Grant::new().edit(Edit::set("x-friend", "yes")).into(),
            _ => {
                self.refused += 1;
                log::info(format_args!("refused {} so far", self.refused));
                Reply::new(403).text("say the key\n").into()
            }
        }
    }
}

tidegate_plugin::export!(Doorkeeper: authorizer);
