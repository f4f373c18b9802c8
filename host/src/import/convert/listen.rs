//! `listen`: addresses, who is at each, and who takes what no name matches.

use std::net::{IpAddr, SocketAddr};

use super::chain::Chain;
use super::{Import, tls};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value};
use crate::import::units;

/// The operator's address where one is needed.
pub(super) const ADMIN: &str = "127.0.0.1:9090";

/// One address.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener {
    address: String,
    comment: String,
    tls: bool,
    http2: bool,
    http3: bool,
    /// Whether one of its `listen` is over TCP.
    tcp: bool,
    /// The servers that are at it over QUIC.
    quic: Vec<usize>,
    /// What is asked of the kernel for its UDP socket.
    buffer: Option<u64>,
    /// Whether it is one of `stream`.
    is_stream: bool,
    preread_timeout: Option<Value>,
    /// Whose PROXY protocol headers are believed; without it, those of `set_real_ip_from`.
    from: Option<Vec<Value>>,
    proxy_protocol: bool,
    backlog: Option<u64>,
    /// The servers that are at it, by number, in order.
    servers: Vec<usize>,
    /// The one that says `default_server`.
    default: Option<usize>,
    /// Keys of TLS.
    keys: Keys,
    /// Keys of HTTP/3.
    http3_keys: Keys,
}

/// A `listen` of a server in `stream`.
pub(super) struct OfStream {
    pub(super) addresses: Vec<String>,
    pub(super) is_default: bool,
    wanted: Listener,
}

/// All addresses.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    from: Vec<Value>,
}

/// A part of a server's addresses, and whether it must say that it is the default there.
pub(super) struct Part {
    pub(super) listen: Vec<String>,
    pub(super) default: bool,
}

/// Read `listen` of all servers.
pub(super) fn read(import: &mut Import<'_>, servers: &[&Directive]) {
    for (number, server) in servers.iter().enumerate() {
        let mut any = false;
        for directive in server.all("listen") {
            any = true;
            one(import, directive, number);
        }
        if !any {
            add(import, server, number, "0.0.0.0:80", &Listener { tcp: true, ..Listener::default() });
        }
    }
    if matches!(import.real_ip.get("header"), Some(Value::Text(header)) if header == "proxy_protocol") {
        let from = import.real_ip.take("trusted");
        if let Some(Value::List(from)) = from {
            import.listeners.from = from;
        }
    }
    let mut listeners = std::mem::take(&mut import.listeners);
    for listener in &mut listeners.all {
        let Some(server) =
            listener.default.or_else(|| listener.servers.first().copied()).and_then(|number| servers.get(number))
        else {
            continue;
        };
        let chain = Chain::new(import.http).with(server.inner());
        listener.quic.sort_unstable();
        if listener.tcp && listener.http3 && listener.quic != listener.servers {
            import.report.differs(server, "the servers at its address are there over TCP and over QUIC");
        }
        listener.http3 &= !chain.word("http3").eq_ignore_ascii_case("off");
        if listener.http3 {
            listener.http3_keys = tls::http3(import, &chain);
            if let Some(bytes) = listener.buffer {
                listener.http3_keys.set("buffer", units::shown_size(bytes.clamp(64 << 10, 256 << 20)));
            }
        }
        // Of old, `ssl on` was for all addresses of a server.
        listener.tls |= listener
            .servers
            .iter()
            .filter_map(|number| servers.get(*number))
            .any(|server| Chain::new(import.http).with(server.inner()).is_on("ssl"));
        listener.http2 |= listener
            .servers
            .iter()
            .filter_map(|number| servers.get(*number))
            .any(|server| Chain::new(import.http).with(server.inner()).is_on("http2"));
        if listener.tls {
            listener.keys = tls::listener(import, &chain);
        }
    }
    import.listeners = listeners;
}

fn one(import: &mut Import<'_>, directive: &Directive, number: usize) {
    let Some(addresses) = addresses(import, directive) else { return };
    let (wanted, is_default) = parameters(import, directive);
    if directive.texts().any(|word| word == "udp") {
        let message = "`udp` is not a parameter";
        return import.report.broken(directive.name.span.problem("listen", message, None));
    }
    for address in addresses {
        add(import, directive, number, &address, &wanted);
        let listener = import.listeners.all.iter_mut().find(|listener| listener.address == address);
        if let Some(listener) = listener.filter(|_| is_default) {
            listener.default = Some(number);
        }
    }
}

/// What follows the address, and whether `default_server` is among it.
fn parameters(import: &mut Import<'_>, directive: &Directive) -> (Listener, bool) {
    let mut wanted = Listener::default();
    let mut is_default = false;
    for word in directive.texts().skip(1) {
        match word.split_once('=').unwrap_or((word, "")) {
            ("default_server" | "default", "") => is_default = true,
            ("ssl", "") => wanted.tls = true,
            ("http2", "") => wanted.http2 = true,
            ("spdy", "") => import.report.differs(directive, "nobody speaks SPDY any more"),
            ("quic", "") => (wanted.http3, wanted.tls) = (true, true),
            ("rcvbuf" | "sndbuf", size) => wanted.buffer = wanted.buffer.max(units::size(size)),
            ("proxy_protocol", "") => wanted.proxy_protocol = true,
            ("backlog", count) => wanted.backlog = count.parse().ok(),
            ("multipath", "") => import.report.lacks(directive, "connections have one path", "leave `multipath` out"),
            (
                "reuseport" | "deferred" | "bind" | "so_keepalive" | "fastopen" | "setfib" | "accept_filter"
                | "ipv6only" | "udp",
                _,
            ) => {}
            _ => import.report.broken(directive.name.span.problem(
                "listen",
                format!("`{word}` is not a parameter"),
                None,
            )),
        }
    }
    wanted.tcp = !wanted.http3;
    (wanted, is_default)
}

/// A `listen` in `stream`; none where there is no equal.
pub(super) fn of_stream(import: &mut Import<'_>, directive: &Directive) -> Option<OfStream> {
    if directive.texts().any(|word| word == "udp") {
        import.report.lacks(directive, "UDP is not proxied", "keep nginx for it");
        return None;
    }
    let port = directive.arg(0).rsplit_once(':').map_or(directive.arg(0), |(_, port)| port);
    if !directive.arg(0).starts_with("unix:") && port.parse::<u16>().is_err() {
        import.report.lacks(directive, format!("`{}` is not one port", directive.arg(0)), "write a `listen` for each");
        return None;
    }
    let addresses = addresses(import, directive)?;
    let (wanted, is_default) = parameters(import, directive);
    if addresses.iter().any(|address| import.listeners.all.iter().any(|known| known.address == *address)) {
        let message = "a server of `http` listens there, too";
        import.report.broken(directive.name.span.problem("listen", message, None));
        return None;
    }
    let comment = super::place(directive);
    Some(OfStream { addresses, is_default, wanted: Listener { comment, is_stream: true, ..wanted } })
}

/// Listen for a server of `stream`.
pub(super) fn add_stream(import: &mut Import<'_>, listen: &OfStream, chain: &Chain<'_>) {
    let mut wanted = listen.wanted.clone();
    if wanted.tls {
        wanted.keys = tls::of_stream(import, chain);
    }
    wanted.preread_timeout = chain.one("preread_timeout").and_then(|directive| units::time_value(directive.arg(0)));
    if wanted.proxy_protocol {
        let from = chain.in_force(&["set_real_ip_from"]);
        for directive in &from {
            if tidegate_cidr::Cidr::parse(directive.arg(0)).is_err() {
                let message = format!("`{}` is not an address or network", directive.arg(0));
                import.report.lacks(directive, message, "write the addresses or networks of the proxies");
            }
        }
        wanted.from = Some(from.into_iter().map(|directive| Value::text(directive.arg(0))).collect());
    }
    for address in &listen.addresses {
        let all = &mut import.listeners.all;
        if !all.iter().any(|known| known.address == *address) {
            all.push(Listener { address: address.clone(), ..wanted.clone() });
        }
    }
}

fn add(import: &mut Import<'_>, directive: &Directive, number: usize, address: &str, wanted: &Listener) {
    let comment = super::place(directive);
    let all = &mut import.listeners.all;
    let at = all.iter().position(|listener| listener.address == address).unwrap_or_else(|| {
        all.push(Listener { address: address.to_owned(), comment, ..Listener::default() });
        all.len() - 1
    });
    let Some(listener) = all.get_mut(at) else { return };
    if !listener.servers.contains(&number) {
        listener.servers.push(number);
    }
    listener.tls |= wanted.tls;
    listener.http2 |= wanted.http2;
    listener.http3 |= wanted.http3;
    listener.tcp |= wanted.tcp;
    listener.buffer = listener.buffer.max(wanted.buffer.filter(|_| wanted.http3));
    if wanted.http3 && !listener.quic.contains(&number) {
        listener.quic.push(number);
    }
    listener.proxy_protocol |= wanted.proxy_protocol;
    listener.backlog = listener.backlog.or(wanted.backlog);
}

/// The addresses that a `listen` means: two where `[::]` takes IPv4 too.
fn addresses(import: &mut Import<'_>, directive: &Directive) -> Option<Vec<String>> {
    let text = directive.arg(0);
    if text.starts_with("unix:") {
        import.report.lacks(directive, "sockets of the file system are not listened at", "listen at 127.0.0.1");
        return None;
    }
    let (host, port) = match text.rsplit_once(':') {
        _ if text.parse::<u16>().is_ok() => ("*", text),
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port),
        _ => (text, "80"),
    };
    let ip: IpAddr = match host.trim_matches(['[', ']']) {
        "*" | "" => IpAddr::from([0, 0, 0, 0]),
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => match host.parse() {
            Ok(ip) => ip,
            Err(_) => {
                let instead = "write the address, or `*` for all";
                import.report.lacks(directive, format!("`{host}` is not an IP address"), instead);
                return None;
            }
        },
    };
    let address = SocketAddr::new(ip, port.parse().ok()?);
    let mut all = vec![address.to_string()];
    if directive.texts().any(|word| word == "ipv6only=off") && ip.is_ipv6() && ip.is_unspecified() {
        all.push(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), address.port()).to_string());
    }
    Some(all)
}

impl Listeners {
    /// `[[listeners]]`
    pub(super) fn sections(&self) -> Vec<Section> {
        self.all.iter().map(|listener| self.section(listener)).collect()
    }

    fn section(&self, listener: &Listener) -> Section {
        let mut section = Section::item("listeners").comment(listener.comment.clone());
        section.keys.set("address", Value::text(listener.address.clone()));
        if let Some(backlog) = listener.backlog.filter(|backlog| *backlog > 0) {
            section.keys.set("backlog", Value::Count(backlog.min(65_535)));
        }
        if listener.proxy_protocol {
            let believed = match listener.from.as_ref().unwrap_or(&self.from).as_slice() {
                [] => Value::Flag(true),
                from => Value::Table(vec![("from".to_owned(), Value::List(from.to_vec()))]),
            };
            section.keys.set("proxy_protocol", believed);
        }
        match (listener.tls, listener.keys.is_empty()) {
            (true, true) => section.keys.set("tls", Value::Flag(true)),
            (true, false) => section.keys.set("tls", Value::Table(listener.keys.0.clone())),
            (false, _) => {}
        }
        if let Some(time) = &listener.preread_timeout {
            section.keys.set("preread_timeout", time.clone());
        }
        if !listener.is_stream && (listener.tls || listener.http2 || listener.http3) {
            let spoken = [("h1", listener.tcp), ("h2", listener.http2), ("h3", listener.http3)];
            let spoken: Vec<&str> = spoken.into_iter().filter(|(_, spoken)| *spoken).map(|(name, _)| name).collect();
            // What is the default needs no words.
            if !(listener.tls && spoken == ["h1", "h2"]) {
                section.keys.set("protocols", Value::texts(spoken));
            }
        }
        if !listener.http3_keys.is_empty() {
            section.keys.set("http3", Value::Table(listener.http3_keys.0.clone()));
        }
        section
    }

    /// Whether one of a server's addresses speaks TLS.
    pub(super) fn has_tls(&self, number: usize) -> bool {
        self.all.iter().any(|listener| listener.tls && listener.servers.contains(&number))
    }

    /// A server's addresses, apart where it is the default at some of them only. A site without
    /// that word is the default where it is the first.
    pub(super) fn parts(&self, number: usize) -> Vec<Part> {
        let (mut says, mut not, mut either) = (Vec::new(), Vec::new(), Vec::new());
        for listener in self.all.iter().filter(|listener| listener.servers.contains(&number)) {
            let first = listener.servers.first() == Some(&number);
            let list = match listener.default {
                Some(default) if default == number && !first => &mut says,
                Some(default) if default == number => &mut either,
                None if first => &mut either,
                _ => &mut not,
            };
            list.push(listener.address.clone());
        }
        let everywhere = says.len() + not.len() + either.len() == self.all.len();
        let whole = |listen: Vec<String>| if everywhere { Vec::new() } else { self.in_order(&listen) };
        match (says.is_empty(), not.is_empty()) {
            (true, _) => vec![Part { listen: whole([not, either].concat()), default: false }],
            (false, true) => vec![Part { listen: whole([says, either].concat()), default: true }],
            (false, false) => vec![
                Part { listen: self.in_order(&[says, either].concat()), default: true },
                Part { listen: self.in_order(&not), default: false },
            ],
        }
    }

    fn in_order(&self, listen: &[String]) -> Vec<String> {
        self.all.iter().map(|listener| listener.address.clone()).filter(|address| listen.contains(address)).collect()
    }

    /// Whether a server takes what no name matches at one of these addresses; none for all.
    pub(super) fn is_default(&self, number: usize, listen: &[String]) -> bool {
        let here = self.all.iter().filter(|listener| listen.is_empty() || listen.contains(&listener.address));
        here.into_iter().any(|listener| match listener.default {
            Some(default) => default == number,
            None => listener.servers.first() == Some(&number),
        })
    }

    /// Whether two servers share an address.
    pub(super) fn meet(&self, one: usize, other: usize) -> bool {
        self.all.iter().any(|listener| listener.servers.contains(&one) && listener.servers.contains(&other))
    }
}
