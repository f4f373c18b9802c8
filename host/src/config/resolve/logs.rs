//! `access_log` wherever it stands, and `[log_formats.NAME]`.

use std::collections::HashMap;
use std::sync::Arc;

use super::{maps, note};
use crate::config::defaults;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Named, Reader, Text};
use crate::config::suggest;
use crate::config::types::{AccessLog, LogTarget};
use crate::config::variables::Variables;
use crate::hook::Template;
use crate::observe::{Escape, Format};

/// The forms of lines by name, those that are always there among them.
pub(super) struct Formats(HashMap<String, Arc<Format>>);

/// `[log_formats.*]`.
pub(super) fn formats(root: &Reader<'_>, variables: &Variables) -> Formats {
    let builtin = |name: &str| Some((name.to_owned(), Arc::new(Format::builtin(name)?)));
    let mut all: HashMap<_, _> = Format::BUILTIN.into_iter().filter_map(builtin).collect();
    for Named { name, name_at, value: table } in root.named(&k::LOG_FORMATS) {
        if Format::BUILTIN.contains(&name) {
            root.cx.problem(name_at, &table.path, format!("the format \"{name}\" is there already"));
        }
        if let Some(format) = format(&table, variables) {
            all.insert(name.to_owned(), Arc::new(format));
        }
    }
    Formats(all)
}

fn format(table: &Reader<'_>, variables: &Variables) -> Option<Format> {
    let fields = table.own_map(&k::FORMAT_JSON);
    let is_json = table.own(&k::FORMAT_JSON).is_some();
    match (table.placed(&k::FORMAT_TEMPLATE), is_json) {
        (Some(text), false) => {
            let escape = match table.text(&k::FORMAT_ESCAPE) {
                Some("json") => Escape::Json,
                Some("none") => Escape::None,
                _ => Escape::Default,
            };
            Some(Format::Text(template(table, &text, variables), escape))
        }
        (None, true) => {
            let field = |f: &Named<'_, Text<'_>>| (f.name.to_owned(), template(table, &f.value, variables));
            Some(Format::Json(fields.iter().map(field).collect()))
        }
        (text, _) => {
            // One of the wrong type has been reported.
            if text.is_some() || table.own(&k::FORMAT_TEMPLATE).is_none() {
                table.cx.hinted(
                    table.at,
                    &table.path,
                    "needs either `template` or `json`",
                    "not both, and not neither",
                );
            }
            None
        }
    }
}

/// A template whose variables exist; what is wrong is reported.
pub(super) fn template(table: &Reader<'_>, text: &Text<'_>, variables: &Variables) -> Template {
    match pattern::variables(text.text) {
        Ok(_) => maps::check_variables(table, text, variables),
        Err(fault) => note(table.cx, text.at, &text.path, fault),
    }
    Template::parse(text.text).unwrap_or_default()
}

/// The access logs of a table, or else `inherited`: a list takes the place of another as a
/// whole, as in nginx.
pub(super) fn access_logs(
    table: &Reader<'_>,
    formats: &Formats,
    variables: &Variables,
    inherited: &Arc<[AccessLog]>,
) -> Arc<[AccessLog]> {
    match table.tables_or_false(&k::ACCESS_LOG) {
        Some(logs) => logs.iter().map(|log| one(log, formats, variables)).collect(),
        None => Arc::clone(inherited),
    }
}

/// The access logs of a stream: none unless it says so.
pub(super) fn of_stream(table: &Reader<'_>, formats: &Formats, variables: &Variables) -> Arc<[AccessLog]> {
    let logs = table.tables_or_false(&k::STREAM_LOG).unwrap_or_default();
    let own = |log: &Reader<'_>| {
        let made = one(log, formats, variables);
        let Some(named) = log.own_placed(&k::LOG_FORMAT) else {
            let stream = formats.0.get("stream").map_or(made.format.clone(), Arc::clone);
            return AccessLog { format: stream, ..made };
        };
        let whose = format!("the format \"{}\"", named.text);
        super::stream::check_variables(log, &named, &whose, made.format.variables().into_iter(), variables);
        made
    };
    logs.iter().map(own).collect()
}

fn one(log: &Reader<'_>, formats: &Formats, variables: &Variables) -> AccessLog {
    let target = match log.text(&k::LOG_PATH) {
        None | Some("off") => LogTarget::Off,
        Some("stdout") => LogTarget::Stdout,
        Some(path) => LogTarget::File(log.cx.path(path)),
    };
    let flush = log.duration(&k::LOG_FLUSH);
    let buffer = log.size(&k::LOG_BUFFER).or_else(|| flush.map(|_| defaults::ACCESS_LOG_BUFFER)).unwrap_or_default();
    AccessLog {
        target,
        format: format_of(log, formats),
        condition: log.placed(&k::LOG_IF).map(|text| template(log, &text, variables)),
        buffer: usize::try_from(buffer).unwrap_or(usize::MAX),
        flush,
        tunnel_opening: log.flag(&k::LOG_TUNNEL_OPENING),
        tunnel_interval: log.duration(&k::LOG_TUNNEL_INTERVAL),
    }
}

fn format_of(log: &Reader<'_>, formats: &Formats) -> Arc<Format> {
    let name = log.text(&k::LOG_FORMAT).unwrap_or(defaults::ACCESS_LOG_FORMAT);
    if let Some(format) = formats.0.get(name) {
        return Arc::clone(format);
    }
    if let Some(text) = log.placed(&k::LOG_FORMAT) {
        let hint = match suggest::nearest(name, formats.0.keys().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("define it in [log_formats.{name}]"),
        };
        log.cx.hinted(text.at, &text.path, format!("no log format named \"{name}\""), hint);
    }
    Arc::new(Format::Json(Vec::new()))
}
