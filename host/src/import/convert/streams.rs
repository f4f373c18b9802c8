//! `stream`: connections that are passed on as they are, as `[[streams]]`.

use super::chain::Chain;
use super::choice::{self, Choice};
use super::upstreams::Target;
use super::{Import, access, dial, limits, listen, logs, top};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value};
use crate::import::units;

/// Keys that are times.
const TIMES: [(&str, &str); 3] = [
    ("proxy_connect_timeout", "connect_timeout"),
    ("proxy_timeout", "idle_timeout"),
    ("proxy_next_upstream_timeout", "next_upstream_timeout"),
];

/// Streams, as they are made.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) sections: Vec<Section>,
    /// The names that they have, written or not.
    names: Vec<String>,
}

/// The group of an `upstream` in `stream`, whose names are not those in `http`.
pub(super) fn group(name: &str) -> String {
    format!("stream:{name}")
}

/// Read `stream`.
pub(super) fn read(import: &mut Import<'_>) {
    let block = import.stream;
    for directive in block {
        match directive.name() {
            "log_format" => logs::log_format(import, directive, logs::name_in_stream),
            "limit_conn_zone" => limits::zone(import, directive),
            _ => {}
        }
    }
    let servers: Vec<&Directive> = block.iter().filter(|directive| directive.name() == "server").collect();
    let listens: Vec<Vec<listen::OfStream>> = servers
        .iter()
        .map(|server| server.all("listen").filter_map(|one| listen::of_stream(import, one)).collect())
        .collect();
    for (number, server) in servers.iter().enumerate() {
        let (whole, named) = divided(&listens, number);
        let before = import.streams.sections.len();
        one(import, server, &whole, Vec::new());
        let names: Vec<String> = server.all("server_name").flat_map(Directive::texts).map(str::to_owned).collect();
        match names.is_empty() && !named.is_empty() {
            true => import.report.differs(
                server,
                "has no name, and is at no address the first or the default: no connection comes to it",
            ),
            false => one(import, server, &named, names),
        }
        // What is left out as a whole is listened at nowhere.
        if import.streams.sections.len() > before {
            let chain = Chain::new(block).with(server.inner());
            for listen in listens.get(number).into_iter().flatten() {
                listen::add_stream(import, listen, &chain);
            }
        }
    }
}

/// A server's addresses: where it takes all, and where it takes what asks for its names.
fn divided(listens: &[Vec<listen::OfStream>], number: usize) -> (Vec<String>, Vec<String>) {
    let (mut whole, mut named) = (Vec::new(), Vec::new());
    for listen in listens.get(number).into_iter().flatten() {
        for address in &listen.addresses {
            let at = |other: &&Vec<listen::OfStream>| other.iter().any(|listen| listen.addresses.contains(address));
            let says = |other: &Vec<listen::OfStream>| {
                other.iter().any(|listen| listen.is_default && listen.addresses.contains(address))
            };
            let first = listens.iter().position(says).or_else(|| listens.iter().position(|other| at(&other)));
            if first == Some(number) { &mut whole } else { &mut named }.push(address.clone());
        }
    }
    (whole, named)
}

/// The streams of a server at some of its addresses, for some names or for all.
fn one(import: &mut Import<'_>, server: &Directive, listen: &[String], names: Vec<String>) {
    if listen.is_empty() {
        return;
    }
    let chain = Chain::new(import.stream).with(server.inner());
    let Some(pass) = server.all("proxy_pass").last() else {
        // Where something else stands in its place, that has been said.
        if !["return", "pass"].iter().any(|name| server.all(name).next().is_some()) {
            import.report.lacks(server, "has no `proxy_pass`", "write where connections go");
        }
        return;
    };
    let by_name = !names.is_empty() || pass.arg(0).contains('$');
    if by_name && server.all("listen").any(|listen| listen.texts().any(|word| word == "ssl")) {
        let instead = "leave `ssl` out of `listen`, or write a `server` of `http`";
        return import.report.lacks(pass, "goes by names where TLS is terminated before they are looked at", instead);
    }
    if by_name && !chain.is_on("ssl_preread") {
        let instead = "write `ssl_preread on`";
        return import.report.lacks(pass, "goes by what the client asks for, which nobody looks at", instead);
    }
    let choices = match (pass.arg(0).contains('$'), names.is_empty()) {
        (false, _) => vec![Choice { names, to: pass.arg(0).to_owned(), ..Choice::default() }],
        (true, true) => choice::of(import, pass).unwrap_or_default(),
        (true, false) => {
            let instead = "put the names into the `map`";
            return import.report.lacks(pass, "goes by a variable within some names", instead);
        }
    };
    for choice in choices {
        let made = section(import, &chain, server, pass, listen, &choice);
        import.streams.sections.extend(made);
    }
}

/// One stream.
fn section(
    import: &mut Import<'_>,
    chain: &Chain<'_>,
    server: &Directive,
    pass: &Directive,
    listen: &[String],
    choice: &Choice,
) -> Option<Section> {
    let to = leads(import, chain, pass, &choice.to)?;
    let mut keys = Keys::default();
    let usual = choice.names.first().map_or_else(|| to.clone(), |name| name.to_lowercase());
    if let Some(name) = import.streams.name(&usual) {
        keys.set("name", Value::text(name));
    }
    keys.set("listen", Value::texts(listen.to_vec()));
    for (key, list) in [("names", &choice.names), ("alpn", &choice.alpn)] {
        if !list.is_empty() {
            keys.set(key, Value::texts(list.clone()));
        }
    }
    if choice.is_default {
        keys.set("default", Value::Flag(true));
    }
    if !pass.arg(0).contains('$') && choice.names.is_empty() && chain.is_on("ssl_preread") {
        keys.set("preread", Value::Flag(true));
    }
    keys.set("upstream", Value::text(to));
    options(import, chain, &mut keys);
    Some(top::commented(import, Section { keys, ..Section::item("streams") }, server))
}

fn options(import: &mut Import<'_>, chain: &Chain<'_>, keys: &mut Keys) {
    for (name, key) in TIMES {
        let Some(directive) = chain.one(name) else { continue };
        match units::time_value(directive.arg(0)) {
            Some(value) => keys.set(key, value),
            None => import.report.broken(directive.name.span.problem(name, "is not a time", None)),
        }
    }
    if let Some(directive) = chain.one("proxy_next_upstream_tries") {
        match directive.arg(0).parse() {
            Ok(count) => keys.set("next_upstream_tries", Value::Count(count)),
            Err(_) => import.report.broken(directive.name.span.problem(directive.name(), "is not a number", None)),
        }
    }
    if chain.word("proxy_next_upstream").eq_ignore_ascii_case("off") {
        keys.set("next_upstream", Value::Flag(false));
    }
    if chain.is_on("proxy_half_close") {
        keys.set("half_close", Value::Flag(true));
    }
    let rules = access::rules(import, chain);
    if !rules.is_empty() {
        keys.set("access", Value::texts(rules));
    }
    let open = limits::open(import, &chain.in_force(&["limit_conn"]));
    if !open.is_empty() {
        keys.set("concurrent", Value::List(open));
    }
    let mut kept = logs::of_stream(import, &chain.in_force(&["access_log"]));
    match kept.len() {
        0 => {}
        1 => keys.0.extend(kept.pop().map(|log| ("access_log".to_owned(), log))),
        _ => keys.set("access_log", Value::List(kept)),
    }
}

/// What a stream is told of where it leads.
fn leads(import: &mut Import<'_>, chain: &Chain<'_>, pass: &Directive, to: &str) -> Option<String> {
    let has_port = to.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = match import.upstreams.is_named(&group(to)) {
        true => group(to),
        false if has_port || to.starts_with("unix:") => to.to_owned(),
        false => {
            import.report.lacks(
                pass,
                format!("`{to}` is no `upstream` of `stream` and has no port"),
                "such as `10.0.0.1:5432`",
            );
            return None;
        }
    };
    let target = Target { tls: chain.is_on("proxy_ssl"), authority, uri: String::new(), choices: Vec::new() };
    let mut how = dial::options(import, chain, &target);
    how.proxy_protocol = chain.is_on("proxy_protocol");
    let name = import.upstreams.refer(pass, &target, how);
    Some(name.strip_prefix("http://").unwrap_or(&name).to_owned())
}

impl Streams {
    /// The name that a stream must be given, where the usual one is another's.
    fn name(&mut self, usual: &str) -> Option<String> {
        let mut name = usual.to_owned();
        let mut number = 1;
        while self.names.contains(&name) {
            number += 1;
            name = format!("{usual}-{number}");
        }
        self.names.push(name.clone());
        (number > 1).then_some(name)
    }
}
