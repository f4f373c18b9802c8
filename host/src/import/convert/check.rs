//! Every directive against the table: whether it is known, stands where it may, and has an
//! equal.

use super::Import;
use crate::import::directives::{self, Contexts, State};
use crate::import::syntax::Directive;

/// Look at all directives.
pub(super) fn check(import: &mut Import<'_>, directives: &[Directive]) {
    block(import, directives, Contexts::MAIN, &asked(directives));
}

/// The paths that `auth_request` asks for.
fn asked(directives: &[Directive]) -> Vec<&str> {
    let own =
        directives.iter().filter(|directive| directive.name() == "auth_request").map(|directive| directive.arg(0));
    own.chain(directives.iter().flat_map(|directive| asked(directive.inner()))).collect()
}

fn block(import: &mut Import<'_>, directives: &[Directive], context: Contexts, asked: &[&str]) {
    for directive in directives {
        one(import, directive, context);
        if let Some(inner) = context_in(directive.name(), context) {
            let is_asked = context == Contexts::SERVER
                && directive.args.last().is_some_and(|word| asked.contains(&word.text.as_str()));
            // A question has no body anyway.
            let kept = |directive: &&Directive| !(is_asked && directive.name() == "proxy_pass_request_body");
            let within: Vec<Directive> =
                if is_asked { directive.inner().iter().filter(kept).cloned().collect() } else { Vec::new() };
            block(import, if is_asked { &within } else { directive.inner() }, inner, asked);
        }
    }
}

/// The context that a block makes; none where what is in it are no directives, or where it is
/// left out as a whole.
fn context_in(name: &str, context: Contexts) -> Option<Contexts> {
    Some(match (name, context) {
        ("events", Contexts::MAIN) => Contexts::EVENTS,
        ("stream", Contexts::MAIN) => Contexts::STREAM,
        ("server", Contexts::STREAM) => Contexts::STREAM_SERVER,
        ("upstream", Contexts::STREAM) => Contexts::STREAM_UPSTREAM,
        ("http", Contexts::MAIN) => Contexts::HTTP,
        ("server", Contexts::HTTP) => Contexts::SERVER,
        ("upstream", Contexts::HTTP) => Contexts::UPSTREAM,
        ("location", Contexts::SERVER | Contexts::LOCATION) => Contexts::LOCATION,
        ("if", Contexts::SERVER) => Contexts::IF_SERVER,
        ("if", Contexts::LOCATION) => Contexts::IF_LOCATION,
        ("limit_except", Contexts::LOCATION) => Contexts::LIMIT_EXCEPT,
        _ => return None,
    })
}

fn one(import: &mut Import<'_>, directive: &Directive, context: Contexts) {
    let name = directive.name();
    let span = &directive.name.span;
    let Some((_, entry)) = directives::find(name, context) else {
        let mut others = directives::of_name(name).map(|(_, entry)| entry.contexts);
        let problem = if let Some(first) = others.next() {
            let contexts = others.fold(first, Contexts::and);
            let message = format!("does not stand in {}", context.names());
            span.problem(name, message, Some(format!("it stands in: {}", contexts.names())))
        } else if let Some((why, instead)) = directives::foreign(name) {
            return import.report.lacks(directive, why, instead);
        } else {
            let hint = match directives::nearest(name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "leave it out, or keep nginx for it".to_owned(),
            };
            return import.report.lacks(directive, "is no directive that is known", hint);
        };
        return import.report.broken(problem);
    };
    if directive.args.is_empty()
        && directive.block.is_none()
        && !matches!(
            name,
            "break"
                | "internal"
                | "ip_hash"
                | "least_conn"
                | "random"
                | "stub_status"
                | "vhost_traffic_status_display"
                | "ntlm"
                | "health_check"
        )
    {
        return import.report.broken(span.problem(name, "has no arguments", None));
    }
    if let State::Lacking(why, instead) = entry.state {
        let words: Vec<&str> = directive.texts().collect();
        if !entry.harmless.contains(&words.join(" ").as_str()) {
            import.report.lacks(directive, why, instead);
        }
    }
}
