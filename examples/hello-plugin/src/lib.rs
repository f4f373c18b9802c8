//! Lets in whoever says the key: `/?key=…`.

use tidegate_plugin::{Authorizer, ConfigSchema, ConfiguredAsIs, Edit, Grant, Reply, Verdict, request};

#[derive(serde::Deserialize)]
struct Hello {
    key: String,
}

impl ConfiguredAsIs for Hello {}

impl Authorizer for Hello {
    fn authorize(&mut self) -> Verdict {
        match request::variable("arg_key") {
            Some(key) if key == self.key => Grant::new().edit(Edit::set("x-hello", "friend")).into(),
            _ => Reply::new(403).text("say the key\n").into(),
        }
    }
}

impl ConfigSchema for Hello {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(Hello: authorizer, config_schema);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{self, Request};

    use super::*;

    #[test]
    fn the_key_opens() {
        let mut plugin: Hello = testing::configure(r#"{"key": "sesame"}"#).unwrap();
        let mut ask = |target: &str| testing::with(&Request::websocket(target), || plugin.authorize());
        assert!(matches!(ask("/ws?key=sesame"), Verdict::Grant(_)));
        assert!(matches!(ask("/ws?key=other"), Verdict::Deny(_)));
        assert!(matches!(ask("/ws"), Verdict::Deny(_)));
    }
}
