//! The keys of TLS towards clients.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Duration as T, Flag as B, Other, Required, Text as S, Texts as L};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Count, Flag, TableOrFalse, TableOrFlag, TablesOrFalse, Text, Texts};
use super::super::key::Section::{ClientAuth, Listener, ListenerTls, Server, Site, SiteTls};
use super::WAIT;

keys! {
    LISTEN_TLS = "tls" in [Listener]: TableOrFlag(ListenerTls), Other("off"), "listen … ssl",
        "TLS towards clients: `true`, or what is offered.";
    LISTEN_CERTIFICATE = "certificate" in [ListenerTls]: Text, Other("that of the default site"), "ssl_certificate",
        "A PEM file: the certificate of sites that have none, and those between it and the root; or `\"acme\"`: each of \
         them gets one from the authority in `[acme]`.";
    LISTEN_CERTIFICATE_KEY = "key" in [ListenerTls]: Text, Other("required with a file"), "ssl_certificate_key",
        "A PEM file with the certificate's private key, not encrypted.";
    LISTEN_CERTIFICATE_OCSP = "ocsp" in [ListenerTls]: Text, Other("none"), "ssl_stapling_file, ssl_stapling",
        "A DER file with the OCSP response that is sent along (stapled); or `\"fetch\"`: the responder is asked for it.";
    LISTEN_OCSP_RESPONDER = "ocsp_responder" in [ListenerTls]: Text, Other("that of the certificate"),
        "ssl_stapling_responder", "The URL that is asked, with `ocsp = \"fetch\"`.";
    LISTEN_OCSP_VERIFY = "ocsp_verify" in [ListenerTls]: Flag, B(true), "ssl_stapling_verify",
        "Whether the signature of what the responder says is checked.";
    LISTEN_VERSIONS = "versions" in [ListenerTls]: Texts, L(d::TLS_VERSIONS), "ssl_protocols",
        "Versions of TLS; older ones are not spoken.";
    TLS_CIPHERS = "ciphers" in [ListenerTls]: Texts, Other("all good ones"), "ssl_ciphers",
        "Cipher suites by their IANA names, by preference.";
    TLS_CURVES = "curves" in [ListenerTls]: Texts,
        Other("`[\"X25519MLKEM768\", \"X25519\", \"secp256r1\", \"secp384r1\"]`"), "ssl_ecdh_curve",
        "Groups for the key exchange, by preference; the first of the default resists quantum computers.";
    TLS_PREFER_SERVER = "prefer_server_ciphers" in [ListenerTls]: Flag, B(false), "ssl_prefer_server_ciphers",
        "Whether the order of `ciphers` counts, and not the client's.";
    TLS_SESSION_TIMEOUT = "session_timeout" in [ListenerTls]: WAIT, T(d::TLS_SESSION_TIMEOUT), "ssl_session_timeout",
        "How long after its handshake a session can be resumed, by ticket or without.";
    TLS_TICKETS = "session_tickets" in [ListenerTls]: Flag, B(true), "ssl_session_tickets",
        "Whether sessions are resumed by tickets; their key changes every six hours, and is known to this process alone.";
    TLS_SESSIONS = "session_cache" in [ListenerTls]: Count { least: 0, most: d::MOST_TLS_SESSIONS }, N(d::TLS_SESSIONS),
        "ssl_session_cache",
        "Sessions that are kept for each site, for clients that resume without tickets; 0 keeps none.";
    TLS_HANDSHAKE_TIMEOUT = "handshake_timeout" in [ListenerTls]: WAIT, T(d::TLS_HANDSHAKE_TIMEOUT),
        "client_header_timeout",
        "How long a handshake may take.";
    TLS_HANDSHAKES = "max_handshakes" in [ListenerTls]: Count { least: 0, most: d::MOST_LIMIT }, N(0), "",
        "Handshakes that are under way at once; one more waits. 0: no limit.";
    LISTEN_PROTOCOLS = "protocols" in [Listener]: Texts, Other("`[\"h1\", \"h2\"]` with `tls`, else `[\"h1\"]`"), "http2, http3",
        "The versions of HTTP that are spoken: `h1`, `h2`, and with TLS `h3`, which is spoken over UDP at the same port. \
         With TLS clients and proxy agree on one (ALPN); without, a client of HTTP/2 must know (prior knowledge).";
    MAX_STREAMS = "max_streams" in [Server]: Count { least: 1, most: d::MOST_STREAMS }, N(d::MAX_STREAMS),
        "http2_max_concurrent_streams, http3_max_concurrent_streams",
        "Requests and tunnels on one HTTP/2 or HTTP/3 connection at once.";
    TLS_RENEW = "renew" in [ListenerTls]: WAIT, T(d::TLS_RENEW), "",
        "How often the files of certificates are looked at: what is new there is served from then on.";

    SITE_TLS = "tls" in [Site]: TablesOrFalse(SiteTls), Other("that of the default site"),
        "ssl_certificate, ssl_certificate_key",
        "The site's certificate, or several of different types.";
    CERTIFICATE = "certificate" in [SiteTls]: Text, Required, "ssl_certificate",
        "A PEM file: the site's certificate and those between it and the root; or `\"acme\"`: one for all names of the \
         site is ordered from the authority in `[acme]`.";
    CERTIFICATE_KEY = "key" in [SiteTls]: Text, Other("required with a file"), "ssl_certificate_key",
        "A PEM file with the certificate's private key, not encrypted.";
    CERTIFICATE_OCSP = "ocsp" in [SiteTls]: Text, Other("none"), "ssl_stapling_file, ssl_stapling",
        "A DER file with the OCSP response that is sent along (stapled); or `\"fetch\"`: the responder is asked for it.";
    OCSP_RESPONDER = "ocsp_responder" in [SiteTls]: Text, Other("that of the certificate"), "ssl_stapling_responder",
        "The URL that is asked, with `ocsp = \"fetch\"`.";
    OCSP_VERIFY = "ocsp_verify" in [SiteTls]: Flag, B(true), "ssl_stapling_verify",
        "Whether the signature of what the responder says is checked.";
    REJECT_HANDSHAKE = "reject_handshake" in [Site]: Flag, B(false), "ssl_reject_handshake",
        "Refuses the TLS handshakes of clients that ask for the site's names.";
    CLIENT_AUTH = "client_auth" in [Site]: TableOrFalse(ClientAuth), Other("`false`"), "ssl_verify_client",
        "Whether clients show certificates.";
    CLIENT_AUTH_MODE = "mode" in [ClientAuth]: Choice { now: &["required", "optional", "optional_no_ca"], later: &[] },
        S(d::CLIENT_AUTH_MODE), "ssl_verify_client",
        "Whether a client must, or may; a certificate that is shown must be good. With `optional_no_ca` one of \
         an unknown issuer lets the client in too, and `$ssl_client_verify` says so.";
    CLIENT_AUTH_DEPTH = "depth" in [ClientAuth]: Count { least: 0, most: d::MOST_DEPTH }, N(d::CLIENT_AUTH_DEPTH),
        "ssl_verify_depth",
        "How many certificates may stand between a client's and one of `ca`.";
    CLIENT_AUTH_CA = "ca" in [ClientAuth]: Text, Required, "ssl_client_certificate",
        "A PEM file of those whose certificates are believed.";
    CLIENT_AUTH_CRL = "crl" in [ClientAuth]: Text, Other("none"), "ssl_crl", "A PEM file of revocation lists.";
}

/// Every key of this file.
pub(super) fn tls_keys() -> &'static [&'static Key] {
    PART
}
