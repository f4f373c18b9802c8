//! Tokens: the compact form of RFC 7515 §7.1, and what RFC 7519 says of claims.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::keys::{KeySet, Verified};

/// The longest token that is looked at, bytes.
pub const LONGEST_TOKEN: usize = 16 << 10;

/// What a token says about who it is of.
pub type Claims = Map<String, Value>;

/// Why a token is refused: for the log, and in part for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is none, or none that is understood.
    Malformed(&'static str),
    /// Its algorithm is not one of those that are allowed.
    Algorithm,
    /// Its key is not known.
    UnknownKey,
    /// Its signature is not good.
    Signature,
    /// A claim is not as it must be.
    Claim(&'static str),
    /// A claim is missing that must be there.
    Missing(String),
}

impl Refusal {
    /// In words, without anything of the token.
    pub fn text(&self) -> String {
        match self {
            Self::Malformed(why) => format!("the token is malformed: {why}"),
            Self::Algorithm => "the token's algorithm is not allowed".to_owned(),
            Self::UnknownKey => "the token's key is not known".to_owned(),
            Self::Signature => "the token's signature is not good".to_owned(),
            Self::Claim(why) => format!("the token {why}"),
            Self::Missing(claim) => format!("the token has no `{claim}`"),
        }
    }
}

/// The header. RFC 7515 §4.1: what is not known is ignored, unless it is critical.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// A token that has been taken apart, and not verified.
#[derive(Debug)]
pub struct Token<'a> {
    algorithm: Option<Algorithm>,
    key: Option<String>,
    signed: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Take a token apart.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > LONGEST_TOKEN {
            return Err(Refusal::Malformed("it is too long"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed("it has not three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed("it has not three parts"))?;
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed("a part is not base64url"));
        let header: Header =
            serde_json::from_slice(&part(header)?).map_err(|_| Refusal::Malformed("its header is not one"))?;
        // RFC 7515 §4.1.11: nothing critical is understood here.
        if header.crit.is_some() {
            return Err(Refusal::Malformed("its header has a critical member"));
        }
        Ok(Self {
            algorithm: Algorithm::named(&header.alg),
            key: header.kid,
            signed: signed.as_bytes(),
            payload: part(payload)?,
            signature: part(signature)?,
        })
    }

    /// Whether it is signed by one of these keys, with one of these algorithms.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<(), Refusal> {
        let algorithm = self.algorithm.filter(|one| allowed.contains(one)).ok_or(Refusal::Algorithm)?;
        match keys.verify(algorithm, self.key.as_deref(), self.signed, &self.signature) {
            Verified::Yes => Ok(()),
            Verified::No => Err(Refusal::Signature),
            Verified::UnknownKey => Err(Refusal::UnknownKey),
        }
    }

    /// Its claims; to be believed once it is verified.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn claims(&self) -> Result<Claims, Refusal> {
        serde_json::from_slice(&self.payload).map_err(|_| Refusal::Malformed("its claims are no object"))
    }
}

/// What claims must be.
#[derive(Debug, Default)]
pub struct Rules {
    /// One of these must have issued it; empty for anybody.
    pub issuers: Vec<String>,
    /// It must be for one of these; empty for anybody.
    pub audiences: Vec<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Claims that must be there, and not be null.
    pub required: Vec<String>,
}

impl Rules {
    /// Whether claims are as they must be now; when they end, with the leeway. None where they do not.
    ///
    /// # Errors
    /// Which is not.
    pub fn check(&self, claims: &Claims, now: Duration) -> Result<Option<Duration>, Refusal> {
        if let Some(name) = self.required.iter().find(|name| claims.get(*name).is_none_or(Value::is_null)) {
            return Err(Refusal::Missing(name.clone()));
        }
        let ends = date(claims, "exp")?.map(|at| at.saturating_add(self.leeway));
        if ends.is_some_and(|ends| now >= ends) {
            return Err(Refusal::Claim("has expired"));
        }
        if date(claims, "nbf")?.is_some_and(|begins| now.saturating_add(self.leeway) < begins) {
            return Err(Refusal::Claim("is not valid yet"));
        }
        let is_one = |value: &Value, of: &[String]| value.as_str().is_some_and(|text| of.iter().any(|one| one == text));
        if !self.issuers.is_empty() && !claims.get("iss").is_some_and(|issuer| is_one(issuer, &self.issuers)) {
            return Err(Refusal::Claim("is of another issuer"));
        }
        let is_for_us = |audience: &Value| match audience {
            Value::Array(all) => all.iter().any(|one| is_one(one, &self.audiences)),
            one => is_one(one, &self.audiences),
        };
        if !self.audiences.is_empty() && !claims.get("aud").is_some_and(is_for_us) {
            return Err(Refusal::Claim("is for another audience"));
        }
        Ok(ends)
    }
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, maybe with a fraction.
fn date(claims: &Claims, name: &str) -> Result<Option<Duration>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map(Some).ok_or(Refusal::Claim("has a time that is none"))
}
