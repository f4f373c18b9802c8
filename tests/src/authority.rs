//! Certificates of the tests' own making.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;

/// Someone who issues certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate in PEM.
    pub certificate: String,
    /// The certificate in DER.
    pub der: CertificateDer<'static>,
    /// The key in PEM.
    pub key: String,
    serial: SerialNumber,
}

impl Issued {
    /// Its number as OpenSSL shows it.
    pub fn serial(&self) -> String {
        self.serial.to_bytes().iter().skip_while(|byte| **byte == 0).map(|byte| format!("{byte:02X}")).collect()
    }

    /// Its SHA-1, hexadecimal.
    pub fn fingerprint(&self) -> String {
        use sha1::Digest as _;

        sha1::Sha1::digest(&self.der).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its own certificate in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A server's certificate for these names.
    pub fn server(&self, names: &[&str]) -> Issued {
        self.issue(names, "a server", ExtendedKeyUsagePurpose::ServerAuth, &KeyPair::generate().unwrap(), |_| {})
    }

    /// A server's certificate for these names with an RSA key, where others have ECDSA.
    pub fn rsa_server(&self, names: &[&str]) -> Issued {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        self.issue(names, "a server", ExtendedKeyUsagePurpose::ServerAuth, &key, |_| {})
    }

    /// A server's certificate whose time was over in 2001.
    pub fn expired_server(&self, names: &[&str]) -> Issued {
        let key = KeyPair::generate().unwrap();
        self.issue(names, "a server", ExtendedKeyUsagePurpose::ServerAuth, &key, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        })
    }

    /// A client's certificate with this common name.
    pub fn client(&self, name: &str) -> Issued {
        self.issue(&[], name, ExtendedKeyUsagePurpose::ClientAuth, &KeyPair::generate().unwrap(), |params| {
            params.distinguished_name.push(DnType::OrganizationName, "Tests, Inc.");
        })
    }

    fn issue(
        &self,
        names: &[&str],
        common_name: &str,
        purpose: ExtendedKeyUsagePurpose,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![purpose];
        let serial = SerialNumber::from(u64::from(next_serial()) + 1);
        params.serial_number = Some(serial.clone());
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        let der = certificate.der().clone();
        Issued { certificate: certificate.pem(), der, key: key.serialize_pem(), serial }
    }

    /// A list in PEM that revokes these.
    pub fn revoke(&self, revoked: &[&Issued]) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|issued| RevokedCertParams {
                    serial_number: issued.serial.clone(),
                    revocation_time: date_time_ymd(2021, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A number that no other certificate of this process has.
fn next_serial() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
