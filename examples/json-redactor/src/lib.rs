//! A plugin that redacts fields of JSON answers.

use serde_json::Value;
use tidegate_plugin::bodies::{Changes, Wish};
use tidegate_plugin::{ConfigError, Field, Plugin, Reply, ResponseBody, log, request, response};

/// The `config` table of the plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Names of fields, without regard to case.
    fields: Vec<String>,
    /// What their values become.
    #[serde(default = "redacted")]
    with: String,
}

fn redacted() -> String {
    "[redacted]".to_owned()
}

struct Redactor {
    fields: Vec<String>,
    with: Value,
}

impl Plugin for Redactor {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if let Some(at) = config.fields.iter().position(|field| field.is_empty()) {
            return Err(ConfigError::new(format!("/fields/{at}"), "must not be empty"));
        }
        let fields = config.fields.iter().map(|field| field.to_ascii_lowercase()).collect();
        Ok(Self { fields, with: Value::String(config.with) })
    }
}

impl ResponseBody for Redactor {
    fn open(&mut self, _exchange: u64) -> Wish {
        let kind = response::header("content-type").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_json = kind == b"application/json" || kind.ends_with(b"+json");
        if is_json { Wish::whole() } else { Wish::None }
    }

    fn on_body(&mut self, _exchange: u64, body: Vec<u8>, _trailers: Vec<Field>) -> Result<Changes, Reply> {
        // A part of a document, or bytes of gzip, cannot be judged.
        let whole = response::status() != 206 && response::header("content-encoding").is_none();
        let read = if whole { serde_json::from_slice(&body).ok() } else { None };
        let Some(mut document) = read else {
            log::warn(format_args!("the answer to {} cannot be read as JSON", request::path()));
            return Err(Reply::new(502).text("the answer cannot be shown\n"));
        };
        if !self.redact(&mut document) {
            return Ok(Changes::none());
        }
        Ok(Changes::replacing(document.to_string()))
    }
}

impl Redactor {
    /// Redact a value and all within it; whether there was anything to redact.
    fn redact(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => {
                let mut found = false;
                for (name, value) in fields {
                    if self.fields.contains(&name.to_ascii_lowercase()) {
                        *value = self.with.clone();
                        found = true;
                    } else {
                        found |= self.redact(value);
                    }
                }
                found
            }
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.redact(item) | found),
            _ => false,
        }
    }
}

tidegate_plugin::export!(Redactor: response_body);

#[cfg(test)]
mod tests {
    use tidegate_plugin::testing::{self, Request, Response, Sent};

    use super::*;

    fn sent(response: &Response, body: &str) -> Sent {
        let mut redactor: Redactor = testing::configure(r#"{"fields": ["Password"]}"#).unwrap();
        testing::response_body(&mut redactor, &Request::get("/user"), response, body)
    }

    fn json() -> Response {
        Response::new(200).header("Content-Type", "application/json; charset=utf-8")
    }

    #[test]
    fn fields_are_redacted_at_any_depth() {
        let redacted = sent(&json(), r#"{"b": [{"password": {"a": 1}}, 2], "a": "password", "PASSWORD": null}"#);
        let wanted = r#"{"b":[{"password":"[redacted]"},2],"a":"password","PASSWORD":"[redacted]"}"#;
        assert_eq!(redacted.body(), Some(wanted.as_bytes()));
    }

    #[test]
    fn what_has_none_of_them_passes_byte_for_byte() {
        let body = "{ \"a\" :  1 }\n";
        assert_eq!(sent(&json(), body).body(), Some(body.as_bytes()));
    }

    #[test]
    fn what_is_not_json_is_not_looked_at() {
        let page = Response::new(200).header("Content-Type", "text/html");
        assert_eq!(sent(&page, "\"password\"").body(), Some(&b"\"password\""[..]));
    }

    #[test]
    fn what_cannot_be_judged_does_not_leave() {
        let part = Response::new(206).header("Content-Type", "application/json");
        for sent in [
            sent(&json(), "{\"password\": "),
            sent(&part, "{}"),
            sent(&json().header("content-encoding", "gzip"), "{}"),
        ] {
            assert_eq!(sent.reply().map(|reply| reply.status), Some(502));
        }
    }
}
