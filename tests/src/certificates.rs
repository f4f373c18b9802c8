//! Certificates of a test's own authority.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData as _, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use sha1::Digest as _;

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its key (PKCS #8).
    pub key: String,
    /// The certificate in DER.
    pub der: CertificateDer<'static>,
    number: u64,
}

impl Authority {
    /// A new one, which signs itself.
    pub fn new() -> Self {
        Self::named("a test's authority")
    }

    /// A new one of this name.
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    /// Its own certificate as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for these host names and IP addresses.
    pub fn issue(&self, names: &[&str]) -> Certified {
        self.sign(&params(names))
    }

    /// One that is out of date.
    pub fn issue_expired(&self, names: &[&str]) -> Certified {
        let mut params = params(names);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(&params)
    }

    /// One with an RSA key, where others have ECDSA.
    pub fn issue_rsa(&self, names: &[&str]) -> Certified {
        self.sign_for(&params(names), &KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key"))
    }

    /// One that shows a client of this common name.
    pub fn issue_client(&self, name: &str) -> Certified {
        let mut params = params(&[]);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "Tests, Inc.");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    /// A list in PEM that revokes these.
    pub fn revoke(&self, revoked: &[&Certified]) -> String {
        let revoke = |certified: &&Certified| RevokedCertParams {
            serial_number: SerialNumber::from(certified.number),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }

    fn sign(&self, params: &CertificateParams) -> Certified {
        self.sign_for(params, &KeyPair::generate().expect("a key"))
    }

    fn sign_for(&self, params: &CertificateParams, key: &KeyPair) -> Certified {
        let number = next_number();
        let mut params = params.clone();
        params.serial_number = Some(SerialNumber::from(number));
        let certificate = params.signed_by(key, &self.0).expect("a certificate");
        Certified { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone(), number }
    }
}

/// A number that no other certificate of this process has.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certified {
    /// One that nobody but its owner has signed.
    pub fn by_itself(names: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(names).self_signed(&key).expect("a certificate");
        Self { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone(), number: 0 }
    }

    /// Its number as OpenSSL shows it.
    pub fn serial(&self) -> String {
        format!("{:02X}", self.number)
    }

    /// The SHA-256 of its public key in base64: chromium's name for it.
    pub fn key_digest(&self) -> String {
        let key = KeyPair::from_pem(&self.key).expect("a key").subject_public_key_info();
        let hash = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
        base64::engine::general_purpose::STANDARD.encode(hash.expect("TLS 1.3").common.hash_provider.hash(&key))
    }

    /// Its SHA-1, hexadecimal.
    pub fn fingerprint(&self) -> String {
        sha1::Sha1::digest(&self.der).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names")
}
