//! Signed requests (RFC 7515, as RFC 8555 §6.2 has them), checked.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::book::Book;

/// A request whose signature is good.
pub(super) struct Signed {
    /// None for an empty one: a POST that only wants to read.
    pub(super) payload: Option<Value>,
    /// The key itself; none where the account is named.
    pub(super) jwk: Option<Value>,
    /// The number of the account.
    pub(super) account: Option<usize>,
}

/// Why one is refused: the type of the problem, and what is wrong.
pub(super) type Refused = (&'static str, String);

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An uncompressed point out of a key.
pub(super) fn point(jwk: &Value) -> Option<Vec<u8>> {
    let coordinate = |name: &str| decode(jwk[name].as_str()?).filter(|bytes| bytes.len() == 32);
    let good = jwk["kty"] == "EC" && jwk["crv"] == "P-256";
    good.then(|| Some([vec![4], coordinate("x")?, coordinate("y")?].concat()))?
}

/// RFC 7638.
pub(super) fn thumbprint(jwk: &Value) -> String {
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Check a request to this URL.
pub(super) fn check(book: &mut Book, url: &str, accounts: &str, body: &[u8]) -> Result<Signed, Refused> {
    let malformed = |what: &str| ("malformed", what.to_owned());
    let body: Value = serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
    let part = |name: &str| body[name].as_str().ok_or_else(|| malformed(name));
    let (protected, payload, signature) = (part("protected")?, part("payload")?, part("signature")?);
    let header = decode(protected).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let header = header.ok_or_else(|| malformed("the protected header"))?;
    let (jwk, kid) = (header.get("jwk").cloned(), header.get("kid").and_then(Value::as_str));
    let account = kid.map(|kid| kid.strip_prefix(accounts).and_then(|number| number.parse::<usize>().ok()));
    let key = match (&jwk, account) {
        (Some(jwk), None) => point(jwk),
        (None, Some(Some(number))) => book.accounts.get(number).map(|account| account.key.clone()),
        (None, Some(None)) => return Err(("accountDoesNotExist", kid.unwrap_or_default().to_owned())),
        _ => None,
    };
    let key = key.ok_or_else(|| malformed("the key, or two, or none"))?;
    let signature = decode(signature).ok_or_else(|| malformed("the signature"))?;
    let message = format!("{protected}.{payload}");
    let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key).verify(message.as_bytes(), &signature);
    if header["alg"] != "ES256" || verified.is_err() {
        return Err(malformed("the signature does not hold"));
    }
    if header["url"] != url {
        return Err(("unauthorized", format!("signed for {}, sent to {url}", header["url"])));
    }
    if !book.nonces.remove(header["nonce"].as_str().unwrap_or_default()) {
        return Err(("badNonce", format!("{}", header["nonce"])));
    }
    let payload = decode(payload).ok_or_else(|| malformed("the payload"))?;
    let payload = if payload.is_empty() { None } else { serde_json::from_slice(&payload).ok() };
    Ok(Signed { payload, jwk, account: account.flatten() })
}

/// Check what links an account (RFC 8555 §7.3.4).
pub(super) fn is_linked(binding: &Value, jwk: &Value, url: &str, kid: &str, key: &[u8]) -> bool {
    let part = |name: &str| binding[name].as_str().unwrap_or_default();
    let json = |name: &str| decode(part(name)).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let message = format!("{}.{}", part("protected"), part("payload"));
    let signature = decode(part("signature")).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, message.as_bytes(), &signature).is_ok()
        && json("protected") == Some(json!({ "alg": "HS256", "kid": kid, "url": url }))
        && json("payload").as_ref().map(thumbprint) == Some(thumbprint(jwk))
}
