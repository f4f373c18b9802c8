//! Files, pages of errors, types, compression.

use super::text::{Groups, Values, literal};
use super::{Import, Route, route::Kind};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};
use crate::import::units;

/// A location that files answer.
pub(super) fn files(route: &mut Route<'_, '_>) {
    root(route);
    route.keys.set("follow_symlinks", Value::text("anywhere"));
    if let Some(tries) = route.chain.of_own("try_files") {
        try_files(route, tries);
    }
}

/// `root` or `alias`: the innermost counts.
fn root(route: &mut Route<'_, '_>) {
    let Some(directive) = route.chain.in_force(&["root", "alias"]).last().copied() else {
        let path = route.import.paths.of_prefix("html");
        return route.keys.set("root", Value::text(path));
    };
    let is_own = route.chain.own().iter().any(|own| std::ptr::eq(own, directive));
    let mut text = directive.arg(0).to_owned();
    if directive.name() == "alias" {
        if !is_own {
            return route.import.report.lacks(
                directive,
                "an `alias` is not inherited by a location within",
                "write `alias` or `root` there",
            );
        }
        if route.is_regex() {
            let values = Values { groups: Groups::Named, ..route.values.clone() };
            let path = route.import.template(directive, &text, &values);
            route.named_groups |= path.contains("$group");
            text = path;
        } else {
            text = literal(&substituted(route.import, directive, &text, &route.values));
        }
        let path = route.import.paths.of_prefix(&text);
        return route.keys.set("alias", Value::text(path));
    }
    let text = substituted(route.import, directive, &text, &route.values);
    if text.contains('$') {
        let instead = "write a server for each folder, or an `alias` with a regular expression's groups";
        return route.import.report.lacks(directive, "the folder has a variable", instead);
    }
    let path = route.import.paths.of_prefix(&text);
    route.keys.set("root", Value::text(path));
}

/// A text with what `set` gave, where that leaves no variable.
fn substituted(import: &mut Import<'_>, directive: &Directive, text: &str, values: &Values) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    let made = import.template(directive, text, values);
    if made.replace("$$", "").contains('$') { text.to_owned() } else { made.replace("$$", "$") }
}

fn try_files(route: &mut Route<'_, '_>, directive: &Directive) {
    let mut tries = Vec::new();
    let words: Vec<&str> = directive.texts().collect();
    for (number, word) in words.iter().enumerate() {
        if number + 1 == words.len() && word.starts_with(['=', '@']) {
            check_named(route, directive, word);
            tries.push((*word).to_owned());
        } else {
            let values = route.values_for_texts();
            tries.push(route.import.template(directive, word, &values));
        }
    }
    route.keys.set("try_files", Value::texts(tries));
}

/// A location that is found by its name must be there.
fn check_named(route: &mut Route<'_, '_>, directive: &Directive, name: &str) {
    if name.starts_with('@') && !route.server.all("location").any(|location| location.arg(0) == name) {
        route.import.report.lacks(directive, format!("the server has no location `{name}`"), "add it");
    }
}

/// nginx: `index`.
pub(in crate::import) fn index(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if route.kind != Kind::Files {
        return;
    }
    let mut names = Vec::new();
    for directive in found {
        for name in directive.texts() {
            if name.contains('$') || name.starts_with('/') {
                route.import.report.lacks(
                    directive,
                    format!("`{name}` is not the name of a file"),
                    "write `try_files`",
                );
            } else if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names != ["index.html"] && !names.is_empty() {
        route.keys.set("index", Value::texts(names));
    }
}

/// nginx: `default_type`.
pub(in crate::import) fn default_type(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let Some(directive) = found.last().filter(|_| route.kind == Kind::Files) else { return };
    if directive.arg(0) != "text/plain" {
        route.keys.set("default_type", Value::text(directive.arg(0)));
    }
}

/// nginx: `disable_symlinks`.
pub(in crate::import) fn disable_symlinks(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if route.kind == Kind::Files && found.last().is_some_and(|directive| directive.arg(0) != "off") {
        route.keys.set("follow_symlinks", Value::text("never"));
    }
}

/// nginx: `types`.
pub(in crate::import) fn types(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let Some(directive) = found.last().copied().filter(|_| route.kind == Kind::Files) else { return };
    let (mut own, mut usual) = (Keys::default(), 0);
    for entry in directive.inner() {
        for extension in entry.texts() {
            match crate::content::usual_type(extension) {
                Some(kind) if kind == entry.name() => usual += 1,
                _ => own.put("types", extension, entry.name()),
            }
        }
    }
    if directive.inner().is_empty() {
        let instead = "write the types of the extensions that there are, such as `types { text/html js; }`";
        return route.import.report.lacks(directive, "the usual types cannot be forgotten", instead);
    }
    if usual < 20 {
        route.import.report.differs(directive, "extensions that are not named here have their usual types");
    }
    route.keys.0.extend(own.0);
}

/// nginx: `error_page`.
pub(in crate::import) fn error_page(route: &mut Route<'_, '_>, found: &[&Directive]) {
    let mut seen: Vec<u16> = Vec::new();
    for directive in found {
        let mut words: Vec<&str> = directive.texts().collect();
        let Some(page) = words.pop() else { continue };
        let shown = words.last().filter(|word| word.starts_with('=')).map(|word| (*word).to_owned());
        if shown.is_some() {
            words.pop();
        }
        let mut codes = Vec::new();
        for word in words {
            match word.parse::<u16>() {
                Ok(code @ (494..=496 | 499)) => {
                    let instead = "write a server at the plain port that redirects";
                    route.import.report.lacks(
                        directive,
                        format!("the status {code} of nginx's own has no page"),
                        instead,
                    );
                }
                Ok(code) if (400..600).contains(&code) => {
                    // nginx: the first that names a status counts.
                    if !seen.contains(&code) {
                        seen.push(code);
                        codes.push(word.to_owned());
                    }
                }
                _ => route.import.report.lacks(
                    directive,
                    format!("`{word}` is not a status from 400 to 599"),
                    "leave it out",
                ),
            }
        }
        if codes.is_empty() {
            continue;
        }
        check_named(route, directive, page);
        let values = route.values_for_texts();
        let page =
            if page.starts_with('@') { page.to_owned() } else { route.import.template(directive, page, &values) };
        let key = codes.join(" ") + &shown.map_or(String::new(), |shown| format!(" {shown}"));
        route.keys.put("error_pages", &key, &page);
    }
}

/// nginx: `gzip`.
pub(in crate::import) fn gzip(route: &mut Route<'_, '_>, found: &[&Directive]) {
    if found.last().is_none_or(|directive| units::flag(directive.arg(0)) != Some(true)) {
        return;
    }
    let chain = &route.chain;
    let mut table = vec![("codings".to_owned(), Value::texts(["gzip"]))];
    if let Some(level) =
        chain.one("gzip_comp_level").and_then(|directive| directive.arg(0).parse().ok()).filter(|level| *level != 1)
    {
        table.push(("gzip_level".to_owned(), Value::Count(level)));
    }
    if let Some(size) = chain.one("gzip_min_length").and_then(|directive| units::size_value(directive.arg(0))) {
        table.push(("min_length".to_owned(), size));
    }
    let mut types: Vec<&str> = Vec::new();
    for kind in chain.in_force(&["gzip_types"]).iter().flat_map(|directive| directive.texts()) {
        if !types.contains(&kind) && kind != "text/html" {
            types.push(kind);
        }
    }
    if !types.is_empty() {
        table.push(("types".to_owned(), Value::texts(types)));
    }
    route.keys.set("compress", Value::Table(table));
}
