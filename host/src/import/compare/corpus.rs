//! What is asked: for each address each name, for each name each location, in several ways.

use std::fmt;

use crate::import::syntax::Directive;
use crate::import::units::size;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// The address of nginx's `listen`, as it is written.
    pub(super) listen: String,
    /// Whether a PROXY protocol header comes first.
    proxied: bool,
    method: &'static str,
    host: String,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: &'static str,
    /// How many of the same are open while this one is asked.
    pub(super) beside: usize,
}

/// What a place limits.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    /// nginx: `client_max_body_size`.
    body: Option<u64>,
    /// nginx: `limit_conn`.
    tunnels: Option<usize>,
}

/// More than so many tunnels are not opened to see what one more gets.
const MOST_TUNNELS: usize = 64;
/// nginx's own limit of bodies.
const BODY: u64 = 1 << 20;

impl Limits {
    /// Those of a block, or of what is around it.
    fn within(self, block: &Directive) -> Self {
        let body = block.all("client_max_body_size").next().and_then(|directive| size(directive.arg(0)));
        let tunnels = block.all("limit_conn").filter_map(|directive| directive.arg(1).parse().ok()).min();
        Self { body: body.or(self.body), tunnels: tunnels.or(self.tunnels) }
    }
}

impl Request {
    /// What is sent before it, and before TLS.
    pub(super) fn ahead(&self) -> &'static str {
        if self.proxied { "PROXY TCP4 192.0.2.44 127.0.0.1 4711 80\r\n" } else { "" }
    }

    /// Whom it asks.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The request as it is sent.
    pub(super) fn bytes(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| *name == "Connection") {
            text.push_str("Connection: close\r\n");
        }
        text + "\r\n" + self.body
    }

    /// Whether it asks for a method that no file has: where nothing takes it, nginx's files say
    /// 405 and Tidegate 404, or the other way round.
    pub(super) fn is_options(&self) -> bool {
        self.method == "OPTIONS"
    }

    /// Whether its answer has no body.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.target)?;
        let of_handshake = |name: &str| matches!(name, "Connection" | "Sec-WebSocket-Key" | "Sec-WebSocket-Version");
        if let Some((name, value)) = self.headers.iter().find(|(name, _)| !of_handshake(name)) {
            write!(f, " {name}: {value}")?;
        }
        match self.beside {
            0 => Ok(()),
            beside => write!(f, " beside {beside} more"),
        }
    }
}

/// All requests for a configuration.
pub(super) fn of(directives: &[Directive]) -> Vec<Request> {
    let http = directives.iter().filter(|directive| directive.name() == "http");
    let listens = http.clone().flat_map(|http| http.all("server")).flat_map(|server| server.all("listen"));
    let proxied: Vec<&str> = listens
        .filter(|listen| listen.texts().any(|word| word == "proxy_protocol"))
        .map(|listen| listen.arg(0))
        .collect();
    let mut requests = Vec::new();
    let around = Limits { body: Some(BODY), tunnels: None };
    let servers = http.flat_map(|http| http.all("server").map(move |server| (around.within(http), server)));
    for (around, server) in servers {
        let listens: Vec<&str> = match server.all("listen").map(|listen| listen.arg(0)).collect::<Vec<_>>() {
            all if all.is_empty() => vec!["80"],
            all => all,
        };
        let around = around.within(server);
        let none = Limits::default();
        let mut paths = vec![
            ("/".to_owned(), none),
            ("/no/such/page.html?a=b".to_owned(), none),
            ("/a%20b/..//c".to_owned(), none),
        ];
        paths_of(server, around, &mut paths);
        for listen in listens {
            for host in hosts(server) {
                for (path, limits) in &paths {
                    let made = ways(listen, &host, path, *limits).into_iter();
                    requests.extend(made.map(|request| Request { proxied: proxied.contains(&listen), ..request }));
                }
            }
        }
    }
    let mut seen = Vec::new();
    requests.retain(|request: &Request| {
        let new = !seen.contains(request);
        if new {
            seen.push(request.clone());
        }
        new
    });
    requests
}

/// The ways to ask for a path.
fn ways(listen: &str, host: &str, path: &str, limits: Limits) -> Vec<Request> {
    let plain = |method| Request {
        listen: listen.to_owned(),
        proxied: false,
        method,
        host: host.to_owned(),
        target: path.to_owned(),
        headers: vec![("User-Agent", "compare".to_owned())],
        body: "",
        beside: 0,
    };
    let mut post = plain("POST");
    post.headers.push(("Content-Length", "3".to_owned()));
    post.body = "a=b";
    let mut switch = plain("GET");
    switch.headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "SGVsbG8sIHdvcmxkIQ=="),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    let mut foreign = plain("GET");
    foreign.headers =
        vec![("Origin", "https://app.example.com".to_owned()), ("X-Forwarded-For", "192.0.2.7".to_owned())];
    let too_large = limits.body.filter(|most| *most > 0).map(|most| {
        let mut request = plain("POST");
        request.headers = vec![("Content-Length", (most + 1).to_string())];
        request
    });
    let one_more = limits.tunnels.filter(|most| *most <= MOST_TUNNELS).map(|most| {
        let mut request = switch.clone();
        request.beside = most;
        request
    });
    let mut ways = vec![plain("GET"), plain("HEAD"), post, plain("OPTIONS"), switch, foreign];
    ways.extend(too_large.into_iter().chain(one_more));
    ways
}

/// Names by which a server is asked.
fn hosts(server: &Directive) -> Vec<String> {
    let mut hosts = vec!["unknown.invalid".to_owned()];
    for name in server.all("server_name").flat_map(Directive::texts) {
        let made = match name {
            "_" | "" => continue,
            _ if name.starts_with('$') => continue,
            _ => {
                match (name.strip_prefix('~'), name.strip_prefix("*."), name.strip_prefix('.'), name.strip_suffix(".*"))
                {
                    (Some(pattern), ..) => match sample(pattern) {
                        Some(made) => made,
                        None => continue,
                    },
                    (_, Some(rest), ..) => format!("any.{rest}"),
                    (_, _, Some(rest), _) => format!("sub.{rest}"),
                    (_, _, _, Some(rest)) => format!("{rest}.invalid"),
                    _ => name.to_owned(),
                }
            }
        };
        hosts.push(made);
    }
    hosts
}

/// Paths that lead to each location, and those that rules look at.
fn paths_of(block: &Directive, around: Limits, paths: &mut Vec<(String, Limits)>) {
    let none = Limits::default();
    for directive in block.inner() {
        let limits = around.within(directive);
        match directive.name() {
            "location" => {
                let words: Vec<&str> = directive.texts().collect();
                let (modifier, text) = match words.as_slice() {
                    [modifier, text] => (*modifier, *text),
                    [text] => ["^~", "~*", "~", "="]
                        .into_iter()
                        .find_map(|m| Some((m, text.strip_prefix(m)?)))
                        .unwrap_or(("", text)),
                    _ => continue,
                };
                match modifier {
                    "~" | "~*" => paths.extend(sample(text).map(|path| (with_slash(&path), none))),
                    _ if text.starts_with('@') => {}
                    _ => {
                        let text = text.replace(' ', "%20");
                        paths.extend([
                            (text.clone(), limits),
                            (format!("{text}x?a=1&b=2"), none),
                            (format!("{}/sub/page.css", text.trim_end_matches('/')), none),
                        ]);
                    }
                }
                paths_of(directive, limits, paths);
            }
            "rewrite" => paths.extend(sample(directive.arg(0)).map(|path| (with_slash(&path), none))),
            "if" => paths_of(directive, limits, paths),
            _ => {}
        }
    }
}

fn with_slash(path: &str) -> String {
    let path = path.replace(' ', "%20");
    if path.starts_with('/') { path } else { format!("/a{path}") }
}

/// A text that an expression matches; none where that is not easily found.
fn sample(pattern: &str) -> Option<String> {
    let regex = regex_lite::Regex::new(pattern).ok()?;
    let mut made = String::new();
    let mut chars = pattern.trim_start_matches("(?i)").chars().peekable();
    let mut skipping = 0_usize;
    while let Some(c) = chars.next() {
        // Of alternatives the first.
        if skipping > 0 {
            match c {
                '(' => skipping += 1,
                ')' => skipping -= 1,
                _ => {}
            }
            continue;
        }
        match c {
            '^' | '$' | '*' | '+' | '?' | ')' => {}
            '(' => {
                if chars.peek() == Some(&'?') {
                    while chars.next().is_some_and(|c| c != '>' && c != ':') {}
                }
            }
            '|' => skipping = 1,
            '.' => made.push('x'),
            '\\' => match chars.next()? {
                'd' => made.push('1'),
                'w' => made.push('w'),
                other => made.push(other),
            },
            '[' => {
                let set: String = chars.by_ref().take_while(|c| *c != ']').collect();
                made.push(if set.starts_with('^') { 'x' } else { set.chars().next()? });
            }
            '{' => {
                let count: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let last = made.chars().next_back()?;
                let least = count.split(',').next()?.parse::<usize>().ok()?.min(100);
                made.extend(std::iter::repeat_n(last, least.saturating_sub(1)));
            }
            other => made.push(other),
        }
    }
    regex.is_match(&made).then_some(made)
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn expressions_have_samples() {
        for pattern in
            [r"\.(js|css)$", r"^/rooms/(\d+)/(.*)$", r"^/(?<x>[a-z]+)\.html", "^/a{3}$", r"^(?:www\.)?x\.test$"]
        {
            assert!(sample(pattern).is_some(), "{pattern}");
        }
        assert_eq!(sample(r"^/(404|500)\.html$").as_deref(), Some("/404.html"));
    }
}
