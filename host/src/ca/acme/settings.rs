//! What the operator says of the authority, and which certificates are wanted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::ca::Trust;

/// How it is proved that a name leads here. nginx: `challenge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// By a request to port 80 (RFC 8555 §8.3).
    Http01,
    /// By a handshake at port 443 (RFC 8737).
    TlsAlpn01,
}

/// The account that is linked at the authority (RFC 8555 §7.3.4). nginx: `external_account_key`.
#[derive(Clone, PartialEq, Eq)]
pub struct Eab {
    /// Which one.
    pub kid: String,
    /// Its MAC key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Eab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eab").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// An authority, and how it is dealt with. nginx: `acme_issuer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The URL of its directory (RFC 8555 §7.1.1). nginx: `uri`.
    pub directory: String,
    /// URLs of who runs this, such as `mailto:`. nginx: `contact`.
    pub contact: Vec<String>,
    /// Whose certificate its own server must have. nginx: `ssl_trusted_certificate`.
    pub trust: Trust,
    /// How names are proved.
    pub challenge: Challenge,
    /// The folder of this authority: account and certificates. nginx: `state_path`.
    pub folder: PathBuf,
    /// The linked account; none for none.
    pub eab: Option<Eab>,
    /// How long the first wait after a failure is; each one that follows is twice as long.
    pub retry: Duration,
}

impl Settings {
    /// The folder of an authority below that of all: what one has issued is not taken for what
    /// another has.
    pub fn folder(state: &Path, directory: &str) -> PathBuf {
        let host = directory.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let digest = Sha256::digest(directory);
        let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        state.join(format!("{}-{mark}", file_name(host)))
    }

    /// The file of a certificate and its key.
    pub fn certificate(&self, wish: &Wish) -> PathBuf {
        self.folder.join(format!("{}.pem", file_name(wish.first())))
    }

    /// The file of the account.
    pub(super) fn account(&self) -> PathBuf {
        self.folder.join("account.json")
    }
}

/// A name as part of a path.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' }).collect()
}

/// A certificate that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Host names in lower case; the first names the file.
    names: Vec<String>,
}

impl Wish {
    /// One for these names; none for no names.
    pub fn new(names: Vec<String>) -> Option<Self> {
        if names.is_empty() { None } else { Some(Self { names }) }
    }

    /// Its names, at least one.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn first(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    /// Take in the names of another that has the same file.
    ///
    /// # Errors
    /// The other one, where it has another file.
    pub fn join(&mut self, other: Self) -> Result<(), Self> {
        if self.first() != other.first() {
            return Err(other);
        }
        let fresh = other.names.into_iter().filter(|name| !self.names.contains(name)).collect::<Vec<_>>();
        self.names.extend(fresh);
        Ok(())
    }
}

/// Everything that is wanted of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The authority.
    pub settings: Arc<Settings>,
    /// The certificates, each file once.
    pub wishes: Vec<Wish>,
}

impl Wanted {
    /// Want one more certificate, or more names in one.
    pub fn add(&mut self, wish: Wish) {
        let left = self.wishes.iter_mut().try_fold(wish, |wish, known| match known.join(wish) {
            Ok(()) => Err(()),
            Err(other) => Ok(other),
        });
        self.wishes.extend(left);
    }

    /// Whether a certificate is wanted, of the same authority.
    pub(super) fn has(&self, settings: &Settings, wish: &Wish) -> bool {
        *self.settings == *settings && self.wishes.contains(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_differ_by_authority() {
        let folder = |url: &str| Settings::folder(Path::new("/s"), url);
        let one = folder("https://ca.test:14000/dir");
        assert!(one.to_str().unwrap().starts_with("/s/ca.test_14000-"), "{one:?}");
        assert_ne!(one, folder("https://ca.test:14000/other"));
        assert!(folder("https://../x").starts_with("/s") && !folder("https://a/../../x").ends_with("x"));
    }

    #[test]
    fn names_of_one_file_are_one_certificate() {
        let wish = |names: &[&str]| Wish::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap();
        let mut one = wish(&["a.test", "b.test"]);
        assert_eq!(one.join(wish(&["a.test", "c.test", "b.test"])), Ok(()));
        assert_eq!(one.names(), ["a.test", "b.test", "c.test"]);
        assert_eq!(one.join(wish(&["c.test"])), Err(wish(&["c.test"])));
        assert_eq!(Wish::new(Vec::new()), None);
    }

    #[test]
    fn keys_are_not_shown() {
        let eab = Eab { kid: "one".to_owned(), key: b"hunter2".to_vec() };
        assert_eq!(format!("{eab:?}"), "Eab { kid: \"one\", .. }");
    }
}
