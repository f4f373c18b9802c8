//! Which file a path means. This asks the disk, and so runs on a thread that may wait.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::io::Errno;

use super::folder::{Folder, relative};
use super::page::FilePage;
use crate::config::{Files, Mapping};
use crate::error::{Error, Kind};

/// Files up to this size are read with their look-up: one trip to the disk's thread.
const SMALL: u64 = 64 << 10;

/// What is looked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// The decoded path.
    pub path: String,
    /// The file, where the route names it ([`Mapping::Named`]).
    pub named: Option<String>,
    /// Paths to try instead, and whether each is to be a folder; none without `try_files`.
    pub tries: Option<Vec<(String, bool)>>,
    /// Whether a small file is to be read at once.
    pub reads: bool,
}

/// What was found.
pub enum Found {
    /// A file. The path is the one that it was found under.
    File(FilePage, String),
    /// A folder, asked for without its slash: this path.
    Folder(String),
    /// A folder's index: its path.
    Index(String),
    /// None of the paths to try.
    Nothing,
}

/// Look for a file.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Forbidden`] (no right, a link that is not followed, a folder
/// without an index), or [`Kind::File`].
pub fn lookup(files: &Files, asked: Asked) -> Result<Found, Error> {
    let folder = match Folder::open(&files.folder, files.symlinks) {
        Ok(folder) => folder,
        // Nothing is there to try, as in nginx, whatever the reason.
        Err(_away) if asked.tries.is_some() => return Ok(Found::Nothing),
        Err(e) => return Err(refused(&e, &files.folder)),
    };
    let place = Place { files, folder, named: asked.named };
    let path = match asked.tries {
        None => asked.path,
        Some(tries) => match tries.into_iter().find(|(path, is_folder)| place.is_there(path, *is_folder)) {
            Some((path, _)) if path.is_empty() => "/".to_owned(),
            Some((path, _)) => path,
            None => return Ok(Found::Nothing),
        },
    };
    if path.ends_with('/') { place.index(&path) } else { place.file(path, asked.reads) }
}

struct Place<'f> {
    files: &'f Files,
    folder: Folder,
    named: Option<String>,
}

impl Place<'_> {
    /// Where a path is in the folder; none where that is outside.
    fn at(&self, path: &str) -> Option<PathBuf> {
        match &self.files.mapping {
            Mapping::Root => relative(path),
            Mapping::Alias(prefix) => {
                let rest = path.strip_prefix(prefix.as_str())?;
                // What only begins like the prefix is another name: nginx would go on in the
                // name of the folder itself, and with `..` out of it.
                let parts = rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/');
                relative(rest).filter(|_| parts)
            }
            Mapping::Named(_) => relative(self.named.as_deref()?),
        }
    }

    fn get(&self, path: &str) -> Result<(File, Metadata), Error> {
        let at = self.at(path).ok_or_else(|| Error::new(Kind::NotFound, path))?;
        let opened = self.folder.get(&at).and_then(|file| Ok((file.metadata()?, file)));
        let (about, file) = opened.map_err(|e| refused(&e, &self.files.folder.join(&at)))?;
        Ok((file, about))
    }

    fn is_there(&self, path: &str, is_folder: bool) -> bool {
        self.get(path).is_ok_and(|(_, about)| about.is_dir() == is_folder)
    }

    /// The index of a folder.
    fn index(&self, path: &str) -> Result<Found, Error> {
        for name in &self.files.index {
            let index = format!("{path}{name}");
            match self.get(&index) {
                Ok((_, about)) if !about.is_dir() => return Ok(Found::Index(index)),
                Ok(_) => {}
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let (_, about) = self.get(path)?;
        let kind = if about.is_dir() { Kind::Forbidden } else { Kind::NotFound };
        Err(Error::new(kind, format!("{path} has no index")))
    }

    fn file(&self, path: String, reads: bool) -> Result<Found, Error> {
        let (mut file, about) = self.get(&path)?;
        if about.is_dir() {
            return Ok(Found::Folder(path));
        }
        if !about.is_file() {
            return Err(Error::new(Kind::NotFound, format!("{path} is not a regular file")));
        }
        let mut whole = None;
        if reads && about.len() <= SMALL {
            let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
            (&mut file).take(about.len()).read_to_end(&mut bytes).map_err(|e| Error::new(Kind::File, e.to_string()))?;
            // One that shrank meanwhile is read again, and then breaks off.
            whole = Some(Bytes::from(bytes)).filter(|bytes| bytes.len() as u64 == about.len());
        }
        Ok(Found::File(FilePage::new(self.files, &path, file, &about, whole), path))
    }
}

/// What the system's word means, as in nginx's static module.
fn refused(error: &io::Error, path: &Path) -> Error {
    let kind = match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => Kind::NotFound,
        Some(Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::XDEV | Errno::MLINK) => Kind::Forbidden,
        _ => Kind::File,
    };
    Error::new(kind, format!("{}: {error}", path.display()))
}
