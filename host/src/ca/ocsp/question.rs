//! What a responder is asked about one certificate (RFC 6960 §4.1), and where.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use x509_cert::Certificate;
use x509_cert::der::asn1::{Null, ObjectIdentifier, OctetString};
use x509_cert::der::{Any, Decode as _, Encode as _, Error};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest, Version};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// SHA-1, which every responder knows; it only tells issuers apart (RFC 5019 §2.1.1).
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
/// Where a responder is (RFC 5280 §4.2.2.1).
const AD_OCSP: &str = "1.3.6.1.5.5.7.48.1";

/// A question about one certificate.
#[derive(Debug)]
pub(super) struct Question {
    /// Which certificate.
    pub(super) id: CertId,
    /// Who has issued it.
    pub(super) issuer: Certificate,
}

impl Question {
    /// About a certificate of this issuer, both in DER.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub(super) fn about(leaf: &[u8], issuer: &[u8]) -> Result<Self, Error> {
        let (leaf, issuer) = (Certificate::from_der(leaf)?, Certificate::from_der(issuer)?);
        let key = issuer.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
        let id = CertId {
            hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(Any::from(Null)) },
            issuer_name_hash: OctetString::new(Sha1::digest(leaf.tbs_certificate.issuer.to_der()?).to_vec())?,
            issuer_key_hash: OctetString::new(Sha1::digest(key).to_vec())?,
            serial_number: leaf.tbs_certificate.serial_number,
        };
        Ok(Self { id, issuer })
    }

    /// The URL that asks it (RFC 6960 appendix A.1): it can be answered from caches.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn url(&self, responder: &str) -> Result<String, Error> {
        let request = Request { req_cert: self.id.clone(), single_request_extensions: None };
        let request = OcspRequest {
            tbs_request: TbsRequest {
                version: Version::V1,
                requestor_name: None,
                request_list: vec![request],
                request_extensions: None,
            },
            optional_signature: None,
        };
        let text = STANDARD.encode(request.to_der()?);
        let text = text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        Ok(format!("{}/{text}", responder.trim_end_matches('/')))
    }
}

/// The responder that a certificate names.
pub(super) fn responder(leaf: &[u8]) -> Option<String> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let access = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    })?;
    access.accessdescs.iter().find_map(|place| match &place.access_location {
        GeneralName::URI(url) if place.access_method.to_id_string() == AD_OCSP => Some((*url).to_owned()),
        _ => None,
    })
}
