//! A `server` block as `[[sites]]`.

use super::chain::Chain;
use super::route::{Kind, Route};
use super::text::Values;
use super::tree::{Node, render};
use super::{Import, location, place, script, tls, top};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value};

/// The tables of a server; several sites where it is the default at some of its addresses only.
pub(super) fn convert<'d>(import: &mut Import<'d>, server: &'d Directive, number: usize) -> Vec<Section> {
    let chain = Chain::new(import.http).with(server.inner());
    let names = names(import, server, number);
    let mut site = Section::item("sites");
    if !names.is_empty() {
        site.keys.set("names", Value::texts(names));
    }
    let mut secured = Section::default();
    if import.listeners.has_tls(number) {
        tls::site(import, server, &chain, &mut secured);
    }
    let (nodes, own) = contents(import, server, &chain);
    let (hoisted, routes) = render(nodes, "sites.routes");
    let mut all = Vec::new();
    for part in import.listeners.parts(number) {
        let mut site = top::commented(import, site.clone(), server);
        if !part.listen.is_empty() {
            site.keys.set("listen", Value::texts(part.listen.clone()));
        }
        if part.default {
            site.keys.set("default", Value::Flag(true));
        }
        let is_dead = !site.keys.has("names") && !import.listeners.is_default(number, &part.listen);
        if is_dead {
            import
                .report
                .differs(server, "has no name, and is at no address the first or the default: no request comes to it");
            continue;
        }
        for (key, value) in secured.keys.0.iter().chain(&hoisted.0).chain(&own.0) {
            site.keys.set(key, value.clone());
        }
        all.push(site);
        all.extend(routes.iter().cloned());
    }
    all
}

/// `server_name`, without what nginx ignores.
fn names(import: &mut Import<'_>, server: &Directive, number: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for directive in server.all("server_name") {
        for name in directive.texts() {
            // The name that is none; requests without a host go to the default.
            if name == "_" || name.is_empty() || names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            if name.starts_with('$') {
                import.report.lacks(directive, format!("`{name}` is a variable"), "write the name");
                continue;
            }
            if let Some(pattern) = name.strip_prefix('~')
                && !import.regex(directive, pattern, false)
            {
                continue;
            }
            let twin = import
                .names
                .iter()
                .any(|(known, other)| known.eq_ignore_ascii_case(name) && import.listeners.meet(*other, number));
            if twin {
                import.report.differs(
                    directive,
                    format!(
                        "`{name}` is a name of another server at the same address, which gets its requests, as in nginx"
                    ),
                );
                continue;
            }
            names.push(name.to_owned());
        }
    }
    import.names.extend(names.iter().map(|name| (name.clone(), number)));
    names
}

/// The routes of a server, and what it says itself.
fn contents<'d>(import: &mut Import<'d>, server: &'d Directive, chain: &Chain<'d>) -> (Vec<Node>, Keys) {
    let before = Values::default();
    let at = script::Place { values: &before, content_type: content_type(chain), has_groups: false };
    let script = script::read(import, server.inner(), &at);
    let mut own = Keys::default();
    if !script.rules.is_empty() {
        own.set("rewrites", Value::List(script.rules.clone()));
    }
    if let (Some(answer), Some(returns)) = (&script.respond, script.returns) {
        // nginx does not look for a location then.
        let mut route = Route {
            import,
            chain: chain.clone(),
            server,
            values: script.values.clone(),
            pattern: String::new(),
            kind: Kind::Answer,
            headers: Vec::new(),
            keys: Keys::default(),
            content_type: None,
            target: None,
            named_groups: false,
        };
        route.settle();
        let Route { keys, content_type, .. } = route;
        own.0.extend(keys.0);
        own.set("respond", location::answer(answer, content_type));
        if let Some(unread) = server.all("location").next() {
            let line = returns.name.span.line;
            import.report.differs(
                unread,
                format!("no location is looked for: the `return` in line {line} answers every request"),
            );
        }
        return (Vec::new(), own);
    }
    let mut nodes = Vec::new();
    for directive in server.all("location") {
        nodes.extend(location::convert(import, server, chain, directive, &script.values));
    }
    nodes.extend(location::implicit(import, server, chain, &script.values));
    (nodes, own)
}

/// The type of texts that `return` gives.
pub(super) fn content_type(chain: &Chain<'_>) -> String {
    match chain.word("default_type") {
        "" => "text/plain".to_owned(),
        kind => kind.to_owned(),
    }
}

/// The comment of a route.
pub(super) fn comments(import: &Import<'_>, directive: &Directive) -> Vec<String> {
    let mut comments = vec![place(directive)];
    comments.extend(import.report.left_out(directive.inner()));
    comments
}
