//! Certificates of a test's own authority.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use sha1::Digest as _;

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>, Vec<CertificateDer<'static>>);

/// A certificate with its key, as PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its key (PKCS #8).
    pub key: String,
    /// The certificate in DER.
    pub der: CertificateDer<'static>,
    /// Those between it and the root, that are shown with it.
    pub chain: Vec<CertificateDer<'static>>,
    number: u64,
}

impl Authority {
    /// A new one, which signs itself.
    pub fn new() -> Self {
        Self::named("a test's authority")
    }

    /// A new one of this name.
    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params_of_authority(name), key).expect("an authority"), Vec::new())
    }

    /// One that this one has certified. What it issues is shown with the certificates between.
    pub fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let made = CertifiedIssuer::signed_by(params_of_authority(name), key, &self.0).expect("an authority");
        let chain = [vec![made.der().clone()], self.1.clone()].concat();
        Self(made, chain)
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

    /// One that names an OCSP responder (RFC 5280 §4.2.2.1).
    pub fn issue_answered(&self, names: &[&str], responder: &str) -> Certified {
        let mut params = params(names);
        // id-ad-ocsp, and a URL.
        let method = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
        let place = tagged(0x86, responder.as_bytes());
        let access = tagged(0x30, &tagged(0x30, &[&method[..], &place[..]].concat()));
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access)];
        self.sign(&params)
    }

    /// A key and its certificate, to answer for the authority, or for something else.
    pub fn issue_delegate(&self, for_ocsp: bool) -> (KeyPair, CertificateDer<'static>) {
        let mut params = params(&[]);
        let usage = if for_ocsp { ExtendedKeyUsagePurpose::OcspSigning } else { ExtendedKeyUsagePurpose::CodeSigning };
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let der = params.signed_by(&key, &self.0).expect("a certificate").der().clone();
        (key, der)
    }

    /// Its own key.
    pub fn key(&self) -> &KeyPair {
        self.0.key()
    }

    /// A list in PEM that revokes these.
    pub fn revoke(&self, revoked: &[&Certified]) -> String {
        self.revoke_until(revoked, 2100)
    }

    /// A list that is good until a year begins.
    pub fn revoke_until(&self, revoked: &[&Certified], year: i32) -> String {
        let revoke = |certified: &&Certified| RevokedCertParams {
            serial_number: SerialNumber::from(certified.number),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }

    /// A certificate for these names and another's key, as PEM with the authority's own after it.
    pub fn issue_for(
        &self,
        names: &[String],
        key: &impl PublicKeyData,
        from: SystemTime,
        lifetime: Duration,
    ) -> String {
        let mut params = CertificateParams::new(names).expect("names");
        let from = from.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(from.as_secs());
        params.not_after = params.not_before + lifetime;
        params.serial_number = Some(SerialNumber::from(next_number()));
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(key, &self.0).expect("a certificate");
        format!("{}{}", certificate.pem(), self.certificate())
    }

    fn sign(&self, params: &CertificateParams) -> Certified {
        self.sign_for(params, &KeyPair::generate().expect("a key"))
    }

    fn sign_for(&self, params: &CertificateParams, key: &KeyPair) -> Certified {
        let number = next_number();
        let mut params = params.clone();
        params.serial_number = Some(SerialNumber::from(number));
        let certificate = params.signed_by(key, &self.0).expect("a certificate");
        let (der, chain) = (certificate.der().clone(), self.1.clone());
        Certified { certificate: certificate.pem(), key: key.serialize_pem(), der, chain, number }
    }
}

fn params_of_authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Up to 127 bytes with a tag before them.
fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).ok().filter(|n| *n < 128).expect("a short content");
    [&[tag, length], bytes].concat()
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
        let (der, chain) = (certificate.der().clone(), Vec::new());
        Self { certificate: certificate.pem(), key: key.serialize_pem(), der, chain, number: 0 }
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
