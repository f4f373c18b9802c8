//! Looking whether a name leads to who asks for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use aws_lc_rs::digest;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::eventually::patience;

/// By a request (RFC 8555 §8.3).
pub(super) fn http(address: SocketAddr, name: &str, token: &str, answer: &str) -> Result<(), String> {
    let mut stream = connect(address)?;
    let request =
        format!("GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {text:?}"))?;
    if head.starts_with("HTTP/1.1 200 ") && body == answer { Ok(()) } else { Err(format!("answered {text:?}")) }
}

/// By a handshake (RFC 8737 §3).
pub(super) fn tls(address: SocketAddr, name: &str, answer: &str) -> Result<(), String> {
    let stream = connect(address)?;
    let seen = Arc::new(Seen { provider: Arc::new(provider::default_provider()), certificate: Mutex::default() });
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let server = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let mut session = ClientConnection::new(Arc::new(config), server).map_err(|error| error.to_string())?;
    let mut tcp = stream;
    while session.is_handshaking() {
        session.complete_io(&mut tcp).map_err(|error| error.to_string())?;
    }
    if session.alpn_protocol() != Some(b"acme-tls/1") {
        return Err(format!("agreed on {:?}", session.alpn_protocol()));
    }
    let der = seen.certificate.lock().clone();
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
    let names = certificate.subject_alternative_name().ok().flatten().ok_or("no names")?;
    if names.value.general_names != [GeneralName::DNSName(name)] {
        return Err(format!("for {:?}", names.value.general_names));
    }
    let digest = digest::digest(&digest::SHA256, answer.as_bytes());
    let wanted = [&[4, 32], digest.as_ref()].concat();
    let mut extensions = certificate.extensions().iter();
    let proof = extensions.find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").ok_or("no proof")?;
    if proof.critical && proof.value == wanted { Ok(()) } else { Err("another proof".to_owned()) }
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, patience()).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(patience())).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Keeps what it is shown, whatever that is: webpki reads no certificate with a critical extension that
/// it does not know. Pebble (`clients::pebble`) checks the signature too.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    certificate: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.certificate.lock() = end_entity.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
