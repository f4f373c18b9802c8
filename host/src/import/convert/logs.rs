//! `log_format`, `access_log`, `error_log`.

use super::text::Values;
use super::{Import, Route, top};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value};
use crate::import::units;

/// Names of formats that are here and not in nginx.
const TAKEN: [&str; 3] = ["upgrade", "json", "stream"];

/// What a format of `http` is called here.
pub(super) fn name_in_http(_import: &Import<'_>, name: &str) -> String {
    if TAKEN.contains(&name) { format!("nginx_{name}") } else { name.to_owned() }
}

/// What a format of `stream` is called here, which may have the name of one of `http`.
pub(super) fn name_in_stream(import: &Import<'_>, name: &str) -> String {
    let is_theirs = |directive: &Directive| directive.name() == "log_format" && directive.arg(0) == name;
    match name == "combined" || import.http.iter().any(is_theirs) {
        true => format!("stream_{name}"),
        false => name_in_http(import, name),
    }
}

/// How formats are called.
type Naming = fn(&Import<'_>, &str) -> String;

/// nginx: `log_format`.
pub(super) fn log_format(import: &mut Import<'_>, directive: &Directive, naming: Naming) {
    let mut keys = Keys::default();
    let (mut template, mut escape) = (String::new(), None);
    for word in directive.texts().skip(1) {
        match word.strip_prefix("escape=").filter(|_| template.is_empty()) {
            Some(way) => escape = Some(way.to_owned()),
            None => template.push_str(word),
        }
    }
    let name = naming(import, directive.arg(0));
    if name == "combined" {
        return;
    }
    let template = top::template(import, directive, &template);
    keys.set("template", Value::text(template));
    if let Some(escape) = escape.filter(|escape| escape != "default") {
        keys.set("escape", Value::text(escape));
    }
    let path = format!("log_formats.{}", crate::import::toml::bare(&name));
    let section = top::commented(import, Section { keys, ..Section::table(path) }, directive);
    import.formats.push(section);
}

/// nginx: `access_log` in `http`, once maps are known.
pub(super) fn of_http(import: &mut Import<'_>) {
    let http = import.http;
    let found: Vec<&Directive> = http.iter().filter(|directive| directive.name() == "access_log").collect();
    if found.iter().any(|directive| directive.arg(0) == "off") {
        return;
    }
    for directive in found {
        if let Some(keys) = one(import, directive, &Values::default(), name_in_http) {
            let section = top::commented(import, Section { keys, ..Section::item("access_log") }, directive);
            import.logs.push(section);
        }
    }
}

/// The access logs in force; none where nothing is said.
pub(in crate::import) fn access_log(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if found.iter().any(|directive| directive.arg(0) == "off") {
        return route.keys.set("access_log", Value::Flag(false));
    }
    let logs: Vec<Value> = found
        .iter()
        .filter_map(|directive| one(route.import, directive, &route.values, name_in_http))
        .map(|keys| Value::Table(keys.0))
        .collect();
    if !logs.is_empty() {
        route.keys.set("access_log", Value::List(logs));
    }
}

/// The access logs of a stream; nginx has none where nothing is said.
pub(super) fn of_stream(import: &mut Import<'_>, found: &[&Directive]) -> Vec<Value> {
    if found.iter().any(|directive| directive.arg(0) == "off") {
        return Vec::new();
    }
    let mut logs = Vec::new();
    for directive in found {
        logs.extend(one(import, directive, &Values::default(), name_in_stream).map(|keys| Value::Table(keys.0)));
    }
    logs
}

fn one(import: &mut Import<'_>, directive: &Directive, values: &Values, naming: Naming) -> Option<Keys> {
    let mut keys = Keys::default();
    let path = directive.arg(0);
    if path.starts_with("syslog:") || path.contains('$') {
        let instead = "write a file or /dev/stdout, and let the system's log collect that";
        import.report.lacks(directive, format!("a log cannot go to `{path}`"), instead);
        return None;
    }
    let path = match path {
        "/dev/stdout" | "/proc/self/fd/1" => "stdout".to_owned(),
        "/dev/null" => return None,
        path => import.paths.of_prefix(path),
    };
    keys.set("path", Value::text(path));
    for word in directive.texts().skip(1) {
        match word.split_once('=') {
            Some(("buffer", size)) => keys.set("buffer", units::size_value(size)?),
            Some(("flush", time)) => keys.set("flush", units::time_value(time)?),
            Some(("if", text)) => {
                let text = import.template(directive, text, values);
                keys.set("if", Value::text(text));
            }
            Some(("gzip", _)) => import.report.differs(directive, "the file is not compressed"),
            _ if word == "gzip" => import.report.differs(directive, "the file is not compressed"),
            _ => keys.set("format", Value::text(naming(import, word))),
        }
    }
    Some(keys)
}

fn level(word: &str) -> &'static str {
    match word {
        "debug" => "debug",
        "info" | "notice" => "info",
        "warn" => "warn",
        _ => "error",
    }
}

/// nginx: `error_log` in `main`.
pub(super) fn process_log(import: &mut Import<'_>, directive: &Directive) {
    import.log.set("level", Value::text(level(directive.arg(1))));
}

/// nginx: `error_log` in `http`, `server`, `location`.
pub(in crate::import) fn error_log(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if let Some(last) = found.last() {
        route.keys.set("log_level", Value::text(level(last.arg(1))));
    }
}
