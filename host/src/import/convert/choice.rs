//! What a `map` in `stream` makes of a client's hello, as streams' `names`, `alpn` and `default`.

use super::Import;
use super::text::is_name;
use crate::import::syntax::Directive;

/// Which connections go where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) names: Vec<String>,
    pub(super) alpn: Vec<String>,
    /// What is left of TLS. With none of the three: all that is left.
    pub(super) is_default: bool,
    pub(super) to: String,
}

/// A map's entries.
struct Entries<'d> {
    /// Whether it has `hostnames`.
    masks: bool,
    default: Option<String>,
    all: Vec<(&'d Directive, String, String)>,
}

/// What the variable of a `proxy_pass` chooses among; none where there is no equal.
pub(super) fn of(import: &mut Import<'_>, pass: &Directive) -> Option<Vec<Choice>> {
    let instead = "write a `map` of `$ssl_preread_server_name`, `$ssl_preread_alpn_protocols` or \
                   `$ssl_preread_protocol`, and its variable alone";
    let block = import.stream;
    let name = variable(pass.arg(0));
    let map = block.iter().find(|directive| {
        directive.name() == "map" && directive.args.len() == 2 && name.is_some() && variable(directive.arg(1)) == name
    });
    let Some(map) = map else {
        import.report.lacks(pass, format!("where `{}` leads depends on more than a map", pass.arg(0)), instead);
        return None;
    };
    let entries = entries(import, map)?;
    match variable(map.arg(0)) {
        Some("ssl_preread_server_name") => by_name(import, map, entries),
        Some("ssl_preread_alpn_protocols") => by_protocol(import, map, entries),
        Some("ssl_preread_protocol") => by_version(import, map, entries),
        _ => {
            import.report.lacks(map, format!("connections are not chosen by `{}`", map.arg(0)), instead);
            None
        }
    }
}

/// The name of the variable that a text is.
fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    is_name(name).then_some(name)
}

fn entries<'d>(import: &mut Import<'_>, map: &'d Directive) -> Option<Entries<'d>> {
    let mut entries = Entries { masks: false, default: None, all: Vec::new() };
    for entry in map.inner() {
        let (key, value) = (entry.name(), entry.arg(0));
        match (key, entry.args.len()) {
            ("hostnames", 0) => entries.masks = true,
            ("volatile", 0) => {}
            (_, 1) if value.contains('$') || value.is_empty() => {
                let instead = "write the name of an `upstream`, or an address";
                import.report.lacks(entry, format!("`{value}` is no fixed upstream"), instead);
                return None;
            }
            ("default", 1) => entries.default = Some(value.to_owned()),
            (key, 1) => {
                let key = key.strip_prefix('\\').unwrap_or(key);
                entries.all.push((entry, key.to_owned(), value.to_owned()));
            }
            // `maps` says so.
            _ => return None,
        }
    }
    Some(entries)
}

fn rest(import: &mut Import<'_>, map: &Directive, default: Option<String>) -> Option<Choice> {
    if default.is_none() {
        import.report.differs(map, "has no `default`: nginx closes what is left at once, here HTTP answers it first");
    }
    default.map(|to| Choice { to, ..Choice::default() })
}

fn by_name(import: &mut Import<'_>, map: &Directive, entries: Entries<'_>) -> Option<Vec<Choice>> {
    let mut choices: Vec<Choice> = Vec::new();
    for (entry, key, to) in entries.all {
        if key.is_empty() {
            if Some(&to) != entries.default.as_ref() {
                let instead = "leave the entry out: `default` is for them, too";
                import.report.lacks(entry, "clients that ask for no name are not told apart", instead);
                return None;
            }
            continue;
        }
        let is_regex = key.starts_with('~');
        let name = match key.strip_prefix('~') {
            Some(pattern) => {
                let (pattern, any_case) = pattern.strip_prefix('*').map_or((pattern, false), |rest| (rest, true));
                if !import.regex(entry, pattern, any_case) {
                    return None;
                }
                if any_case { format!("~(?i){pattern}") } else { format!("~{pattern}") }
            }
            None if !entries.masks && (key.contains('*') || key.starts_with('.')) => {
                import.report.differs(entry, "is no name without `hostnames`: no client asks for it");
                continue;
            }
            None => key,
        };
        // The first expression that fits counts: they stay in order.
        let last_regex = choices.iter().rposition(|choice| choice.names.iter().any(|name| name.starts_with('~')));
        let from = if is_regex { last_regex.unwrap_or(0) } else { 0 };
        match choices.iter_mut().skip(from).find(|choice| choice.to == to) {
            Some(choice) => choice.names.push(name),
            None => choices.push(Choice { names: vec![name], to, ..Choice::default() }),
        }
    }
    choices.extend(rest(import, map, entries.default));
    Some(choices)
}

fn by_protocol(import: &mut Import<'_>, map: &Directive, entries: Entries<'_>) -> Option<Vec<Choice>> {
    let mut choices = Vec::new();
    for (entry, key, to) in entries.all {
        if key.is_empty() && Some(&to) == entries.default.as_ref() {
            continue;
        }
        let within =
            key.strip_prefix(r"~\b").and_then(|key| key.strip_suffix(r"\b")).map(|key| key.replace(r"\/", "/"));
        let plain = |name: &str| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/')) && !name.is_empty()
        };
        let protocol = match within {
            Some(name) if plain(&name) => name,
            // RFC 8737, section 3: who offers it offers nothing else.
            None if key == "acme-tls/1" => key,
            _ => {
                let instead = r"such as `~\bh2\b`: one of the protocols that are offered";
                import.report.lacks(entry, format!("`{key}` is more than one protocol among others"), instead);
                return None;
            }
        };
        choices.push(Choice { alpn: vec![protocol], to, ..Choice::default() });
    }
    choices.extend(rest(import, map, entries.default));
    Some(choices)
}

fn by_version(import: &mut Import<'_>, map: &Directive, entries: Entries<'_>) -> Option<Vec<Choice>> {
    let plain = entries.all.iter().find(|(_, key, _)| key.is_empty()).map(|(_, _, to)| to.clone());
    for (entry, key, to) in &entries.all {
        if !key.is_empty() && Some(to) != entries.default.as_ref() {
            let instead = "write `\"\"` for what is no TLS, and `default` for TLS of any version";
            import.report.lacks(entry, "versions of TLS are not told apart", instead);
            return None;
        }
    }
    match (plain, entries.default) {
        (Some(plain), Some(default)) if plain != default => Some(vec![
            Choice { is_default: true, to: default, ..Choice::default() },
            Choice { to: plain, ..Choice::default() },
        ]),
        (Some(_), None) => {
            import.report.lacks(map, "has no `default` for TLS", "write one");
            None
        }
        (_, default) => Some(rest(import, map, default).into_iter().collect()),
    }
}
