//! What is of the process: `main`, `events`, and what nginx has by server but is one here.

use super::text::Values;
use super::{Import, place};
use crate::import::directives::{self, Contexts, To};
use crate::import::syntax::Directive;
use crate::import::toml::{Section, Value};
use crate::import::units;

/// Go through all blocks for what is of the process.
pub(super) fn all<'d>(import: &mut Import<'d>, directives: &'d [Directive]) {
    each(import, directives, Contexts::MAIN);
}

/// What is named in `http`, once maps are known.
pub(super) fn named(import: &mut Import<'_>) {
    super::logs::of_http(import);
    let http = import.http;
    for directive in http {
        match directive.name() {
            "log_format" => super::logs::log_format(import, directive, super::logs::name_in_http),
            "limit_req_zone" | "limit_conn_zone" => super::limits::zone(import, directive),
            _ => {}
        }
    }
}

fn each(import: &mut Import<'_>, directives: &[Directive], context: Contexts) {
    for directive in directives {
        if let Some((_, entry)) = directives::find(directive.name(), context) {
            match entry.to {
                To::Top(convert) => convert(import, directive),
                To::ProcessTime(key) => match units::time_value(directive.arg(0)) {
                    Some(value) => import.of_process(directive, key, value),
                    None => import.report.broken(directive.name.span.problem(directive.name(), "is not a time", None)),
                },
                To::ProcessCount(key) => match directive.arg(0).parse() {
                    Ok(count) => import.of_process(directive, key, Value::Count(count)),
                    Err(_) => {
                        import.report.broken(directive.name.span.problem(directive.name(), "is not a number", None))
                    }
                },
                _ => {}
            }
        }
        if matches!(context, Contexts::MAIN | Contexts::HTTP) && directive.name() == "error_log" {
            super::logs::process_log(import, directive);
        }
        let inner = match (directive.name(), context) {
            ("events", Contexts::MAIN) => Contexts::EVENTS,
            ("http", Contexts::MAIN) => Contexts::HTTP,
            ("server", Contexts::HTTP) => Contexts::SERVER,
            ("stream", Contexts::MAIN) => Contexts::STREAM,
            ("server", Contexts::STREAM) => Contexts::STREAM_SERVER,
            ("location", Contexts::SERVER | Contexts::LOCATION) => Contexts::LOCATION,
            _ => continue,
        };
        each(import, directive.inner(), inner);
    }
}

pub(in crate::import) fn worker_processes(import: &mut Import<'_>, directive: &Directive) {
    match directive.arg(0) {
        "auto" => {}
        number => match number.parse() {
            Ok(count) => import.process.set("workers", Value::Count(count)),
            Err(_) => import.report.broken(directive.name.span.problem("worker_processes", "is not a number", None)),
        },
    }
}

pub(in crate::import) fn worker_connections(import: &mut Import<'_>, directive: &Directive) {
    match directive.arg(0).parse() {
        Ok(count) => import.process.set("max_connections", Value::Count(count)),
        Err(_) => import.report.broken(directive.name.span.problem("worker_connections", "is not a number", None)),
    }
}

pub(in crate::import) fn worker_shutdown_timeout(import: &mut Import<'_>, directive: &Directive) {
    if let Some(value) = units::time_value(directive.arg(0)) {
        import.process.set("drain_timeout", value);
    }
}

pub(in crate::import) fn pid(import: &mut Import<'_>, directive: &Directive) {
    if directive.arg(0) != "off" {
        let path = import.paths.of_prefix(directive.arg(0));
        import.process.set("pid_file", Value::text(path));
    }
}

pub(in crate::import) fn debug_connection(import: &mut Import<'_>, directive: &Directive) {
    match tidegate_cidr::Cidr::parse(directive.arg(0)) {
        Ok(_) => import.log.push("debug_clients", Value::text(directive.arg(0))),
        Err(_) => import.report.lacks(directive, "is not an address or network", "such as `192.0.2.0/24`"),
    }
}

pub(in crate::import) fn large_header_buffers(import: &mut Import<'_>, directive: &Directive) {
    let (Ok(number), Some(size)) = (directive.arg(0).parse::<u64>(), units::size(directive.arg(1))) else {
        return import.report.broken(directive.name.span.problem(directive.name(), "needs a number and a size", None));
    };
    import.process.set("max_line", units::shown_size(size.clamp(256, 16 << 20)));
    import.process.set("max_head", units::shown_size(size.saturating_mul(number).clamp(8 << 10, 16 << 20)));
}

pub(in crate::import) fn resolver(import: &mut Import<'_>, directive: &Directive) {
    let mut addresses = Vec::new();
    for word in directive.texts() {
        match word.split_once('=') {
            Some(("valid", time)) => {
                if let Some(value) = units::time_value(time) {
                    import.resolver.set("valid", value);
                }
            }
            Some(("ipv6", flag)) => import.resolver.set("ipv6", Value::Flag(flag != "off")),
            Some(("status_zone", _)) => {}
            Some(("ipv4", _)) => import.report.lacks(directive, "IPv4 addresses are always used", "leave `ipv4=` out"),
            _ if word.parse::<std::net::IpAddr>().is_ok() || word.parse::<std::net::SocketAddr>().is_ok() => {
                addresses.push(word)
            }
            _ if word.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() => {
                addresses.push(word.trim_matches(['[', ']']))
            }
            _ => import.report.lacks(
                directive,
                format!("the name server `{word}` is not an IP address"),
                "write its address",
            ),
        }
    }
    if addresses.is_empty() {
        return;
    }
    let value = Value::texts(addresses);
    match import.resolver.get("addresses") {
        Some(before) if *before != value => {
            import.report.lacks(
                directive,
                "there is one list of name servers for the process",
                "name all of them in `http`",
            );
        }
        _ => import.resolver.set("addresses", value),
    }
}

pub(in crate::import) fn resolver_timeout(import: &mut Import<'_>, directive: &Directive) {
    if let Some(value) = units::time_value(directive.arg(0)) {
        import.resolver.set("timeout", value);
    }
}

/// `set_real_ip_from` and `real_ip_header`: one list for the process.
pub(in crate::import) fn real_ip(import: &mut Import<'_>, directive: &Directive) {
    let word = directive.arg(0);
    if directive.name() == "real_ip_header" {
        match import.real_ip.get("header") {
            Some(Value::Text(before)) if before != word => {
                import.report.lacks(directive, "there is one such header for the process", "write it in `http`");
            }
            _ => import.real_ip.set("header", Value::text(word)),
        }
        return;
    }
    if tidegate_cidr::Cidr::parse(word).is_err() {
        let instead = "write the addresses or networks of the proxies";
        return import.report.lacks(directive, format!("`{word}` is not an address or network"), instead);
    }
    let known = matches!(import.real_ip.get("trusted"), Some(Value::List(list)) if list.contains(&Value::text(word)));
    if !known {
        import.real_ip.push("trusted", Value::text(word));
    }
}

/// The operator's address, to which locations with `stub_status` lead.
pub(in crate::import) fn stub_status(import: &mut Import<'_>, directive: &Directive) {
    if directive.arg(0) == "off" {
        return;
    }
    let mut keys = crate::import::toml::Keys::default();
    keys.set("address", Value::text(super::listen::ADMIN));
    keys.set("allow", Value::texts(["127.0.0.1"]));
    import.admin = Some(keys);
}

/// The comment of a block, and what was left out of it.
pub(super) fn commented(import: &Import<'_>, section: Section, directive: &Directive) -> Section {
    let mut section = section.comment(place(directive));
    section.comments.extend(import.report.left_out(directive.inner()));
    section.comments.extend(import.report.left_out(std::slice::from_ref(directive)));
    section
}

/// A text with variables that are everywhere.
pub(super) fn template(import: &mut Import<'_>, directive: &Directive, text: &str) -> String {
    import.template(directive, text, &Values::default())
}
