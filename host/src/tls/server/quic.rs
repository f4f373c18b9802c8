//! TLS within QUIC (RFC 9001): the same names, certificates and checks of clients as over TCP,
//! version 1.3 alone, `h3` alone, and no 0-RTT: what a client sends before the handshake is over
//! could be sent again by anyone, so none of it is taken (RFC 8446 §8).

use std::any::Any;
use std::fmt;
use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::QuicServerConfig;
use quinn::crypto::{self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Connection, KeyChange, Secrets, ServerConnection, Suite, Version};
use rustls::server::{Acceptor, ResolvesServerCertUsingSni};
use rustls::{AlertDescription, ServerConfig};

use super::{Facts, Names, Refused, Served, Terms};
use crate::tls::provider;

/// The one version of QUIC that is spoken (RFC 9000 §15).
pub const QUIC_VERSION: u32 = 1;

/// The application protocol (RFC 9114 §3.1).
pub(super) const ALPN: &[u8] = b"h3";

/// The largest ClientHello: what quinn keeps of a handshake that is not in order.
const MOST_HELLO: usize = 16 << 10;

/// TLS of one listener, for QUIC: the terms are those of the name that a client asks for.
#[derive(Debug)]
pub(super) struct ByName {
    names: Option<Arc<Names<Arc<Terms>>>>,
    public: &'static Public,
}

impl ByName {
    /// None where rustls has no suite for the first packets of a connection.
    pub(super) fn new(names: Option<&Arc<Names<Arc<Terms>>>>) -> Option<Self> {
        Some(Self { names: names.cloned(), public: Public::get()? })
    }
}

/// What can open first packets and answer with Retry, and knows no terms: for an endpoint, whose
/// connections bring the terms of the moment. None where rustls has no suite for these packets.
pub fn quic_without_terms() -> Option<Arc<dyn crypto::ServerConfig>> {
    Some(Arc::new(ByName::new(None)?))
}

/// Shake hands by the terms of the name that the client asks for. `config` says the rest.
///
/// # Errors
/// Nothing that both sides want is common, or it took too long.
pub async fn accept_quic(
    incoming: quinn::Incoming,
    served: &Served,
    config: Arc<quinn::ServerConfig>,
) -> Result<(quinn::Connection, Facts), Refused> {
    let failed = |error: quinn::ConnectionError| Refused { name: None, error: error.into() };
    let shaking = async {
        let _room = served.enter().await;
        let connection = incoming.accept_with(config).map_err(failed)?.await.map_err(failed)?;
        let facts = connection.handshake_data().and_then(|facts| facts.downcast::<Facts>().ok());
        Ok((connection, facts.map(|facts| *facts).unwrap_or_default()))
    };
    let late = |_elapsed| Refused { name: None, error: std::io::ErrorKind::TimedOut.into() };
    tokio::time::timeout(served.handshake_timeout(), shaking).await.map_err(late)?
}

/// Keys that do not depend on any terms: those of the first packets and of Retry (RFC 9001 §5.2,
/// §5.8) are known to everybody.
struct Public {
    config: QuicServerConfig,
    suite: Suite,
}

impl Public {
    fn get() -> Option<&'static Self> {
        static PUBLIC: OnceLock<Option<Public>> = OnceLock::new();
        let made = PUBLIC.get_or_init(|| {
            let config = ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .ok()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
            let suite = TLS13_AES_128_GCM_SHA256.tls13()?.quic_suite()?;
            let config = QuicServerConfig::with_initial(Arc::new(config), suite).ok()?;
            Some(Self { config, suite })
        });
        made.as_ref()
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Public")
    }
}

impl crypto::ServerConfig for ByName {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.public.config.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.public.config.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, _: u32, params: &TransportParameters) -> Box<dyn crypto::Session> {
        let mut own = Vec::new();
        params.write(&mut own);
        let state = State::Hello { acceptor: Box::default(), seen: Vec::new(), params: own };
        Box::new(Session { names: self.names.clone(), suite: self.public.suite, state })
    }
}

/// The handshake of one connection.
struct Session {
    names: Option<Arc<Names<Arc<Terms>>>>,
    suite: Suite,
    state: State,
}

enum State {
    /// The ClientHello is not whole yet.
    Hello { acceptor: Box<Acceptor>, seen: Vec<u8>, params: Vec<u8> },
    /// It was, and has found its terms.
    Found { connection: Box<Connection>, terms: Arc<Terms>, secrets: Option<Secrets> },
}

impl Session {
    fn connection(&self) -> Option<&Connection> {
        match &self.state {
            State::Found { connection, .. } => Some(connection),
            State::Hello { .. } => None,
        }
    }

    /// Take bytes of the ClientHello; true once the terms are found.
    fn read_hello(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        let State::Hello { acceptor, seen, params } = &mut self.state else { return Ok(false) };
        seen.extend_from_slice(bytes);
        if seen.len() > MOST_HELLO {
            return Err(transport_error(AlertDescription::DecodeError, "the ClientHello is too large"));
        }
        let refused = |error: rustls::Error| {
            let alert = match error {
                rustls::Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
                rustls::Error::PeerMisbehaved(_) => AlertDescription::IllegalParameter,
                _ => AlertDescription::DecodeError,
            };
            transport_error(alert, error.to_string())
        };
        // The acceptor is made for TCP, where the same bytes come in records (RFC 8446 §5.1).
        let mut record = vec![22, 3, 1];
        record.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        record.extend_from_slice(bytes);
        let mut rest = record.as_slice();
        while !rest.is_empty() {
            let failed = |error: std::io::Error| transport_error(AlertDescription::DecodeError, error.to_string());
            if acceptor.read_tls(&mut rest).map_err(failed)? == 0 {
                return Err(transport_error(AlertDescription::DecodeError, "the ClientHello cannot be read"));
            }
        }
        let Some(accepted) = acceptor.accept().map_err(|(error, _alert)| refused(error))? else { return Ok(false) };
        let terms = self.names.as_ref().map(|names| Arc::clone(names.find(accepted.client_hello().server_name())));
        let found = terms.and_then(|terms| Some((terms.quic.clone()?, terms)));
        let (config, terms) = found.ok_or(transport_error(AlertDescription::InternalError, "no terms for QUIC"))?;
        let mut connection = ServerConnection::new(config, Version::V1, std::mem::take(params))
            .map(Connection::Server)
            .map_err(refused)?;
        let seen = std::mem::take(seen);
        feed(&mut connection, &seen)?;
        self.state = State::Found { connection: Box::new(connection), terms, secrets: None };
        Ok(true)
    }
}

fn feed(connection: &mut Connection, bytes: &[u8]) -> Result<(), TransportError> {
    connection.read_hs(bytes).map_err(|error| {
        transport_error(connection.alert().unwrap_or(AlertDescription::InternalError), error.to_string())
    })
}

fn transport_error(alert: AlertDescription, reason: impl Into<String>) -> TransportError {
    TransportError { code: TransportErrorCode::crypto(alert.into()), frame: None, reason: reason.into() }
}

fn boxed(keys: rustls::quic::Keys) -> Keys {
    Keys {
        header: KeyPair { local: Box::new(keys.local.header), remote: Box::new(keys.remote.header) },
        packet: KeyPair { local: Box::new(keys.local.packet), remote: Box::new(keys.remote.packet) },
    }
}

impl crypto::Session for Session {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        boxed(self.suite.keys(dst_cid, side.into(), Version::V1))
    }

    /// The [`Facts`].
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let State::Found { connection, terms, .. } = &self.state else { return None };
        let name = match &**connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        };
        Some(Box::new(Facts::of(connection, name, terms)))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        // The facts have it.
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.connection().is_none_or(|connection| connection.is_handshaking())
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        match &mut self.state {
            State::Hello { .. } => self.read_hello(bytes),
            State::Found { connection, .. } => feed(connection, bytes).map(|()| false),
        }
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let sent = self.connection().and_then(|connection| connection.quic_transport_parameters());
        match sent {
            Some(sent) => Ok(Some(TransportParameters::read(Side::Server, &mut Cursor::new(sent))?)),
            None => Ok(None),
        }
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let State::Found { connection, secrets, .. } = &mut self.state else { return None };
        match connection.write_hs(out)? {
            KeyChange::Handshake { keys } => Some(boxed(keys)),
            KeyChange::OneRtt { keys, next } => {
                *secrets = Some(next);
                Some(boxed(keys))
            }
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let State::Found { secrets, .. } = &mut self.state else { return None };
        let keys = secrets.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(keys.local), remote: Box::new(keys.remote) })
    }

    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        // Servers are sent none.
        false
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let connection = self.connection().ok_or(ExportKeyingMaterialError)?;
        connection.export_keying_material(output, label, Some(context)).map_err(|_| ExportKeyingMaterialError)?;
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("found", &self.connection().is_some()).finish_non_exhaustive()
    }
}
