//! A small OCSP responder (RFC 6960), which says what a test wants.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rcgen::{KeyPair, SigningKey as _};
use sha1::{Digest as _, Sha1};
use x509_cert::Certificate;
use x509_cert::der::asn1::{BitString, Null, ObjectIdentifier, OctetString};
use x509_cert::der::{DateTime, Decode as _, Encode as _};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    AsResponseBytes as _, BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse,
    ResponderId, ResponseData, RevokedInfo, SingleResponse, Version,
};

use crate::backend::Backend;
use crate::certificates::Authority;
use crate::http::{Request, Response};

/// What a responder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// The certificate is good.
    Good,
    /// The same, signed by somebody whom the authority has told to.
    Delegated,
    /// The same, signed by somebody whom the authority has certified for something else.
    Presumed,
    /// The same, signed by a stranger.
    Forged,
    /// The same, until yesterday.
    Expired,
    /// The same, from tomorrow on.
    Early,
    /// The same about another certificate.
    Another,
    /// It is revoked.
    Revoked,
    /// It is not known.
    Unknown,
    /// To be asked later.
    Later,
    /// Nothing that can be read.
    Nonsense,
    /// A status of 500.
    Broken,
}

struct State {
    says: Says,
    validity: Duration,
    answers: Vec<Vec<u8>>,
}

/// A responder that runs.
pub struct Responder {
    backend: Backend,
    state: Arc<Mutex<State>>,
}

impl Responder {
    /// One for the certificates of this authority, which says that they are good for a week.
    pub fn start(authority: &Arc<Authority>) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").expect("a port for a responder"), authority)
    }

    /// The same at an address that the test has chosen before.
    pub fn start_on(listener: TcpListener, authority: &Arc<Authority>) -> Self {
        let validity = Duration::from_secs(7 * 86_400);
        let state = Arc::new(Mutex::new(State { says: Says::Good, validity, answers: Vec::new() }));
        let (authority, own) = (Arc::clone(authority), Arc::clone(&state));
        let backend = Backend::http_on(listener, move |request| answer(&authority, &own, request));
        Self { backend, state }
    }

    /// Say this from now on.
    pub fn says(&self, says: Says) {
        self.state.lock().says = says;
    }

    /// How long what it says holds.
    pub fn holds(&self, validity: Duration) {
        self.state.lock().validity = validity;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/ocsp", self.address())
    }

    /// Everything that it has said, in order.
    pub fn answers(&self) -> Vec<Vec<u8>> {
        self.state.lock().answers.clone()
    }
}

fn answer(authority: &Authority, state: &Mutex<State>, request: &Request) -> Response {
    let mut state = state.lock();
    let id = asked(authority, request);
    let body = match state.says {
        Says::Later => OcspResponse::try_later().to_der().unwrap(),
        Says::Nonsense => b"nonsense".to_vec(),
        says => say(authority, id, says, state.validity),
    };
    state.answers.push(body.clone());
    let status = if state.says == Says::Broken { 500 } else { 200 };
    Response::new(status).header("Content-Type", "application/ocsp-response").body(body)
}

/// Read the question, and check that it is about a certificate of the authority.
fn asked(authority: &Authority, request: &Request) -> CertId {
    let path = request.head.start.split(' ').nth(1).expect("a path");
    let text = path.strip_prefix("/ocsp/").unwrap_or_else(|| panic!("a question at {path}"));
    let text = text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let question = OcspRequest::from_der(&STANDARD.decode(text).expect("base64")).expect("a question");
    let asked = question.tbs_request.request_list;
    assert_eq!(asked.len(), 1, "questions");
    let id = asked[0].req_cert.clone();
    let own = Certificate::from_der(&authority.der()).unwrap().tbs_certificate;
    let key = own.subject_public_key_info.subject_public_key.raw_bytes();
    assert_eq!(id.issuer_name_hash.as_bytes(), Sha1::digest(own.subject.to_der().unwrap()).as_slice());
    assert_eq!(id.issuer_key_hash.as_bytes(), Sha1::digest(key).as_slice());
    id
}

fn say(authority: &Authority, mut id: CertId, says: Says, validity: Duration) -> Vec<u8> {
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let (from, to) = match says {
        Says::Expired => (now - 2 * day, now - day),
        Says::Early => (now + day, now + 2 * day),
        _ => (now, now + validity),
    };
    if says == Says::Another {
        id.serial_number = x509_cert::serial_number::SerialNumber::new(&[7, 7, 7]).unwrap();
    }
    let cert_status = match says {
        Says::Revoked => CertStatus::Revoked(RevokedInfo { revocation_time: time(now - day), revocation_reason: None }),
        Says::Unknown => CertStatus::Unknown(Null),
        _ => CertStatus::Good(Null),
    };
    let (key, der) = match says {
        Says::Delegated => authority.issue_delegate(true),
        Says::Presumed => authority.issue_delegate(false),
        Says::Forged => Authority::named("a stranger").issue_delegate(true),
        _ => (KeyPair::try_from(authority.key().serialize_der()).unwrap(), authority.der()),
    };
    let signer = Certificate::from_der(&der).unwrap();
    let hash = Sha1::digest(signer.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes());
    let data = ResponseData {
        version: Version::V1,
        responder_id: ResponderId::ByKey(OctetString::new(hash.to_vec()).unwrap()),
        produced_at: time(now),
        responses: vec![SingleResponse {
            cert_id: id,
            cert_status,
            this_update: time(from),
            next_update: Some(time(to)),
            single_extensions: None,
        }],
        response_extensions: None,
    };
    let signature = key.sign(&data.to_der().unwrap()).unwrap();
    let basic = BasicOcspResponse {
        tbs_response_data: data,
        // ecdsa-with-SHA256
        signature_algorithm: AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
            parameters: None,
        },
        signature: BitString::from_bytes(&signature).unwrap(),
        certs: (der != authority.der()).then(|| vec![signer]),
    };
    OcspResponse {
        response_status: x509_ocsp::OcspResponseStatus::Successful,
        response_bytes: Some(basic.to_response_bytes().unwrap()),
    }
    .to_der()
    .unwrap()
}

/// To the second.
fn time(at: SystemTime) -> OcspGeneralizedTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    DateTime::from_unix_duration(Duration::from_secs(since.as_secs())).unwrap().into()
}
