//! Account and certificates on disk, for the owner's eyes only.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;

use super::Settings;
use super::settings::Wish;
use crate::tls::server::{BadIdentity, Certified, Files, Staple};

/// Why something is not kept or found.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unkept {
    /// The disk.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The account's file is none.
    #[error("{} is no account: {error}", path.display())]
    Account {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// What was issued cannot be served.
    #[error("what was issued cannot be used: {0}")]
    Certificate(#[from] BadIdentity),
}

/// The account; none where there is none yet.
pub(super) fn account(settings: &Settings) -> Result<Option<AccountCredentials>, Unkept> {
    let path = settings.account();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unkept::Io { path, error }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| Unkept::Account { path, error })
}

/// Keep an account.
pub(super) fn keep_account(settings: &Settings, account: &AccountCredentials) -> Result<(), Unkept> {
    let path = settings.account();
    let text = serde_json::to_vec_pretty(account).map_err(|error| Unkept::Account { path: path.clone(), error })?;
    let fresh = write_beside(&path, &text)?;
    put(&fresh, &path)
}

/// What is served for a wish now; none where there is nothing that can be.
pub(super) fn certificate(settings: &Settings, wish: &Wish) -> Option<Certified> {
    Certified::load(&Files::awaited(&settings.certificate(wish), Staple::Off)).ok()
}

/// See that a certificate can be kept.
pub(super) fn make_ready(settings: &Settings, wish: &Wish) -> Result<(), Unkept> {
    write_beside(&settings.certificate(wish), b"").map(drop)
}

/// Keep a certificate with its key, if they can be served.
pub(super) fn keep_certificate(settings: &Settings, wish: &Wish, key: &str, chain: &str) -> Result<Certified, Unkept> {
    let path = settings.certificate(wish);
    // One file, so that there is never a key beside another's certificate.
    let fresh = write_beside(&path, format!("{}\n{}\n", key.trim_end(), chain.trim_end()).as_bytes())?;
    match Certified::load(&Files::awaited(&fresh, Staple::Off)) {
        Ok(certified) => put(&fresh, &path).map(|()| certified),
        Err(error) => {
            // It has a key in it, and is of no use; what cannot be removed now is written over later.
            let _stays = fs::remove_file(&fresh);
            Err(error.into())
        }
    }
}

/// Write a new file next to where it shall be.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, Unkept> {
    let fresh = path.with_extension("new");
    let write = || {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        // One that was left over may be readable by others.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map(|()| fresh.clone()).map_err(|error| Unkept::Io { path: fresh.clone(), error })
}

/// Let it take the place of the one before, at once and for good.
fn put(fresh: &Path, path: &Path) -> Result<(), Unkept> {
    let put = || {
        fs::rename(fresh, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    put().map_err(|error| Unkept::Io { path: path.to_owned(), error })
}
