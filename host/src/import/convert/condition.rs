//! `if ( … )`: a condition as a text that is empty or `0` where it does not hold.

use super::Import;
use super::text::{Groups, Values, is_name};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};

/// What a condition comes to.
pub(super) enum Condition {
    /// It always holds, or never.
    Always(bool),
    /// A text, and what its expression captures.
    When(String, Groups),
}

/// Read the condition of an `if`; none where it has no equal, which is reported.
pub(super) fn read(import: &mut Import<'_>, directive: &Directive, values: &Values) -> Option<Condition> {
    let mut words: Vec<&str> = directive.texts().collect();
    let first = words.first_mut()?;
    let Some(open) = first.strip_prefix('(') else {
        import.report.broken(directive.name.span.problem("if", "has no condition in parentheses", None));
        return None;
    };
    *first = open;
    if let Some(close) = words.last_mut().and_then(|last| last.strip_suffix(')')) {
        let last = words.len() - 1;
        words.truncate(last);
        words.push(close);
    }
    // A parenthesis that stood alone, or behind a quote.
    if words.first() == Some(&"") && words.len() > 1 {
        words.remove(0);
    }
    if words.last() == Some(&"") && words.len().is_multiple_of(2) {
        words.pop();
    }
    match words.as_slice() {
        [variable] => truth(import, directive, variable, values),
        [variable, operator @ ("=" | "!="), text] => {
            equality(import, directive, (variable, text), *operator == "!=", values)
        }
        [variable, operator @ ("~" | "~*" | "!~" | "!~*"), pattern] => {
            matching(import, directive, (variable, operator, pattern), values)
        }
        [test, ..] if test.trim_start_matches('!').starts_with('-') => {
            let instead = "write `try_files`, such as `try_files $uri $uri/ /index.html`";
            import.report.lacks(directive, "asks the disk for a file", instead);
            None
        }
        _ => {
            import.report.broken(directive.name.span.problem("if", "has no condition that nginx knows", None));
            None
        }
    }
}

/// The text that a condition looks at.
fn subject(import: &mut Import<'_>, directive: &Directive, variable: &str, values: &Values) -> Option<String> {
    if !variable.strip_prefix('$').is_some_and(|name| is_name(name.trim_matches(['{', '}']))) {
        import.report.broken(directive.name.span.problem("if", format!("`{variable}` is not a variable"), None));
        return None;
    }
    let name = variable.trim_start_matches('$').trim_matches(['{', '}']);
    if import.defined.contains(name) && !values.set.contains_key(name) {
        let instead = "put the condition into the regular expression of the location";
        import.report.lacks(
            directive,
            format!("`${name}` is captured while the route is looked for, and not known yet"),
            instead,
        );
        return None;
    }
    Some(import.template(directive, variable, values))
}

fn truth(import: &mut Import<'_>, directive: &Directive, variable: &str, values: &Values) -> Option<Condition> {
    let text = subject(import, directive, variable, values)?;
    Some(match text.contains('$') {
        true => Condition::When(text, Groups::None),
        false => Condition::Always(!matches!(text.as_str(), "" | "0")),
    })
}

fn equality(
    import: &mut Import<'_>,
    directive: &Directive,
    (variable, text): (&str, &str),
    negated: bool,
    values: &Values,
) -> Option<Condition> {
    let from = subject(import, directive, variable, values)?;
    let text = import.template(directive, text, values);
    if text.replace("$$", "").contains('$') {
        let instead = "write a `map` of both variables together, such as `map \"$a:$b\" $same { … }`";
        import.report.lacks(directive, "compares a variable with another", instead);
        return None;
    }
    if !from.contains('$') {
        return Some(Condition::Always((from == text) != negated));
    }
    let text = text.replace("$$", "$");
    // Texts are compared without case in maps, and with it in conditions.
    let has_letters = text.chars().any(char::is_alphabetic);
    let key =
        if has_letters || text.starts_with(['~', '\\']) { format!("~^{}$", regex_lite::escape(&text)) } else { text };
    Some(Condition::When(map(import, directive, &from, &key, negated), Groups::None))
}

fn matching(
    import: &mut Import<'_>,
    directive: &Directive,
    (variable, operator, pattern): (&str, &str, &str),
    values: &Values,
) -> Option<Condition> {
    let from = subject(import, directive, variable, values)?;
    let (negated, any_case) = (operator.starts_with('!'), operator.ends_with('*'));
    if !import.regex(directive, pattern, any_case) {
        return None;
    }
    if !from.contains('$') {
        let regex = regex_lite::RegexBuilder::new(pattern).case_insensitive(any_case).build().ok()?;
        return Some(Condition::Always(regex.is_match(&from) != negated));
    }
    let key = format!("~{}{pattern}", if any_case { "*" } else { "" });
    let groups = if negated {
        Groups::None
    } else {
        Groups::Condition { from: from.clone(), pattern: key.clone(), line: directive.name.span.line }
    };
    Some(Condition::When(map(import, directive, &from, &key, negated), groups))
}

/// A variable that is `1` where an entry fits, or where it does not.
fn map(import: &mut Import<'_>, directive: &Directive, from: &str, key: &str, negated: bool) -> String {
    let mut keys = Keys::default();
    keys.set("from", Value::text(from));
    if negated {
        keys.set("default", Value::text("1"));
    }
    keys.put("values", key, if negated { "" } else { "1" });
    // What rules change is looked at anew.
    if ["$uri", "$args", "$query_string", "$document_uri"].iter().any(|name| from.contains(name)) {
        keys.set("volatile", Value::Flag(true));
    }
    let line = directive.name.span.line;
    let name = import.maps.own(&format!("if_{line}"), keys, super::place(directive));
    format!("${name}")
}

/// The text that is one thing where a condition holds, and another where it does not.
pub(super) fn choice(
    import: &mut Import<'_>,
    directive: &Directive,
    condition: &str,
    (then, other): (&str, &str),
) -> String {
    if then == other {
        return then.to_owned();
    }
    let mut keys = Keys::default();
    keys.set("from", Value::text(condition));
    keys.set("default", Value::text(then));
    keys.put("values", "", other);
    keys.put("values", "0", other);
    let line = directive.name.span.line;
    let name = import.maps.own(&format!("{}_{line}", directive.name()), keys, super::place(directive));
    format!("${name}")
}
