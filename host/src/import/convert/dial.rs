//! How peers are connected to: `proxy_bind`, `proxy_ssl_…` and their like.

use super::Import;
use super::chain::Chain;
use super::upstreams::{Dial, Target};
use crate::import::toml::Value;

/// How peers are connected to from a place.
pub(super) fn options(import: &mut Import<'_>, chain: &Chain<'_>, target: &Target) -> Dial {
    let mut dial = Dial { tcp_keepalive: chain.is_on("proxy_socket_keepalive"), ..Dial::default() };
    if let Some(bind) = chain.one("proxy_bind").filter(|bind| bind.arg(0) != "off") {
        match bind.arg(0).parse::<std::net::IpAddr>() {
            Ok(address) if bind.args.len() == 1 => dial.bind = Some(address.to_string()),
            _ => import.report.lacks(bind, "binds to more than a fixed IP address", "write the address alone"),
        }
    }
    if chain.word("proxy_http_version") == "2" {
        dial.protocol = Some("h2");
    }
    if target.tls {
        dial.tls = Some(tls(import, chain, target));
    }
    dial
}

fn tls(import: &mut Import<'_>, chain: &Chain<'_>, target: &Target) -> Vec<(String, Value)> {
    let mut table = Vec::new();
    let mut put = |key: &str, value: Value| table.push((key.to_owned(), value));
    let verifies = chain.is_on("proxy_ssl_verify");
    if !verifies {
        put("verify", Value::Flag(false));
    } else if let Some(file) = chain.one("proxy_ssl_trusted_certificate") {
        put("ca", Value::text(import.paths.of_folder(file.arg(0))));
    }
    match chain.one("proxy_ssl_name").map(|name| (name, name.arg(0))) {
        Some((_, name)) if !name.contains('$') => put("name", Value::text(name)),
        Some((_, "$proxy_host")) | None => {
            let name = target.authority.strip_prefix("stream:").unwrap_or(&target.authority);
            if import.upstreams.is_named(&target.authority) && name.contains('.') {
                put("name", Value::text(name));
            }
        }
        Some((directive, _)) => {
            import.report.lacks(directive, "the name has a variable", "write the name that is in the certificate")
        }
    }
    for (directive, key) in [("proxy_ssl_certificate", "certificate"), ("proxy_ssl_certificate_key", "key")] {
        if let Some(file) = chain.one(directive).filter(|file| !file.arg(0).is_empty()) {
            put(key, Value::text(import.paths.of_folder(file.arg(0))));
        }
    }
    if let Some(directive) = chain.one("proxy_ssl_protocols") {
        let versions = super::tls::versions(directive);
        match versions.as_slice() {
            [] => import.report.lacks(
                directive,
                "only versions are named that are not spoken",
                "write TLSv1.2 or TLSv1.3",
            ),
            ["1.2", "1.3"] => {}
            some => put("versions", Value::texts(some.iter().copied())),
        }
    }
    table
}
