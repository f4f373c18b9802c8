//! What the rewrite module does in a server or location, in order: `set`, `if`, `rewrite`,
//! `return`, `break`.

use super::condition::{self, Condition};
use super::text::{Groups, Values};
use super::{Import, place};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};

/// What a block does before anything else.
#[derive(Debug, Default)]
pub(super) struct Script<'d> {
    /// `rewrites`
    pub(super) rules: Vec<Value>,
    /// `respond`
    pub(super) respond: Option<Keys>,
    /// The `return` that it is made of.
    pub(super) returns: Option<&'d Directive>,
    /// What variables are after it.
    pub(super) values: Values,
    /// `add_header` in conditions, with the text that decides.
    pub(super) headers: Vec<(String, Vec<&'d Directive>)>,
}

/// Where it runs.
pub(super) struct Place<'p> {
    /// What variables are before it.
    pub(super) values: &'p Values,
    /// The type of texts that `return` gives.
    pub(super) content_type: String,
    /// Whether the location has a regular expression whose groups can be read.
    pub(super) has_groups: bool,
}

/// Read the script of a block.
pub(super) fn read<'d>(import: &mut Import<'_>, block: &'d [Directive], place: &Place<'_>) -> Script<'d> {
    let mut script = Script { values: place.values.clone(), ..Script::default() };
    if place.has_groups {
        script.values.groups = Groups::Router;
    }
    for directive in block {
        if directive.name() == "if" {
            conditional(import, directive, place, &mut script);
        } else if directive.name() == "limit_except" {
            methods(import, directive, &mut script);
        } else if step(import, directive, None, place, &mut script) {
            break;
        }
    }
    script
}

fn conditional<'d>(import: &mut Import<'_>, directive: &'d Directive, place: &Place<'_>, script: &mut Script<'d>) {
    let before = script.values.groups.clone();
    let when = match condition::read(import, directive, &script.values) {
        None | Some(Condition::Always(false)) => return,
        Some(Condition::Always(true)) => None,
        Some(Condition::When(text, groups)) => {
            if matches!(groups, Groups::Condition { .. }) {
                script.values.groups = groups;
            }
            Some(text)
        }
    };
    let headers: Vec<&Directive> = directive.all("add_header").collect();
    for inner in directive.inner() {
        if step(import, inner, when.as_deref(), place, script) {
            break;
        }
        let name = inner.name();
        let known = matches!(name, "set" | "rewrite" | "return" | "break" | "add_header" | "rewrite_log");
        // What is unknown or has no equal anywhere has been reported.
        let has_equal = crate::import::directives::find(name, crate::import::directives::Contexts::IF_LOCATION)
            .is_some_and(|(_, entry)| {
                !matches!(
                    entry.state,
                    crate::import::directives::State::Lacking(..) | crate::import::directives::State::Ignored(_)
                )
            });
        if !known && has_equal {
            let instead = "a condition decides on `return`, `rewrite`, `set` and `add_header`: write a `map` for the value, or two locations";
            import.report.lacks(inner, "cannot depend on an `if`", instead);
        }
    }
    if let (Some(when), false) = (when, headers.is_empty()) {
        script.headers.push((when, headers));
    }
    if matches!(before, Groups::Router) {
        script.values.groups = before;
    }
}

/// One directive, under a condition if there is one; whether nothing follows it.
fn step<'d>(
    import: &mut Import<'_>,
    directive: &'d Directive,
    when: Option<&str>,
    place: &Place<'_>,
    script: &mut Script<'d>,
) -> bool {
    let mut rule = Keys::default();
    if let Some(when) = when {
        rule.set("if", Value::text(when));
    }
    match directive.name() {
        "set" => set(import, directive, when, script),
        "rewrite" => rewrite(import, directive, rule, script),
        "break" => {
            // Where nothing precedes it, it has nothing to end.
            if when.is_none() && script.rules.is_empty() {
                return true;
            }
            rule.set("flag", Value::text("break"));
            script.rules.push(Value::Table(rule.0));
            return when.is_none();
        }
        "return" => {
            let Some(answer) = answer(import, directive, place, script) else { return when.is_none() };
            if when.is_none() {
                script.respond = Some(answer);
                script.returns = Some(directive);
                return true;
            }
            rule.set("respond", Value::Table(answer.0));
            script.rules.push(Value::Table(rule.0));
        }
        _ => {}
    }
    false
}

fn set(import: &mut Import<'_>, directive: &Directive, when: Option<&str>, script: &mut Script<'_>) {
    let Some(name) = directive.arg(0).strip_prefix('$') else {
        return import.report.broken(directive.name.span.problem("set", "needs a variable", None));
    };
    let value = import.template(directive, directive.arg(1), &script.values);
    let value = match when {
        None => value,
        Some(when) => {
            let before = script.values.set.get(name).cloned().unwrap_or_default();
            condition::choice(import, directive, when, (&value, &before))
        }
    };
    script.values.set.insert(name.to_owned(), value);
}

fn rewrite(import: &mut Import<'_>, directive: &Directive, mut rule: Keys, script: &mut Script<'_>) {
    let (pattern, to, flag) = (directive.arg(0), directive.arg(1), directive.arg(2));
    if !import.regex(directive, pattern, false) {
        return;
    }
    let mut values = script.values.clone();
    values.groups = Groups::Router;
    let target = import.template(directive, to, &values);
    let is_url = ["http://", "https://", "$scheme", "${scheme}"].iter().any(|start| target.starts_with(start));
    if !is_url && !target.starts_with(['/', '$']) {
        let instead = format!("write `/{to}`");
        return import.report.lacks(
            directive,
            format!("`{to}` does not begin with `/`, and is no path that a location could have"),
            instead,
        );
    }
    // A variable whose value begins a URL: nginx redirects only for texts that begin so.
    rule.set("match", Value::text(pattern));
    rule.set("to", Value::text(target));
    match flag {
        "" => {}
        "last" | "break" | "redirect" | "permanent" => rule.set("flag", Value::text(flag)),
        _ => {
            return import.report.broken(directive.name.span.problem(
                "rewrite",
                format!("`{flag}` is not a flag"),
                None,
            ));
        }
    }
    // The condition stands first, for readers.
    script.rules.push(Value::Table(rule.0));
    if matches!(script.values.groups, Groups::None) {
        script.values.groups = Groups::Router;
    }
}

/// What a `return` gives.
fn answer(import: &mut Import<'_>, directive: &Directive, place: &Place<'_>, script: &Script<'_>) -> Option<Keys> {
    let (first, second) = (directive.arg(0), directive.args.get(1).map(|word| word.text.as_str()));
    let (status, text) = match first.parse::<u64>() {
        Ok(status) => (status, second),
        Err(_) => (302, Some(first)),
    };
    let mut keys = Keys::default();
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        let Some(text) = text else {
            import.report.lacks(directive, "redirects without saying where to", "write the URL");
            return None;
        };
        keys.set("status", Value::Count(status));
        let location = import.template(directive, text, &script.values);
        keys.set("location", Value::text(location));
        return Some(keys);
    }
    if !(200..600).contains(&status) {
        import.report.lacks(directive, format!("{status} is not a status from 200 to 599"), "write one of these");
        return None;
    }
    keys.set("status", Value::Count(status));
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        let body = import.template(directive, text, &script.values);
        keys.set("body", Value::text(body));
        if place.content_type != "text/plain" {
            keys.set("content_type", Value::text(place.content_type.clone()));
        }
    }
    Some(keys)
}

/// nginx: `limit_except`.
fn methods(import: &mut Import<'_>, directive: &Directive, script: &mut Script<'_>) {
    let denies_all = matches!(directive.inner(), [only] if only.name() == "deny" && only.arg(0) == "all");
    if !denies_all {
        let instead = "write a location of its own, or only `deny all` in it";
        return import.report.lacks(directive, "judges methods by more than `deny all`", instead);
    }
    let mut methods: Vec<String> = directive.texts().map(regex_lite::escape).collect();
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    let mut keys = Keys::default();
    keys.set("from", Value::text("$request_method"));
    keys.set("default", Value::text("1"));
    keys.put("values", &format!("~^({})$", methods.join("|")), "");
    let name = import.maps.own(&format!("limit_except_{}", directive.name.span.line), keys, place(directive));
    let mut rule = Keys::default();
    rule.set("if", Value::text(format!("${name}")));
    rule.set("respond", Value::Table(vec![("status".to_owned(), Value::Count(403))]));
    script.rules.push(Value::Table(rule.0));
}
