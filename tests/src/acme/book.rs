//! What the server has written down.

use std::collections::HashSet;

/// Everything that was opened, ordered and issued; numbers are indexes.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) nonces: HashSet<String>,
    pub(super) accounts: Vec<Account>,
    pub(super) orders: Vec<Order>,
    pub(super) authorizations: Vec<Authorization>,
    pub(super) certificates: Vec<String>,
    pub(super) asked: Vec<String>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Account {
    /// The public key: an uncompressed point of P-256.
    pub(super) key: Vec<u8>,
    pub(super) thumbprint: String,
    pub(super) contact: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) account: usize,
    pub(super) names: Vec<String>,
    pub(super) replaces: Option<String>,
    pub(super) authorizations: Vec<usize>,
    pub(super) certificate: Option<usize>,
}

/// A name that is to be proved, by one of two challenges.
#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) name: String,
    pub(super) token: String,
    pub(super) status: &'static str,
    /// Which challenge was answered, and why that failed.
    pub(super) chosen: Option<&'static str>,
    pub(super) error: Option<String>,
}

impl Book {
    /// A number that was not given before, as text that nobody guesses by accident.
    pub(super) fn fresh(&mut self, what: &str) -> String {
        self.next += 1;
        format!("{what}-{:016x}", self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn nonce(&mut self) -> String {
        let nonce = self.fresh("nonce");
        self.nonces.insert(nonce.clone());
        nonce
    }

    /// The status of an order (RFC 8555 §7.1.6).
    pub(super) fn status(&self, order: usize) -> &'static str {
        let order = &self.orders[order];
        let all = |status| order.authorizations.iter().all(|number| self.authorizations[*number].status == status);
        if order.certificate.is_some() {
            "valid"
        } else if order.authorizations.iter().any(|number| self.authorizations[*number].status == "invalid") {
            "invalid"
        } else if all("valid") {
            "ready"
        } else {
            "pending"
        }
    }
}
