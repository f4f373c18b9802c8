//! Sets of keys (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::BigUint;
use serde::Deserialize;
use serde_json::Value;

use crate::algorithm::{Algorithm, Material};

/// Keys of one set; more are not looked at.
const MOST_KEYS: usize = 64;
/// Bits of an RSA key: fewer are broken, more take too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key set as it is written.
#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

/// One key as it is written. RFC 7517 §5: members that are not known are ignored.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// One key that can verify.
#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    /// The only algorithm that it is for.
    only: Option<Algorithm>,
    material: Material,
}

/// Keys that tokens are verified with.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// What verifying came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The signature is good.
    Yes,
    /// It is not.
    No,
    /// No key has the id that the token names.
    UnknownKey,
}

impl KeySet {
    /// Read a set; with the keys of it that cannot be used, in words.
    ///
    /// # Errors
    /// Where it is none, or has no key that can be used.
    pub fn parse(text: &[u8]) -> Result<(Self, Vec<String>), String> {
        let written: Written = serde_json::from_slice(text).map_err(|error| format!("not a key set: {error}"))?;
        let (mut keys, mut unused) = (Vec::new(), Vec::new());
        for (number, key) in written.keys.into_iter().take(MOST_KEYS).enumerate() {
            match serde_json::from_value(key).map_err(|error| error.to_string()).and_then(read) {
                Ok(key) => keys.push(key),
                // RFC 7517 §5: what is not understood is left out.
                Err(why) => unused.push(format!("key {number}: {why}")),
            }
        }
        if keys.is_empty() {
            return Err(format!("no key can be used: {}", unused.join("; ")));
        }
        Ok((Self { keys }, unused))
    }

    /// Whether some key goes with one of these algorithms.
    pub fn serves(&self, algorithms: &[Algorithm]) -> bool {
        algorithms.iter().any(|algorithm| self.keys.iter().any(|key| key.serves(*algorithm)))
    }

    /// Verify a signature with the key of this id, or, where the token names none, with any.
    pub fn verify(&self, algorithm: Algorithm, id: Option<&str>, signed: &[u8], signature: &[u8]) -> Verified {
        let mut named = self.keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id).peekable();
        if named.peek().is_none() {
            return Verified::UnknownKey;
        }
        let good = named.any(|key| key.serves(algorithm) && key.material.verifies(algorithm, signed, signature));
        if good { Verified::Yes } else { Verified::No }
    }
}

impl Key {
    fn serves(&self, algorithm: Algorithm) -> bool {
        self.only.is_none_or(|only| only == algorithm) && self.material.fits(algorithm)
    }
}

fn read(key: WrittenKey) -> Result<Key, String> {
    if key.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("it is not for signatures".to_owned());
    }
    if key.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|one| one == "verify")) {
        return Err("it is not for verifying".to_owned());
    }
    let material = match (key.kty.as_str(), key.crv.as_deref()) {
        ("oct", _) => Material::Secret(bytes(&key.k, "k")?),
        ("RSA", _) => rsa(&bytes(&key.n, "n")?, &bytes(&key.e, "e")?)?,
        ("EC", Some("P-256")) => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point::<32>(&key)?);
            Material::P256(Box::new(key.map_err(|_invalid| "the point is not on the curve")?))
        }
        ("EC", Some("P-384")) => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point::<48>(&key)?);
            Material::P384(Box::new(key.map_err(|_invalid| "the point is not on the curve")?))
        }
        ("OKP", Some("Ed25519")) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(&exact(&key.x, "x")?);
            Material::Ed25519(Box::new(key.map_err(|_invalid| "the point is not on the curve")?))
        }
        (kind, curve) => return Err(format!("{kind} {} is not served", curve.unwrap_or_default())),
    };
    let only = match key.alg.as_deref() {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or_else(|| format!("{name} is not served"))?),
    };
    if only.is_some_and(|only| !material.fits(only)) {
        return Err("its `alg` does not go with it, or it is too short for it".to_owned());
    }
    Ok(Key { id: key.kid, only, material })
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Material, String> {
    let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
    let bits = n.bits();
    if !RSA_BITS.contains(&bits) {
        return Err(format!("{bits} bits are not {} to {}", RSA_BITS.start(), RSA_BITS.end()));
    }
    let key = rsa::RsaPublicKey::new_with_max_size(n, e, *RSA_BITS.end());
    Ok(Material::Rsa(Box::new(key.map_err(|error| error.to_string())?)))
}

/// A point, uncompressed (SEC 1 §2.3.3).
fn point<const N: usize>(key: &WrittenKey) -> Result<Vec<u8>, String> {
    let (x, y): ([u8; N], [u8; N]) = (exact(&key.x, "x")?, exact(&key.y, "y")?);
    Ok([&[4][..], &x, &y].concat())
}

fn bytes(member: &Option<String>, name: &str) -> Result<Vec<u8>, String> {
    let text = member.as_deref().ok_or_else(|| format!("it has no `{name}`"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_not_base64| format!("`{name}` is not base64url"))
}

fn exact<const N: usize>(member: &Option<String>, name: &str) -> Result<[u8; N], String> {
    bytes(member, name)?.try_into().map_err(|_length| format!("`{name}` has not {N} bytes"))
}
