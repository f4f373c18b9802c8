//! What is in force for one route: the table is asked for every directive.

use super::Import;
use super::chain::Chain;
use super::text::{Groups, Values};
use super::upstreams::Target;
use crate::import::directives::{self, To};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};
use crate::import::units;

/// How requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By an upstream.
    Proxy,
    /// By files.
    Files,
    /// By a text or redirect.
    Answer,
}

/// A route that is being made.
pub(in crate::import) struct Route<'r, 'd> {
    pub(in crate::import) import: &'r mut Import<'d>,
    pub(super) chain: Chain<'d>,
    /// The block of the server.
    pub(super) server: &'d Directive,
    /// What variables are, in texts.
    pub(super) values: Values,
    /// `match`, as nginx has it.
    pub(super) pattern: String,
    pub(super) kind: Kind,
    /// `add_header` under conditions.
    pub(super) headers: Vec<(String, Vec<&'d Directive>)>,
    pub(super) keys: Keys,
    /// The type that `add_header` gives an answer.
    pub(super) content_type: Option<String>,
    /// Where its requests go.
    pub(super) target: Option<Target>,
    /// Whether a text reads groups of the pattern by the names that they get.
    pub(super) named_groups: bool,
}

impl Route<'_, '_> {
    /// Ask the table for all directives that are in force.
    pub(super) fn settle(&mut self) {
        for module in directives::modules() {
            if module.name == "http_proxy" && self.kind != Kind::Proxy || module.name.starts_with("stream") {
                continue;
            }
            for entry in module.entries.iter().filter(|entry| entry.contexts.has(directives::Contexts::LOCATION)) {
                if matches!(
                    entry.to,
                    To::Nothing | To::Structure | To::Top(_) | To::ProcessTime(_) | To::ProcessCount(_)
                ) {
                    continue;
                }
                let found = self.chain.in_force(&[entry.name]);
                let conditional = entry.name == "add_header" && !self.headers.is_empty();
                // What comes before access and limits is not judged by them.
                if (found.is_empty() && !conditional) || (self.kind == Kind::Answer && !is_of_answers(entry.name)) {
                    continue;
                }
                self.one(entry.to, &found);
            }
        }
    }

    fn one(&mut self, to: To, found: &[&Directive]) {
        let Some(directive) = found.last().copied() else {
            if let To::Route(convert) = to {
                convert(self, found);
            }
            return;
        };
        // What `http` says of logs stands at the top.
        let of_http = self.import.http.iter().any(|top| std::ptr::eq(top, directive));
        if of_http && matches!(directive.name(), "access_log" | "error_log") {
            return;
        }
        let (key, value) = match to {
            To::Route(convert) => return convert(self, found),
            To::Time(key) => (key, units::time_value(directive.arg(0))),
            To::Size(key) => (key, units::size_value(directive.arg(0))),
            To::Flag(key) => (key, units::flag(directive.arg(0)).map(Value::Flag)),
            To::Count(key) => (key, directive.arg(0).parse().ok().map(Value::Count)),
            To::Word(key) => (key, Some(Value::text(directive.arg(0)))),
            _ => return,
        };
        match value {
            Some(value) => self.keys.set(key, value),
            None => {
                let message = format!("`{}` is not a value that it takes", directive.arg(0));
                self.import.report.broken(directive.name.span.problem(directive.name(), message, None));
            }
        }
    }

    /// Whether the location has a regular expression.
    pub(super) fn is_regex(&self) -> bool {
        self.pattern.starts_with('~')
    }

    /// Whether it is found by its name alone.
    pub(super) fn is_named(&self) -> bool {
        self.pattern.starts_with('@')
    }

    /// The path that it is for, without its modifier.
    pub(super) fn prefix(&self) -> &str {
        self.pattern.trim_start_matches(['=', '^', '~', '*', ' '])
    }

    /// The expression that its paths match, and whether it does not heed case.
    pub(super) fn regex(&self) -> (String, bool) {
        match self.pattern.strip_prefix('~') {
            Some(rest) => (rest.trim_start_matches('*').trim_start().to_owned(), rest.starts_with('*')),
            None => ("^".to_owned(), false),
        }
    }

    /// Whether its expression has a group of the name.
    pub(super) fn captures(&self, name: &str) -> bool {
        self.is_regex() && self.pattern.contains(&format!("<{name}>"))
    }

    /// What variables are in texts that the router does not read: groups by number get names.
    pub(super) fn values_for_texts(&mut self) -> Values {
        let groups =
            if self.is_regex() && self.pattern.contains('(') { Groups::Named } else { self.values.groups.clone() };
        let groups = if matches!(groups, Groups::Router) { Groups::None } else { groups };
        Values { groups, ..self.values.clone() }
    }
}

/// Whether a directive is for answers that `return` gives.
fn is_of_answers(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "add_header",
        "expires",
        "error_page",
        "access_log",
        "error_log",
        "gzip",
        "absolute_redirect",
        "port_in_redirect",
        "server_name_in_redirect",
    ];
    NAMES.contains(&name)
}
