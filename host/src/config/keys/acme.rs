//! The keys of `[acme]`.

use super::super::defaults as d;
use super::super::key::Default::{Duration as T, Flag as B, Other, Required, Text as S};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Flag, Secret, Table, Text, Texts};
use super::super::key::Section::{Acme, Top};
use super::WAIT;

keys! {
    ACME = "acme" in [Top]: Table(Acme), Other("none"), "acme_issuer",
        "The authority that issues the certificates of sites with `certificate = \"acme\"`.";
    ACME_DIRECTORY = "directory" in [Acme]: Text, S(d::ACME_DIRECTORY), "",
        "The URL of its directory, which leads to everything else (RFC 8555).";
    ACME_CONTACT = "contact" in [Acme]: Texts, Other("none"), "",
        "Where the authority finds you: mail addresses, or URLs such as `mailto:…`.";
    ACME_TERMS = "accept_terms" in [Acme]: Flag, B(false), "acme_accept_terms_of_service",
        "That you accept the authority's terms of service: without that nothing is ordered, and the table is an error.";
    ACME_STATE = "state" in [Acme]: Text, Required, "",
        "A folder for the account and the certificates with their keys, readable by the owner alone; it is made where it \
         is not there. Processes that share it must not run at the same time.";
    ACME_CA = "ca" in [Acme]: Text, Other("those of the system"), "",
        "A PEM file of those whom the certificate of the authority's own server may lead to.";
    ACME_CHALLENGE = "challenge" in [Acme]: Choice { now: &["http-01", "tls-alpn-01"], later: &[] },
        S(d::ACME_CHALLENGE), "",
        "How the authority sees that names lead here: by a request to port 80, which must reach a listener without TLS, \
         or by a handshake at port 443, which must reach one with it (RFC 8737).";
    ACME_EAB_KID = "eab_kid" in [Acme]: Text, Other("none"), "",
        "The account that you have at the authority already; some ask for it.";
    ACME_EAB_KEY = "eab_key" in [Acme]: Secret, Other("required with `eab_kid`"), "",
        "That account's MAC key, in base64url.";
    ACME_RETRY = "retry" in [Acme]: WAIT, T(d::ACME_RETRY), "",
        "How long is waited after an order that failed; twice as long after each one that follows, to six hours. What the \
         authority asks for is waited at least.";
}

/// Every key of this file.
pub(super) fn acme_keys() -> &'static [&'static Key] {
    PART
}
