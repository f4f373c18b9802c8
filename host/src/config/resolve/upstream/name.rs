//! Names that are looked up.

use std::sync::Arc;

use crate::config::reader::{Reader, Text};
use crate::config::types::{Lookup, Place, Question, Resolve, Source};

/// Whether this can be the name of a host (RFC 1123 §2.1, and `_`, which some have): labels of
/// letters, digits and hyphens, of which the last is no number.
pub(in crate::config::resolve) fn is_host(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    is_name(name) && !name.rsplit('.').next().is_none_or(is_number)
}

fn is_name(text: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(fits)
}

/// The full name of a service of a host, as nginx makes it: one word is a service over TCP.
pub(super) fn of_service(service: &str, host: &str) -> Option<String> {
    let full = if service.contains('.') { format!("{service}.{host}") } else { format!("_{service}._tcp.{host}") };
    is_host(&full).then_some(full)
}

/// A name as questions have it: the same for all ways to write it.
pub(super) fn key(name: &str) -> Arc<str> {
    name.to_ascii_lowercase().into()
}

/// A source that is looked up.
pub(super) fn source(
    reader: &Reader<'_>,
    at: &Text<'_>,
    question: Question,
    port: Option<u16>,
    resolve: Resolve,
) -> Source {
    let (line, column) = reader.cx.position(at.at);
    let file = Arc::clone(&reader.cx.file);
    let place = Place { file, line, column, path: at.path.clone(), pointers: Vec::new() };
    Source::Name(Arc::new(Lookup { question, port, resolve, place }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for good in ["backend", "a.b-c.example", "a.", "my_service", "10.0.0.1.nip.io", "x1", "3com.com"] {
            assert!(is_host(good), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for bad in ["", ".", "a..b", "-a", "a-", "10.0.0.1", "127.1", "a b", "a/b", "[::1]", "bücher.example", &long] {
            assert!(!is_host(bad), "{bad}");
        }
        assert!(!is_host(&"a.".repeat(130)));
    }

    #[test]
    fn services_have_the_names_that_nginx_gives_them() {
        for (service, host, full) in [
            ("http", "backend.example.com", Some("_http._tcp.backend.example.com")),
            ("_http._tcp", "backend.example.com", Some("_http._tcp.backend.example.com")),
            ("server1.backend", "example.com", Some("server1.backend.example.com")),
            ("a b", "example.com", None),
        ] {
            assert_eq!(of_service(service, host).as_deref(), full);
        }
    }
}
