//! `ssl_…`: what listeners offer, and what servers show.

use super::Import;
use super::chain::Chain;
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value};
use crate::import::units;

/// Groups by OpenSSL's names.
const CURVES: [(&str, &str); 8] = [
    ("x25519", "X25519"),
    ("prime256v1", "secp256r1"),
    ("secp256r1", "secp256r1"),
    ("p-256", "secp256r1"),
    ("secp384r1", "secp384r1"),
    ("p-384", "secp384r1"),
    ("x25519mlkem768", "X25519MLKEM768"),
    ("mlkem768x25519", "X25519MLKEM768"),
];

/// The most that `client_auth.depth` can be.
const MOST_DEPTH: u64 = 16;

/// The versions of a list that are spoken.
pub(super) fn versions(directive: &Directive) -> Vec<&'static str> {
    let has = |version: &str| directive.texts().any(|word| word.eq_ignore_ascii_case(version));
    [("TLSv1.2", "1.2"), ("TLSv1.3", "1.3")]
        .into_iter()
        .filter(|(name, _)| has(name))
        .map(|(_, version)| version)
        .collect()
}

/// What a listener offers: nginx takes it from the address's default server.
pub(super) fn listener(import: &mut Import<'_>, chain: &Chain<'_>) -> Keys {
    let mut keys = Keys::default();
    if let Some(directive) = chain.one("ssl_protocols") {
        match versions(directive).as_slice() {
            [] => import.report.lacks(
                directive,
                "only versions are named that are not spoken",
                "write TLSv1.2 and TLSv1.3",
            ),
            ["1.2", "1.3"] => {}
            some => keys.set("versions", Value::texts(some.iter().copied())),
        }
    }
    if chain.is_on("ssl_prefer_server_ciphers") {
        keys.set("prefer_server_ciphers", Value::Flag(true));
    }
    if let Some(directive) = chain.one("ssl_ecdh_curve").filter(|directive| directive.arg(0) != "auto") {
        let known =
            |word: &str| CURVES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, curve)| *curve);
        let curves: Vec<&str> = directive.arg(0).split(':').filter_map(known).collect();
        match curves.is_empty() {
            true => import.report.differs(directive, "none of these groups is spoken: the usual ones are offered"),
            false => keys.set("curves", Value::texts(curves)),
        }
    }
    if chain.word("ssl_session_tickets").eq_ignore_ascii_case("off") {
        keys.set("session_tickets", Value::Flag(false));
    }
    if matches!(chain.word("ssl_session_cache"), "off" | "none") {
        keys.set("session_cache", Value::Count(0));
    }
    for (name, key) in [("ssl_session_timeout", "session_timeout"), ("ssl_handshake_timeout", "handshake_timeout")] {
        let Some(directive) = chain.one(name) else { continue };
        match units::time_value(directive.arg(0)) {
            Some(value) => keys.set(key, value),
            None => import.report.broken(directive.name.span.problem(name, "is not a time", None)),
        }
    }
    keys
}

/// `http3` of a listener. nginx tells nobody of HTTP/3 but by `add_header`.
pub(super) fn http3(import: &mut Import<'_>, chain: &Chain<'_>) -> Keys {
    let mut keys = Keys::default();
    match chain.word("quic_retry") {
        "on" => keys.set("retry", Value::text("always")),
        "off" => keys.set("retry", Value::text("off")),
        _ => {}
    }
    keys.set("alt_svc", Value::text("off"));
    if let Some(file) = chain.one("quic_host_key") {
        keys.set("host_key", Value::text(import.paths.of_folder(file.arg(0))));
    }
    keys
}

/// What a server shows and asks for.
pub(super) fn site(import: &mut Import<'_>, server: &Directive, chain: &Chain<'_>, section: &mut Section) {
    if chain.is_on("ssl_reject_handshake") {
        return section.keys.set("reject_handshake", Value::Flag(true));
    }
    let certificates = chain.in_force(&["ssl_certificate"]);
    let keys = chain.in_force(&["ssl_certificate_key"]);
    if let Some((alone, missing)) = match certificates.len().cmp(&keys.len()) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => certificates.last().map(|directive| (*directive, "ssl_certificate_key")),
        std::cmp::Ordering::Less => keys.last().map(|directive| (*directive, "ssl_certificate")),
    } {
        import.report.broken(alone.name.span.problem(alone.name(), format!("there is no `{missing}` for it"), None));
    }
    let mut tables = identities(import, chain, &certificates, &keys);
    match tables.len() {
        0 => {}
        1 => section.keys.0.extend(tables.pop().map(|table| ("tls".to_owned(), table))),
        _ => section.keys.set("tls", Value::List(tables)),
    }
    client_auth(import, server, chain, section);
}

/// The certificate of a listener of streams.
pub(super) fn of_stream(import: &mut Import<'_>, chain: &Chain<'_>) -> Keys {
    let mut keys = listener(import, chain);
    let certificates = chain.in_force(&["ssl_certificate"]);
    if let Some(second) = certificates.get(1) {
        import.report.lacks(second, "a listener of streams has one certificate", "leave the others out");
    }
    let mut found = identities(import, chain, &certificates, &chain.in_force(&["ssl_certificate_key"]));
    if !found.is_empty()
        && let Value::Table(table) = found.swap_remove(0)
    {
        keys.0.extend(table);
    }
    keys
}

/// Certificates with their keys, and how their responses of OCSP are had.
fn identities(
    import: &mut Import<'_>,
    chain: &Chain<'_>,
    certificates: &[&Directive],
    keys: &[&Directive],
) -> Vec<Value> {
    let mut tables = Vec::new();
    for (certificate, key) in certificates.iter().zip(keys) {
        let mut table = Keys::default();
        for (name, file) in [("certificate", certificate), ("key", key)] {
            if file.arg(0).contains('$')
                || file.arg(0).starts_with("data:")
                || file.arg(0).starts_with("engine:")
                || file.arg(0).starts_with("store:")
            {
                let instead = "write the file's name";
                import.report.lacks(file, "is not the name of a file", instead);
                continue;
            }
            table.set(name, Value::text(import.paths.of_folder(file.arg(0))));
        }
        if chain.is_on("ssl_stapling") {
            staple(import, chain, &mut table);
        }
        tables.push(Value::Table(table.0));
    }
    tables
}

/// nginx: `ssl_stapling`.
fn staple(import: &Import<'_>, chain: &Chain<'_>, table: &mut Keys) {
    if let Some(file) = chain.one("ssl_stapling_file") {
        return table.set("ocsp", Value::text(import.paths.of_folder(file.arg(0))));
    }
    table.set("ocsp", Value::text("fetch"));
    if let Some(responder) = chain.one("ssl_stapling_responder") {
        table.set("ocsp_responder", Value::text(responder.arg(0)));
    }
    if chain.word("ssl_stapling_verify").eq_ignore_ascii_case("off") {
        table.set("ocsp_verify", Value::Flag(false));
    }
}

fn client_auth(import: &mut Import<'_>, _server: &Directive, chain: &Chain<'_>, section: &mut Section) {
    let Some(directive) = chain.one("ssl_verify_client") else { return };
    let mode = match directive.arg(0) {
        "off" => return,
        "on" => "required",
        "optional" => "optional",
        "optional_no_ca" => "optional_no_ca",
        other => {
            let message = format!("`{other}` is none of `on`, `off`, `optional`, `optional_no_ca`");
            return import.report.broken(directive.name.span.problem("ssl_verify_client", message, None));
        }
    };
    let Some(ca) = chain.one("ssl_client_certificate").or_else(|| chain.one("ssl_trusted_certificate")) else {
        if mode == "optional_no_ca" {
            let instead = "write `ssl_client_certificate`, with any authority";
            return import.report.lacks(directive, "needs a file of authorities", instead);
        }
        return import.report.broken(directive.name.span.problem(
            "ssl_verify_client",
            "there is no `ssl_client_certificate` for it",
            None,
        ));
    };
    let mut table =
        vec![("mode".to_owned(), Value::text(mode)), ("ca".to_owned(), Value::text(import.paths.of_folder(ca.arg(0))))];
    if let Some(depth) = chain.one("ssl_verify_depth") {
        match depth.arg(0).parse::<u64>() {
            Ok(count) if count <= MOST_DEPTH => table.push(("depth".to_owned(), Value::Count(count))),
            Ok(_) => {
                import.report.differs(depth, "chains have at most 16 certificates between");
                table.push(("depth".to_owned(), Value::Count(MOST_DEPTH)));
            }
            Err(_) => import.report.broken(depth.name.span.problem(depth.name(), "is not a number", None)),
        }
    }
    if let Some(crl) = chain.one("ssl_crl") {
        table.push(("crl".to_owned(), Value::text(import.paths.of_folder(crl.arg(0)))));
    }
    section.keys.set("client_auth", Value::Table(table));
}
