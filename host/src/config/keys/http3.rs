//! The keys of HTTP/3.

use super::super::defaults as d;
use super::super::key::Default::{Other, Size as Z, Text as S};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Size, Table, Text};
use super::super::key::Section::{Http3, Listener};

keys! {
    LISTEN_HTTP3 = "http3" in [Listener]: Table(Http3), Other("all defaults"), "http3, listen … quic",
        "HTTP/3, where `protocols` has `h3`.";
    HTTP3_RETRY = "retry" in [Http3]: Choice { now: &["auto", "always", "off"], later: &[] }, S(d::QUIC_RETRY),
        "quic_retry",
        "Whether clients prove that their address is their own before a handshake, for one round trip more: \
         `auto` while many handshakes are under way, `always`, `off`.";
    HTTP3_ALT_SVC = "alt_svc" in [Http3]: Text, Other("`h3=\":PORT\"; ma=86400`"), "add_header Alt-Svc",
        "The `Alt-Svc` header of answers over HTTP/1.1 and HTTP/2, by which clients learn of HTTP/3: to be given where \
         they see another port. `\"off\"` sends none; an answer that has the header keeps its own.";
    HTTP3_HOST_KEY = "host_key" in [Http3]: Text, Other("new with each start"), "quic_host_key",
        "A file with at least 32 random bytes, from which keys are made: with the same file, another process honours \
         the proofs of addresses, and tells clients of a process that is gone that their connections are too. A reload \
         keeps the keys either way; another file takes a restart.";
    HTTP3_BUFFER = "buffer" in [Http3]: Size { least: d::LEAST_UDP_BUFFER, most: d::MOST_UDP_BUFFER },
        Z(d::UDP_BUFFER), "listen … rcvbuf sndbuf",
        "What is asked of the kernel for the UDP socket, each way; it gives no more than `net.core.rmem_max` and \
         `wmem_max`. A reload does not change it.";
}

/// Every key of this file.
pub(super) fn http3_keys() -> &'static [&'static Key] {
    PART
}
