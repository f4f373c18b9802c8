//! A `location` block as a route.

use super::chain::Chain;
use super::route::{Kind, Route};
use super::text::{Values, with_names};
use super::tree::Node;
use super::upstreams::{Dial, Target};
use super::{Import, access, content, listen, peers, proxy, script, server};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Value};

/// The route of a location, with those within it; none for one that needs none.
pub(super) fn convert<'d>(
    import: &mut Import<'d>,
    server: &'d Directive,
    outer: &Chain<'d>,
    directive: &'d Directive,
    values: &Values,
) -> Option<Node> {
    let pattern = pattern(import, directive)?;
    let chain = outer.with(directive.inner());
    if chain.of_own("internal").is_some() && is_only_asked(server, directive) {
        return None;
    }
    let mut node = own(import, server, &chain, &pattern, values);
    node.comments = server::comments(import, directive);
    node.children =
        directive.all("location").filter_map(|inner| convert(import, server, &chain, inner, values)).collect();
    if pattern.starts_with('@')
        && ["respond", "rewrites", "rewrite", "replace_prefix", "alias"].iter().any(|key| node.keys.has(key))
    {
        let instead = "write a location with a path, and lead to that";
        import.report.lacks(
            directive,
            "a location that is found by its name answers from an upstream or files as they are",
            instead,
        );
    }
    Some(node)
}

/// What nginx does with requests that no location takes: it serves files.
pub(super) fn implicit<'d>(
    import: &mut Import<'d>,
    server: &'d Directive,
    chain: &Chain<'d>,
    values: &Values,
) -> Option<Node> {
    let takes_all = |location: &&Directive| {
        let words: Vec<&str> = location.texts().collect();
        matches!(words.as_slice(), ["/"] | ["^~", "/"] | ["^~/"])
    };
    if server.all("location").any(|location| takes_all(&location)) {
        return None;
    }
    let root = chain.word("root");
    // What `add_header` gives is on the 404 that there is without files, too.
    let says_so = ["try_files", "add_header"].iter().any(|name| chain.of_own(name).is_some()) || !root.is_empty();
    if !says_so && !import.paths.on_disk("html").is_dir() {
        return None;
    }
    let mut node = own(import, server, chain, "/", values);
    // What is of the server already ran there.
    node.keys.take("rewrites");
    node.comments = vec!["nginx serves files where no location takes a request".to_owned()];
    Some(node)
}

/// nginx: `internal`. Whether the location is asked by `auth_request` only, which asks its
/// upstream here.
fn is_only_asked(server: &Directive, location: &Directive) -> bool {
    fn asks(block: &Directive, server: &Directive, location: &Directive) -> bool {
        let here = block
            .all("auth_request")
            .any(|ask| access::location_of(server, ask.arg(0)).is_some_and(|found| std::ptr::eq(found, location)));
        here || block.all("location").any(|inner| asks(inner, server, location))
    }
    asks(server, server, location)
}

/// `match`; none where it has no equal.
fn pattern(import: &mut Import<'_>, directive: &Directive) -> Option<String> {
    let words: Vec<&str> = directive.texts().collect();
    let (modifier, text) = match words.as_slice() {
        [modifier @ ("=" | "^~" | "~" | "~*"), text] => (*modifier, *text),
        [text] => {
            ["^~", "~*", "~", "="].into_iter().find_map(|m| Some((m, text.strip_prefix(m)?))).unwrap_or(("", text))
        }
        _ => {
            import.report.broken(directive.name.span.problem("location", "takes a modifier and a path", None));
            return None;
        }
    };
    if let "~" | "~*" = modifier {
        return import.regex(directive, text, modifier == "~*").then(|| format!("{modifier} {text}"));
    }
    if text.starts_with('@') {
        return Some(text.to_owned());
    }
    if !text.starts_with('/') {
        import.report.lacks(
            directive,
            format!("`{text}` does not begin with `/`, so that no path has it"),
            "take it out, or write the `/`",
        );
        return None;
    }
    Some(if modifier.is_empty() { text.to_owned() } else { format!("{modifier} {text}") })
}

/// What a location does itself.
fn own<'d>(import: &mut Import<'d>, server: &'d Directive, chain: &Chain<'d>, pattern: &str, values: &Values) -> Node {
    let has_groups = pattern.starts_with('~');
    let is_server = std::ptr::eq(chain.own(), server.inner());
    let at = script::Place { values, content_type: server::content_type(chain), has_groups };
    let nothing: &[Directive] = &[];
    // The server's own ran before a location was looked for.
    let script = script::read(import, if is_server { nothing } else { chain.own() }, &at);
    let pass = chain.of_own("proxy_pass").filter(|_| !is_server);
    let status = chain.of_own("stub_status").or_else(|| chain.of_own("vhost_traffic_status_display"));
    let status = status.filter(|status| status.arg(0) != "off");
    let internal = chain.one("internal");
    let kind = match (&script.respond, pass.or(status)) {
        (Some(_), _) => Kind::Answer,
        (None, Some(_)) => Kind::Proxy,
        (None, None) if is_lacking(chain) => Kind::Answer,
        (None, None) => Kind::Files,
    };
    let mut keys = Keys::default();
    if !script.rules.is_empty() {
        keys.set("rewrites", Value::List(script.rules.clone()));
    }
    let mut route = Route {
        import,
        chain: chain.clone(),
        server,
        values: script.values.clone(),
        pattern: pattern.to_owned(),
        kind,
        headers: script.headers,
        keys,
        content_type: None,
        target: None,
        named_groups: false,
    };
    match (kind, pass, status) {
        (Kind::Proxy, Some(pass), _) => proxied(&mut route, pass),
        (Kind::Proxy, None, Some(status)) => status_page(&mut route, status),
        (Kind::Files, ..) => content::files(&mut route),
        _ => {}
    }
    route.settle();
    if let Some(internal) = internal {
        only_within(&mut route, internal);
    }
    let pattern = named(&route, pattern);
    let Route { mut keys, content_type, .. } = route;
    if kind != Kind::Answer && !["upstream", "root", "alias"].iter().any(|key| keys.has(key)) {
        // What would have answered has been left out.
        keys = Keys(vec![("respond".to_owned(), Value::Table(vec![("status".to_owned(), Value::Count(501))]))]);
    }
    if let (Kind::Answer, respond) = (kind, &script.respond) {
        let answer = match respond {
            Some(respond) => answer(respond, content_type),
            // What would have answered has been left out.
            None => Value::Table(vec![("status".to_owned(), Value::Count(501))]),
        };
        keys.set("respond", answer);
    }
    Node { pattern, keys, comments: Vec::new(), children: Vec::new() }
}

/// The pattern with names for groups that texts read.
fn named(route: &Route<'_, '_>, pattern: &str) -> String {
    let reads = route.named_groups
        || crate::import::toml::render(
            &[],
            &[crate::import::toml::Section { keys: route.keys.clone(), ..Default::default() }],
        )
        .contains("$group");
    match pattern.split_once(' ').filter(|(modifier, _)| reads && modifier.starts_with('~')) {
        Some((modifier, regex)) => format!("{modifier} {}", with_names(regex)),
        None => pattern.to_owned(),
    }
}

/// Whether something that has no equal would answer.
fn is_lacking(chain: &Chain<'_>) -> bool {
    const HANDLERS: [&str; 8] = [
        "fastcgi_pass",
        "uwsgi_pass",
        "scgi_pass",
        "grpc_pass",
        "memcached_pass",
        "content_by_lua_block",
        "js_content",
        "perl",
    ];
    HANDLERS.iter().any(|name| chain.of_own(name).is_some())
}

/// `respond`, with the type that `add_header` gives it.
pub(super) fn answer(answer: &Keys, content_type: Option<String>) -> Value {
    let mut answer = answer.clone();
    if let Some(kind) = content_type.filter(|_| answer.has("body")) {
        answer.take("content_type");
        if kind != "text/plain" {
            answer.set("content_type", Value::text(kind));
        }
    }
    Value::Table(answer.0)
}

fn proxied(route: &mut Route<'_, '_>, pass: &Directive) {
    if let Some(tries) = route.chain.of_own("try_files") {
        let instead =
            "write the files in one location, and `proxy_pass` in another that `try_files` leads to (`@name`)";
        route.import.report.lacks(tries, "files and an upstream are not of one location", instead);
    }
    proxy::pass(route, pass);
    if let (Some(check), Some(target)) = (route.chain.of_own("health_check"), route.target.clone()) {
        let keys = peers::health(route.import, check);
        route.import.upstreams.add(&target.authority, &keys);
    }
}

/// nginx: `stub_status`. The location leads to the operator's own address.
fn status_page(route: &mut Route<'_, '_>, directive: &Directive) {
    let target = Target { tls: false, authority: listen::ADMIN.to_owned(), uri: String::new(), choices: Vec::new() };
    let upstream = route.import.upstreams.refer(directive, &target, Dial::default());
    route.keys.set("upstream", Value::text(upstream));
    let page = if directive.name() == "stub_status" { "/stub_status?" } else { "/status?" };
    let rule = [("match", "^"), ("to", page), ("flag", "break")];
    let rule = rule.into_iter().map(|(key, value)| (key.to_owned(), Value::text(value))).collect();
    route.keys.push("rewrites", Value::Table(rule));
    route.keys.set("upgrade", Value::List(Vec::new()));
}

/// nginx: `internal`. Pages of errors are shown to all; whatever else only turns within the
/// proxy reach answers nobody.
fn only_within(route: &mut Route<'_, '_>, internal: &Directive) {
    let (path, is_regex, any_case) = (route.prefix().to_owned(), route.is_regex(), route.regex().1);
    let regex = regex_lite::RegexBuilder::new(&path).case_insensitive(any_case).build().ok().filter(|_| is_regex);
    let fits = |target: &str| {
        let target = target.split('?').next().unwrap_or_default();
        regex.as_ref().map_or(target.starts_with(&path), |regex| regex.is_match(target))
    };
    fn leads(block: &[Directive], fits: &dyn Fn(&str) -> bool) -> bool {
        block.iter().any(|directive| {
            let last = directive.args.last().map_or("", |word| word.text.as_str());
            let leads_to = matches!(directive.name(), "error_page" | "try_files") && fits(last);
            leads_to || (directive.name() != "server" && leads(directive.inner(), fits))
        })
    }
    let is_led_to = leads(route.server.inner(), &fits) || leads(route.import.http, &fits);
    match (is_led_to, route.kind) {
        (true, Kind::Files | Kind::Answer) => {
            route.import.report.differs(internal, "clients that ask for this page itself get it, too")
        }
        (true, Kind::Proxy) => {
            let instead = "write `location @name`, and lead to that";
            route.import.report.lacks(
                internal,
                "an upstream that only turns within the proxy should reach would be open to clients",
                instead,
            );
        }
        (false, _) => {
            let instead = "take the location out: `X-Accel-Redirect` and rewrites from elsewhere lead nowhere";
            route.import.report.lacks(internal, "nothing here leads to it", instead);
        }
    }
}
