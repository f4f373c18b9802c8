//! The forms of a line. nginx: `log_format`.

use std::cell::RefCell;

use super::escape::{Escape, json_string};
use crate::hook::{Piece, Template, Values};

/// The form of an access log's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Text with variables, whose values are escaped by a rule.
    Text(Template, Escape),
    /// A JSON object: names and templates.
    Json(Vec<(String, Template)>),
}

/// nginx's own format.
const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
/// What `upgrade` has after that.
const UPGRADE: &str = r#" upgrade="$http_upgrade" upstream=$upstream_addr time=$request_time in=$bytes_received out=$body_bytes_sent tunnel=$tunnel cause=$cause"#;
/// That of streams, by nginx's example for them.
const STREAM: &str = r#"$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received $session_time "$upstream_addr" name="$ssl_preread_server_name" stream=$stream cause=$cause"#;
/// The fields of `json`.
const JSON: &[(&str, &str)] = &[
    ("time", "$time_iso8601"),
    ("request_id", "$request_id"),
    ("remote_addr", "$remote_addr"),
    ("remote_user", "$remote_user"),
    ("method", "$request_method"),
    ("host", "$host"),
    ("uri", "$request_uri"),
    ("protocol", "$server_protocol"),
    ("status", "$status"),
    ("request_time", "$request_time"),
    ("bytes_in", "$bytes_received"),
    ("bytes_out", "$body_bytes_sent"),
    ("site", "$site"),
    ("route", "$route"),
    ("upstream", "$upstream_addr"),
    ("upstream_status", "$upstream_status"),
    ("upstream_response_time", "$upstream_response_time"),
    ("referer", "$http_referer"),
    ("user_agent", "$http_user_agent"),
    ("upgrade", "$http_upgrade"),
    ("tunnel", "$tunnel_event"),
    ("closed_by", "$closed_by"),
    ("cause", "$cause"),
];

/// Variables that are numbers, and so have no quotes in JSON.
const NUMBERS: &[&str] = &[
    "body_bytes_sent",
    "bytes_received",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connection_time",
    "msec",
    "pid",
    "remote_port",
    "request_length",
    "request_time",
    "server_port",
    "session_time",
    "status",
];

thread_local! {
    /// A value before it is escaped.
    static VALUE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Format {
    /// The names of the formats that are always there.
    pub const BUILTIN: [&str; 4] = ["combined", "upgrade", "json", "stream"];

    /// One of [`Format::BUILTIN`]; none of another name.
    pub fn builtin(name: &str) -> Option<Self> {
        // These texts are templates, as the tests say.
        let template = |text: &str| Template::parse(text).unwrap_or_default();
        Some(match name {
            "combined" => Self::Text(template(COMBINED), Escape::Default),
            "upgrade" => Self::Text(template(&format!("{COMBINED}{UPGRADE}")), Escape::Default),
            "stream" => Self::Text(template(STREAM), Escape::Default),
            "json" => Self::Json(JSON.iter().map(|(name, text)| ((*name).to_owned(), template(text))).collect()),
            _ => return None,
        })
    }

    /// The names of the variables that it reads.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Text(template, _) => template.variables().collect(),
            Self::Json(fields) => fields.iter().flat_map(|(_, template)| template.variables()).collect(),
        }
    }

    /// Append the line to `line`, without its end.
    pub(super) fn write(&self, values: &dyn Values, line: &mut Vec<u8>) {
        match self {
            Self::Text(template, escape) => {
                for piece in template.pieces() {
                    match piece {
                        Piece::Text(text) => line.extend_from_slice(text.as_bytes()),
                        Piece::Variable(name) => variable(values, name, *escape, line),
                    }
                }
            }
            Self::Json(fields) => object(fields, values, line),
        }
    }
}

fn variable(values: &dyn Values, name: &str, escape: Escape, line: &mut Vec<u8>) {
    VALUE.with_borrow_mut(|value| {
        value.clear();
        let found = values.value(name, value);
        escape.put(found.then_some(value), line);
    });
}

fn object(fields: &[(String, Template)], values: &dyn Values, line: &mut Vec<u8>) {
    line.push(b'{');
    for (i, (name, template)) in fields.iter().enumerate() {
        if i > 0 {
            line.push(b',');
        }
        json_string(name.as_bytes(), line);
        line.push(b':');
        VALUE.with_borrow_mut(|value| {
            value.clear();
            template.render_from(values, value);
            let is_number = template.as_variable().is_some_and(|name| NUMBERS.contains(&name));
            if is_number && is_json_number(value) {
                line.extend_from_slice(value);
            } else {
                json_string(value, line);
            }
        });
    }
    line.push(b'}');
}

/// Digits with a fraction or not, and no zero in front.
fn is_json_number(value: &[u8]) -> bool {
    let (whole, fraction) = match value.iter().position(|byte| *byte == b'.') {
        Some(dot) => (value.get(..dot), value.get(dot + 1..)),
        None => (Some(value), None),
    };
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    whole.is_some_and(|whole| digits(whole) && (whole.len() == 1 || !whole.starts_with(b"0")))
        && fraction.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Values for Known {
        fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
            let value: &[u8] = match name {
                "status" => b"200",
                "request_time" => b"0.004",
                "http_user_agent" => b"a \"b\"\n\xff",
                "msec" => b"007",
                _ => return false,
            };
            out.extend_from_slice(value);
            true
        }
    }

    fn line(format: &Format) -> Vec<u8> {
        let mut line = Vec::new();
        format.write(&Known, &mut line);
        line
    }

    #[test]
    fn text_is_not_escaped_and_values_are() {
        let template = Template::parse("\"$status\" [$http_user_agent] $nosuch").unwrap();
        assert_eq!(line(&Format::Text(template.clone(), Escape::Default)), br#""200" [a \x22b\x22\x0A\xFF] -"#);
        assert_eq!(line(&Format::Text(template.clone(), Escape::Json)), b"\"200\" [a \\\"b\\\"\\n\xff] ");
        assert_eq!(line(&Format::Text(template, Escape::None)), b"\"200\" [a \"b\"\n\xff] ");
    }

    #[test]
    fn json_is_json_with_numbers_as_numbers() {
        let fields = [
            ("s", "$status"),
            ("t", "$request_time"),
            ("u\"", "$http_user_agent"),
            ("n", "$nosuch"),
            ("m", "$msec"),
            ("x", "$status!"),
        ];
        let format = Format::Json(fields.iter().map(|(n, t)| ((*n).to_owned(), Template::parse(t).unwrap())).collect());
        let text = line(&format);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let expected =
            serde_json::json!({"s": 200, "t": 0.004, "u\"": "a \"b\"\n\u{fffd}", "n": "", "m": "007", "x": "200!"});
        assert_eq!(value, expected);
    }

    #[test]
    fn the_formats_that_are_always_there() {
        for name in Format::BUILTIN {
            let format = Format::builtin(name).unwrap();
            assert!(format.variables().contains(&"status"), "{name}");
        }
        assert_eq!(Format::builtin("main"), None);
    }
}
