//! `add_header`, `expires`.

use super::text::Values;
use super::{Import, Route, condition, route::Kind};
use crate::hook::is_hosts_own;
use crate::import::syntax::Directive;
use crate::import::toml::Value;
use crate::import::units;

/// One header to add.
struct Rule<'d> {
    directive: &'d Directive,
    name: String,
    value: String,
    always: bool,
}

/// nginx: `add_header`.
pub(in crate::import) fn add_header(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let mut rules = rules(route.import, found, &route.values);
    for (when, directives) in std::mem::take(&mut route.headers) {
        // Where the condition holds, its headers take the place of the others, all of them.
        let then = self::rules(route.import, &directives, &route.values);
        for rule in &mut rules {
            let other = then.iter().find(|other| other.name.eq_ignore_ascii_case(&rule.name));
            let value = other.map_or("", |other| other.value.as_str());
            rule.always |= other.is_some_and(|other| other.always);
            rule.value = condition::choice(route.import, rule.directive, &when, (value, &rule.value));
        }
        for rule in then {
            if !rules.iter().any(|known| known.name.eq_ignore_ascii_case(&rule.name)) {
                let value = condition::choice(route.import, rule.directive, &when, (&rule.value, ""));
                rules.push(Rule { value, ..rule });
            }
        }
    }
    for rule in rules {
        if rule.name.eq_ignore_ascii_case("content-type") && route.kind == Kind::Answer {
            // nginx sends two types then; a text has one.
            route.content_type = Some(rule.value);
            continue;
        }
        let key = if rule.always { "append_response_headers" } else { "add_response_headers" };
        route.keys.put(key, &rule.name, &rule.value);
    }
}

fn rules<'d>(import: &mut Import<'_>, found: &[&'d Directive], values: &Values) -> Vec<Rule<'d>> {
    let mut rules: Vec<Rule<'d>> = Vec::new();
    for directive in found {
        let name = directive.arg(0);
        if is_hosts_own(name) {
            import.report.differs(directive, format!("`{name}` is the proxy's own, and right without this"));
            continue;
        }
        let value = import.template(directive, directive.arg(1), values);
        let always = directive.arg(2) == "always";
        match rules.iter_mut().find(|rule| rule.name.eq_ignore_ascii_case(name)) {
            Some(_) if name.eq_ignore_ascii_case("set-cookie") => {
                import.report.lacks(
                    directive,
                    "a name stands once in a table, and cookies cannot be joined",
                    "set the second in the backend",
                );
            }
            Some(before) => {
                // RFC 9110 §5.3: lines of a name are one list.
                before.value = format!("{}, {value}", before.value);
                before.always |= always;
            }
            None => rules.push(Rule { directive, name: name.to_owned(), value, always }),
        }
    }
    rules
}

/// nginx: `expires`.
pub(in crate::import) fn expires(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let Some(directive) = found.last().copied() else { return };
    let text = directive.arg(0);
    let cache = match text {
        "off" => return,
        "epoch" => "no-cache".to_owned(),
        "max" => "max-age=315360000".to_owned(),
        _ if text.starts_with('-') => "no-cache".to_owned(),
        _ => match units::time(text).filter(|_| directive.args.len() == 1) {
            Some(time) => format!("max-age={}", time.as_secs()),
            None => {
                let instead = "write a time such as `30d`, or `add_header Cache-Control` with a map";
                return route.import.report.lacks(
                    directive,
                    "a time of the day, of a file or of a variable is not worked out",
                    instead,
                );
            }
        },
    };
    // Beside what `add_header` says, in one line.
    for key in ["add_response_headers", "append_response_headers"] {
        if let Some(Value::Table(table)) = route.keys.get(key)
            && let Some((name, Value::Text(before))) =
                table.iter().find(|(name, _)| name.eq_ignore_ascii_case("cache-control"))
        {
            let (name, value) = (name.clone(), format!("{cache}, {before}"));
            return route.keys.put(key, &name, &value);
        }
    }
    route.keys.put("add_response_headers", "Cache-Control", &cache);
}
