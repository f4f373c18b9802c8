//! The forms of passwords in an htpasswd file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::{apr1, bcrypt};

/// What a line of the file keeps of a password.
pub(crate) enum Password {
    /// `$2y$`, `$2a$`, `$2b$`.
    Bcrypt(bcrypt::Hash),
    /// `$apr1$`: the salt and the digest as text.
    Apr1 { salt: Box<[u8]>, digest: Box<[u8]> },
    /// `{SHA}` without salt, `{SSHA}` with.
    Sha1 { digest: Box<[u8]>, salt: Box<[u8]> },
    /// `{PLAIN}`.
    Plain(Box<[u8]>),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// Read one; the error never has the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(hash) = bcrypt::Hash::parse(text) {
            return hash.map(Self::Bcrypt);
        }
        if let Some(rest) = text.strip_prefix("$apr1$") {
            let (salt, digest) = rest.split_once('$').ok_or("`$apr1$` without a second `$`")?;
            if digest.len() != 22 || salt.is_empty() {
                return Err("`$apr1$` needs a salt and a digest of 22 characters".to_owned());
            }
            // As crypt(3) does: the salt has 8 characters at most.
            let salt = salt.as_bytes();
            return Ok(Self::Apr1 { salt: salt.get(..8).unwrap_or(salt).into(), digest: digest.as_bytes().into() });
        }
        if let Some(encoded) = text.strip_prefix("{SHA}") {
            let password = Self::sha1(encoded).filter(|(_, has_salt)| !has_salt);
            return password.map(|(sha1, _)| sha1).ok_or_else(|| "`{SHA}` needs the base64 of 20 bytes".to_owned());
        }
        if let Some(encoded) = text.strip_prefix("{SSHA}") {
            let password = Self::sha1(encoded).map(|(sha1, _)| sha1);
            return password.ok_or_else(|| "`{SSHA}` needs the base64 of 20 bytes and a salt".to_owned());
        }
        if let Some(plain) = text.strip_prefix("{PLAIN}") {
            return Ok(Self::Plain(plain.as_bytes().into()));
        }
        Err("the password is in no known form (bcrypt, $apr1$, {SHA}, {SSHA}, {PLAIN}): make it with `htpasswd -B`"
            .to_owned())
    }

    /// The digest and what follows it, and whether anything does.
    fn sha1(encoded: &str) -> Option<(Self, bool)> {
        let bytes = STANDARD.decode(encoded).ok()?;
        let (digest, salt) = bytes.split_at_checked(20)?;
        Some((Self::Sha1 { digest: digest.into(), salt: salt.into() }, !salt.is_empty()))
    }

    /// Whether this is the password.
    pub(crate) fn is(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => hash.is(password),
            Self::Apr1 { salt, digest } => same(&apr1::digest(password, salt), digest),
            Self::Sha1 { digest, salt } => {
                let ours = Sha1::new().chain_update(password).chain_update(salt).finalize();
                same(&ours, digest)
            }
            Self::Plain(plain) => same(plain, password),
        }
    }
}

/// Compare in a time that depends on the lengths alone.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}
