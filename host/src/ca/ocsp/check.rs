//! Whether a response may be stapled (RFC 6960 §3.2).

use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use x509_cert::Certificate;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _, Header, Reader as _, SliceReader};
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, OcspResponseStatus};

use super::question::Question;

/// RFC 6960 §4.2.1: the one kind of response that there is.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// RFC 6960 §4.2.2.2: who may answer for an issuer.
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
/// RFC 5280 §4.2.1.12.
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
/// How far the responder's clock may be ahead. nginx: 300 seconds.
const SKEW: Duration = Duration::from_secs(300);

/// Until when a good response holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Good {
    pub(super) this_update: SystemTime,
    /// None where the responder does not say.
    pub(super) next_update: Option<SystemTime>,
}

/// Why a response is not stapled.
#[derive(Debug, thiserror::Error)]
pub(super) enum Bad {
    #[error("the answer cannot be read: {0}")]
    Malformed(#[from] x509_cert::der::Error),
    #[error("the responder says {0:?}")]
    Refused(OcspResponseStatus),
    #[error("the answer is of an unknown kind")]
    Kind,
    #[error("the answer is about another certificate")]
    Another,
    #[error("the certificate is revoked")]
    Revoked,
    #[error("the responder does not know the certificate")]
    Unknown,
    #[error("the answer is from the future")]
    Early,
    #[error("the answer has expired")]
    Expired,
    #[error("the answer is not signed by the issuer, nor by whom it has told to")]
    Signature,
}

/// Check a response.
pub(super) fn check(response: &[u8], question: &Question, verify: bool, now: SystemTime) -> Result<Good, Bad> {
    let response = OcspResponse::from_der(response)?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(Bad::Refused(response.response_status));
    }
    let bytes = response.response_bytes.filter(|bytes| bytes.response_type == BASIC).ok_or(Bad::Kind)?;
    let basic = BasicOcspResponse::from_der(bytes.response.as_bytes())?;
    let about = |id: &x509_ocsp::CertId| {
        let wanted = &question.id;
        // Some leave the parameters of the algorithm out, which says the same (RFC 3370 §2.1).
        id.hash_algorithm.oid == wanted.hash_algorithm.oid
            && id.issuer_name_hash == wanted.issuer_name_hash
            && id.issuer_key_hash == wanted.issuer_key_hash
            && id.serial_number == wanted.serial_number
    };
    let single = basic.tbs_response_data.responses.iter().find(|single| about(&single.cert_id)).ok_or(Bad::Another)?;
    let time = |time: &x509_ocsp::OcspGeneralizedTime| SystemTime::UNIX_EPOCH + time.0.to_unix_duration();
    let good = Good { this_update: time(&single.this_update), next_update: single.next_update.as_ref().map(time) };
    if good.this_update > now + SKEW {
        return Err(Bad::Early);
    }
    if good.next_update.is_some_and(|next| next <= now) {
        return Err(Bad::Expired);
    }
    if verify && !is_signed(&basic, bytes.response.as_bytes(), &question.issuer, now)? {
        return Err(Bad::Signature);
    }
    // Last: who is not believed cannot revoke anything either.
    match single.cert_status {
        CertStatus::Good(_) => Ok(good),
        CertStatus::Revoked(_) => Err(Bad::Revoked),
        CertStatus::Unknown(_) => Err(Bad::Unknown),
    }
}

/// Whether the issuer has signed it, or somebody whom the issuer has certified for that.
fn is_signed(
    basic: &BasicOcspResponse,
    bytes: &[u8],
    issuer: &Certificate,
    now: SystemTime,
) -> Result<bool, x509_cert::der::Error> {
    // As it came: what is signed are bytes.
    let mut reader = SliceReader::new(bytes)?;
    Header::decode(&mut reader)?;
    let signed = reader.tlv_bytes()?;
    let by = |key: &SubjectPublicKeyInfoOwned| verifies(key, &basic.signature_algorithm, signed, &basic.signature);
    let own = &issuer.tbs_certificate.subject_public_key_info;
    if by(own)? {
        return Ok(true);
    }
    for certificate in basic.certs.iter().flatten() {
        let tbs = &certificate.tbs_certificate;
        let certified = tbs.issuer == issuer.tbs_certificate.subject
            && verifies(own, &certificate.signature_algorithm, &tbs.to_der()?, &certificate.signature)?;
        if certified && is_valid(certificate, now) && may_answer(certificate) && by(&tbs.subject_public_key_info)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_valid(certificate: &Certificate, now: SystemTime) -> bool {
    let validity = &certificate.tbs_certificate.validity;
    validity.not_before.to_system_time() <= now && now <= validity.not_after.to_system_time()
}

/// Whether a certificate is for signing responses.
fn may_answer(certificate: &Certificate) -> bool {
    let mut extensions = certificate.tbs_certificate.extensions.iter().flatten();
    let usage = extensions.find(|extension| extension.extn_id == EXTENDED_KEY_USAGE);
    let usage = usage.and_then(|usage| ExtendedKeyUsage::from_der(usage.extn_value.as_bytes()).ok());
    usage.is_some_and(|usage| usage.0.contains(&OCSP_SIGNING))
}

/// Whether a signature holds.
fn verifies(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &BitString,
) -> Result<bool, x509_cert::der::Error> {
    let (of_key, of_signature) = (inside(&key.algorithm)?, inside(algorithm)?);
    let all = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    Ok(all.iter().any(|algorithm| {
        algorithm.signature_alg_id().as_ref() == of_signature
            && algorithm.public_key_alg_id().as_ref() == of_key
            && algorithm.verify_signature(key.subject_public_key.raw_bytes(), message, signature.raw_bytes()).is_ok()
    }))
}

/// An identifier of an algorithm as rustls has it: without the sequence's own head.
fn inside(algorithm: &AlgorithmIdentifierOwned) -> Result<Vec<u8>, x509_cert::der::Error> {
    let bytes = algorithm.to_der()?;
    let mut reader = SliceReader::new(&bytes)?;
    let header = Header::decode(&mut reader)?;
    Ok(reader.read_slice(header.length)?.to_vec())
}
