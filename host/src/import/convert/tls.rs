//! `ssl_…`: what listeners offer, and what servers show.

use super::Import;
use super::chain::Chain;
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value};

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
    let staple = chain.one("ssl_stapling_file").filter(|_| chain.is_on("ssl_stapling"));
    if let Some(directive) = chain.one("ssl_stapling").filter(|_| chain.is_on("ssl_stapling") && staple.is_none()) {
        import.report.differs(directive, "no response is stapled, since none is fetched");
    }
    let mut tables = Vec::new();
    for (certificate, key) in certificates.into_iter().zip(keys) {
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
        if let Some(staple) = staple {
            table.set("ocsp", Value::text(import.paths.of_folder(staple.arg(0))));
        }
        tables.push(Value::Table(table.0));
    }
    match tables.len() {
        0 => {}
        1 => section.keys.0.extend(tables.pop().map(|table| ("tls".to_owned(), table))),
        _ => section.keys.set("tls", Value::List(tables)),
    }
    client_auth(import, server, chain, section);
}

fn client_auth(import: &mut Import<'_>, _server: &Directive, chain: &Chain<'_>, section: &mut Section) {
    let Some(directive) = chain.one("ssl_verify_client") else { return };
    let mode = match directive.arg(0) {
        "off" => return,
        "on" => "required",
        "optional" => "optional",
        other => {
            let instead = "write `optional`, or check certificates in the backend";
            return import.report.lacks(
                directive,
                format!("`{other}` lets certificates pass that nobody vouches for"),
                instead,
            );
        }
    };
    let Some(ca) = chain.one("ssl_client_certificate").or_else(|| chain.one("ssl_trusted_certificate")) else {
        return import.report.broken(directive.name.span.problem(
            "ssl_verify_client",
            "there is no `ssl_client_certificate` for it",
            None,
        ));
    };
    let mut table =
        vec![("mode".to_owned(), Value::text(mode)), ("ca".to_owned(), Value::text(import.paths.of_folder(ca.arg(0))))];
    if let Some(crl) = chain.one("ssl_crl") {
        table.push(("crl".to_owned(), Value::text(import.paths.of_folder(crl.arg(0)))));
    }
    section.keys.set("client_auth", Value::Table(table));
}
