//! The algorithms of RFC 7518 §3 that signatures are verified with, and their keys.

use ed25519_dalek::Signature as EdSignature;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::{Verifier, hazmat::PrehashVerifier};
use rsa::pkcs1v15;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// An algorithm. `none` is not among them, so that it is refused wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// ECDSA with P-384 and SHA-384.
    ES384,
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// By its name in a token or key; none for one that is not served.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::HS256,
            "HS384" => Self::HS384,
            "HS512" => Self::HS512,
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A key, of the kind that it is: whatever a token says, a public key is never a secret.
#[derive(Debug, Clone)]
pub enum Material {
    /// `oct`: a secret.
    Secret(Vec<u8>),
    /// `RSA`
    Rsa(Box<rsa::RsaPublicKey>),
    /// `EC` with `P-256`.
    P256(Box<p256::ecdsa::VerifyingKey>),
    /// `EC` with `P-384`.
    P384(Box<p384::ecdsa::VerifyingKey>),
    /// `OKP` with `Ed25519`.
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl Material {
    /// Whether the algorithm goes with this key. RFC 7518 §3.2: a secret has at least as many bytes as
    /// the hash.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        match (self, algorithm) {
            (Self::Secret(secret), Algorithm::HS256) => secret.len() >= 32,
            (Self::Secret(secret), Algorithm::HS384) => secret.len() >= 48,
            (Self::Secret(secret), Algorithm::HS512) => secret.len() >= 64,
            (Self::Rsa(_), Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512)
            | (Self::P256(_), Algorithm::ES256)
            | (Self::P384(_), Algorithm::ES384)
            | (Self::Ed25519(_), Algorithm::EdDsa) => true,
            _ => false,
        }
    }

    /// Whether `signature` is this key's over `signed`, by this algorithm.
    pub fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match self {
            Self::Secret(secret) => match algorithm {
                Algorithm::HS256 => hmac::<Hmac<Sha256>>(secret, signed, signature),
                Algorithm::HS384 => hmac::<Hmac<Sha384>>(secret, signed, signature),
                _ => hmac::<Hmac<Sha512>>(secret, signed, signature),
            },
            Self::Rsa(key) => {
                let Ok(signature) = pkcs1v15::Signature::try_from(signature) else { return false };
                let key = rsa::RsaPublicKey::clone(key);
                match algorithm {
                    Algorithm::RS256 => pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(signed, &signature),
                    Algorithm::RS384 => pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(signed, &signature),
                    _ => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(signed, &signature),
                }
                .is_ok()
            }
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha256::digest(signed), &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha384::digest(signed), &signature).is_ok()),
            // Strictly: keys of small order, with which one signature fits many texts, are refused.
            Self::Ed25519(key) => {
                EdSignature::from_slice(signature).is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok())
            }
        }
    }
}

/// In constant time.
fn hmac<M: Mac + hmac::digest::KeyInit>(secret: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    <M as Mac>::new_from_slice(secret).is_ok_and(|mac| mac.chain_update(signed).verify_slice(signature).is_ok())
}
