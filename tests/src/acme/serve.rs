//! The resources (RFC 8555 §7).

use std::sync::Arc;
use std::thread::spawn;
use std::time::SystemTime;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use serde_json::{Value, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, GeneralName};

use super::book::{Account, Authorization, Book, Order};
use super::jws::{self, Refused, Signed};
use super::{Failure, Shared, look};

/// What is answered.
pub(super) struct Reply {
    status: u16,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn json(status: u16, value: &Value) -> Self {
        Self { status, kind: "application/json", headers: Vec::new(), body: value.to_string() }
    }

    fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let value = json!({ "type": kind, "detail": detail, "status": status });
        Self { kind: "application/problem+json", ..Self::json(status, &value) }
    }

    fn at(mut self, location: String) -> Self {
        self.headers.push(("Location", location));
        self
    }

    pub(super) fn bytes(&self, to_head: bool) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Because\r\nConnection: close\r\nCache-Control: no-store\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Type: {}\r\nContent-Length: {}\r\n\r\n", self.kind, self.body.len()));
        if !to_head {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

/// Answer a request.
pub(super) fn serve(shared: &Arc<Shared>, method: &str, path: &str, head: &str, body: &[u8]) -> Reply {
    let (resource, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    shared.book.lock().asked.push(resource.to_owned());
    let failure = {
        let mut terms = shared.terms.lock();
        let next = terms.failures.iter().position(|(wanted, _)| *wanted == resource);
        next.and_then(|next| terms.failures.remove(next))
    };
    let mut reply = match failure {
        Some((_, Failure::Nonce)) => Reply::problem(400, "badNonce", "a test wants it so"),
        Some((_, Failure::Broken)) => {
            Reply { status: 500, kind: "text/plain", headers: Vec::new(), body: "broken".to_owned() }
        }
        Some((_, Failure::Rate(seconds))) => {
            let mut reply = Reply::problem(429, "rateLimited", "too many of these");
            reply.headers.push(("Retry-After", seconds.to_string()));
            reply
        }
        None => resources(shared, method, path, resource, rest, head, body),
    };
    reply.headers.push(("Replay-Nonce", shared.book.lock().nonce()));
    reply
}

fn resources(
    shared: &Arc<Shared>,
    method: &str,
    path: &str,
    resource: &str,
    rest: &str,
    head: &str,
    body: &[u8],
) -> Reply {
    match (method, resource) {
        ("GET", "directory") => return directory(shared),
        ("HEAD" | "GET", "new-nonce") => return Reply::json(200, &Value::Null),
        ("GET", "renewal-info") => return renewal_info(shared, rest),
        ("POST", _) => {}
        _ => return wrong(shared, ("malformed", format!("{method} {path}"))),
    }
    if !head.to_ascii_lowercase().contains("content-type: application/jose+json") {
        return wrong(shared, ("malformed", "the media type".to_owned()));
    }
    let mut book = shared.book.lock();
    let signed = jws::check(&mut book, &shared.url(path.trim_start_matches('/')), &shared.url("account/"), body);
    let number = rest.split('/').next().and_then(|number| number.parse::<usize>().ok());
    let answer = signed.and_then(|signed| match (resource, number) {
        ("new-account", _) => new_account(shared, &mut book, &signed),
        ("new-order", _) => new_order(shared, &mut book, &signed),
        ("order", Some(number)) => read_order(shared, &book, &signed, number),
        ("authorization", Some(number)) => Ok(authorization(shared, &book, number)),
        ("challenge", Some(number)) => challenge(shared, &mut book, &signed, number, rest),
        ("finalize", Some(number)) => finalize(shared, &mut book, &signed, number),
        ("certificate", Some(number)) => Ok(Reply {
            kind: "application/pem-certificate-chain",
            body: book.certificates[number].clone(),
            ..Reply::json(200, &Value::Null)
        }),
        _ => Err(("malformed", format!("no resource {path}"))),
    });
    drop(book);
    answer.unwrap_or_else(|refused| wrong(shared, refused))
}

/// A refusal that no test has asked for is told of at the end.
fn wrong(shared: &Shared, (kind, detail): Refused) -> Reply {
    if !matches!(kind, "unauthorized" | "externalAccountRequired") {
        shared.wrong.lock().push(format!("{kind}: {detail}"));
    }
    Reply::problem(if kind == "unauthorized" { 403 } else { 400 }, kind, &detail)
}

fn directory(shared: &Shared) -> Reply {
    let terms = shared.terms.lock();
    let mut directory = json!({
        "newNonce": shared.url("new-nonce"),
        "newAccount": shared.url("new-account"),
        "newOrder": shared.url("new-order"),
        "revokeCert": shared.url("revoke-certificate"),
        "keyChange": shared.url("key-change"),
        "meta": { "externalAccountRequired": terms.linked.is_some() },
    });
    if terms.window.is_some() {
        directory["renewalInfo"] = shared.url("renewal-info").into();
    }
    Reply::json(200, &directory)
}

fn renewal_info(shared: &Shared, identifier: &str) -> Reply {
    let Some((start, end)) = shared.terms.lock().window else { return Reply::json(404, &Value::Null) };
    if identifier.split('.').filter(|part| jws::decode(part).is_some_and(|bytes| !bytes.is_empty())).count() != 2 {
        return wrong(shared, ("malformed", format!("no certificate is {identifier}")));
    }
    let window = json!({ "start": rfc3339(start), "end": rfc3339(end) });
    let mut reply = Reply::json(200, &json!({ "suggestedWindow": window }));
    reply.headers.push(("Retry-After", "21600".to_owned()));
    reply
}

/// In UTC, to the second.
fn rfc3339(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (i64::try_from(seconds / 86_400).unwrap(), seconds % 86_400);
    // Howard Hinnant's `civil_from_days`, for days from 1970 on.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

fn new_account(shared: &Shared, book: &mut Book, signed: &Signed) -> Result<Reply, Refused> {
    let (Some(jwk), Some(payload)) = (&signed.jwk, &signed.payload) else {
        return Err(("malformed", "an account without a key".to_owned()));
    };
    if let Some((kid, key)) = &shared.terms.lock().linked
        && !jws::is_linked(&payload["externalAccountBinding"], jwk, &shared.url("new-account"), kid, key)
    {
        return Err(("externalAccountRequired", "no linked account".to_owned()));
    }
    if payload["termsOfServiceAgreed"] != true {
        return Err(("userActionRequired", "the terms of service".to_owned()));
    }
    let contact = payload["contact"].as_array().into_iter().flatten();
    let contact = contact.filter_map(|text| text.as_str().map(str::to_owned)).collect();
    let key = jws::point(jwk).unwrap_or_default();
    book.accounts.push(Account { key, thumbprint: jws::thumbprint(jwk), contact });
    let location = shared.url(&format!("account/{}", book.accounts.len() - 1));
    Ok(Reply::json(201, &json!({ "status": "valid" })).at(location))
}

fn new_order(shared: &Shared, book: &mut Book, signed: &Signed) -> Result<Reply, Refused> {
    let (Some(account), Some(payload)) = (signed.account, &signed.payload) else {
        return Err(("malformed", "an order without an account".to_owned()));
    };
    let identifiers = payload["identifiers"].as_array().into_iter().flatten();
    let names: Vec<String> =
        identifiers.filter(|id| id["type"] == "dns").filter_map(|id| id["value"].as_str().map(str::to_owned)).collect();
    if names.is_empty() {
        return Err(("malformed", "an order for no names".to_owned()));
    }
    let mut authorizations = Vec::new();
    for name in &names {
        let token = book.fresh("token");
        let (status, chosen, error) = ("pending", None, None);
        book.authorizations.push(Authorization { name: name.clone(), token, status, chosen, error });
        authorizations.push(book.authorizations.len() - 1);
    }
    let replaces = payload["replaces"].as_str().map(str::to_owned);
    book.orders.push(Order { account, names, replaces, authorizations, certificate: None });
    let number = book.orders.len() - 1;
    Ok(Reply { status: 201, ..order(shared, book, number) }.at(shared.url(&format!("order/{number}"))))
}

fn read_order(shared: &Shared, book: &Book, signed: &Signed, number: usize) -> Result<Reply, Refused> {
    let own = book.orders.get(number).is_some_and(|order| Some(order.account) == signed.account);
    if own { Ok(order(shared, book, number)) } else { Err(("malformed", "another's order".to_owned())) }
}

fn order(shared: &Shared, book: &Book, number: usize) -> Reply {
    let order = &book.orders[number];
    let authorization = |number: &usize| shared.url(&format!("authorization/{number}"));
    let mut value = json!({
        "status": book.status(number),
        "identifiers": order.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect::<Vec<_>>(),
        "authorizations": order.authorizations.iter().map(authorization).collect::<Vec<_>>(),
        "finalize": shared.url(&format!("finalize/{number}")),
    });
    if let Some(certificate) = order.certificate {
        value["certificate"] = shared.url(&format!("certificate/{certificate}")).into();
    }
    if let Some(replaces) = &order.replaces {
        value["replaces"] = replaces.as_str().into();
    }
    Reply::json(200, &value)
}

const KINDS: [&str; 2] = ["http-01", "tls-alpn-01"];

fn authorization(shared: &Shared, book: &Book, number: usize) -> Reply {
    let authorization = &book.authorizations[number];
    let challenges: Vec<_> = KINDS.iter().map(|kind| describe(shared, authorization, number, kind)).collect();
    Reply::json(
        200,
        &json!({
            "status": authorization.status,
            "identifier": { "type": "dns", "value": authorization.name },
            "challenges": challenges,
        }),
    )
}

fn describe(shared: &Shared, authorization: &Authorization, number: usize, kind: &str) -> Value {
    let chosen = authorization.chosen == Some(kind);
    let mut value = json!({
        "type": kind,
        "url": shared.url(&format!("challenge/{number}/{kind}")),
        "token": authorization.token,
        "status": if chosen { authorization.status } else { "pending" },
    });
    if let Some(error) = authorization.error.as_ref().filter(|_| chosen) {
        value["error"] =
            json!({ "type": "urn:ietf:params:acme:error:incorrectResponse", "detail": error, "status": 403 });
    }
    value
}

fn challenge(
    shared: &Arc<Shared>,
    book: &mut Book,
    signed: &Signed,
    number: usize,
    rest: &str,
) -> Result<Reply, Refused> {
    let chosen = KINDS.into_iter().find(|kind| rest.ends_with(kind));
    let (Some(chosen), Some(account)) = (chosen, signed.account) else {
        return Err(("malformed", format!("no challenge {rest}")));
    };
    let thumbprint = book.accounts[account].thumbprint.clone();
    let authorization = &mut book.authorizations[number];
    authorization.chosen = Some(chosen);
    let (name, token) = (authorization.name.clone(), authorization.token.clone());
    let reply = Reply::json(200, &describe(shared, authorization, number, chosen));
    let shared = Arc::clone(shared);
    spawn(move || {
        let answer = format!("{token}.{thumbprint}");
        let ports = shared.terms.lock().ports;
        let found = match (ports, chosen) {
            (None, _) => Err("the name leads nowhere".to_owned()),
            (Some((http, _)), "http-01") => look::http(http, &name, &token, &answer),
            (Some((_, tls)), _) => look::tls(tls, &name, &answer),
        };
        let mut book = shared.book.lock();
        let authorization = &mut book.authorizations[number];
        authorization.status = if found.is_ok() { "valid" } else { "invalid" };
        authorization.error = found.err();
    });
    Ok(reply)
}

/// The key of a request for a certificate.
struct Key(Vec<u8>);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn finalize(shared: &Shared, book: &mut Book, signed: &Signed, number: usize) -> Result<Reply, Refused> {
    if book.status(number) != "ready" {
        return Err(("orderNotReady", book.status(number).to_owned()));
    }
    let der = signed.payload.as_ref().and_then(|payload| jws::decode(payload["csr"].as_str()?)).unwrap_or_default();
    let (names, key) = signing_request(&der).ok_or(("badCSR", "it cannot be read, or its signature".to_owned()))?;
    let mut wanted = book.orders[number].names.clone();
    wanted.sort();
    if names != wanted {
        return Err(("badCSR", format!("for {names:?}, not {wanted:?}")));
    }
    let terms = shared.terms.lock();
    let from = SystemTime::now() - terms.age;
    let chain = shared.authority.issue_for(&book.orders[number].names, &key, from, terms.lifetime);
    drop(terms);
    book.certificates.push(chain);
    book.orders[number].certificate = Some(book.certificates.len() - 1);
    Ok(order(shared, book, number))
}

/// The names, sorted, and the key.
fn signing_request(der: &[u8]) -> Option<(Vec<String>, Key)> {
    let (_, request) = X509CertificationRequest::from_der(der).ok()?;
    let info = &request.certification_request_info;
    let key = info.subject_pki.subject_public_key.data.to_vec();
    let signature = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key);
    signature.verify(info.raw, &request.signature_value.data).ok()?;
    let mut names = Vec::new();
    for extension in request.requested_extensions()? {
        if let ParsedExtension::SubjectAlternativeName(found) = extension {
            names.extend(found.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            }));
        }
    }
    names.sort();
    Some((names, Key(key)))
}
