//! Which files a plugin is made of, and when one changes (`inotify(7)`).

use std::collections::BTreeMap;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use sha2::{Digest as _, Sha256};

use super::Failed;

/// Folders of what is made, and not written.
const MADE: [&str; 6] = ["target", "node_modules", "__pycache__", "build", "dist", "zig-out"];
/// Ends of names of what is made.
const MADE_FILES: [&str; 3] = ["wasm", "cwasm", "swp"];
/// Files that are larger are data, of which only the size is looked at.
const LARGE: u64 = 4 << 20;
/// How deep folders are followed.
const DEEPEST: usize = 16;

/// The files of a folder with what is in them, as digests: whoever writes the same again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources(BTreeMap<PathBuf, [u8; 32]>);

impl Sources {
    /// The files as they are now, but for that of the configuration. One that cannot be read is as one
    /// that is not there.
    pub(super) fn read(folder: &Path, config: &Path) -> Self {
        let config = fs::canonicalize(config).ok();
        let mut files = BTreeMap::new();
        for folder in folders(folder) {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if is_source(&path)
                    && let Ok(meta) = entry.metadata()
                    && meta.is_file()
                    && fs::canonicalize(&path).ok() != config
                {
                    let content = if meta.len() > LARGE {
                        meta.len().to_be_bytes().to_vec()
                    } else {
                        fs::read(&path).unwrap_or_default()
                    };
                    files.insert(path, Sha256::digest(content).into());
                }
            }
        }
        Self(files)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// These, and those of the others that are not among them.
    pub(super) fn with_new_of(mut self, others: &Self) -> Self {
        for (path, digest) in &others.0 {
            self.0.entry(path.clone()).or_insert(*digest);
        }
        self
    }

    /// A file that is not the same in the others: it is another, new, or gone.
    pub(super) fn first_change<'a>(&'a self, others: &'a Self) -> Option<&'a Path> {
        let changed = others.0.iter().find(|(path, digest)| self.0.get(*path) != Some(digest));
        let gone = || self.0.keys().find(|path| !others.0.contains_key(*path));
        changed.map(|(path, _)| path).or_else(gone).map(PathBuf::as_path)
    }
}

/// Tells of changes below some folders.
pub(super) struct Watch {
    /// One for each; a few may come for one.
    pub(super) changes: Receiver<()>,
    queue: Arc<OwnedFd>,
    folder: PathBuf,
    config: PathBuf,
}

impl Watch {
    /// Watch a folder and what is in it, and the file of a configuration.
    ///
    /// # Errors
    /// Where the system has no more watches to give.
    pub(super) fn start(folder: &Path, config: &Path) -> Result<Self, Failed> {
        let queue = Arc::new(inotify::init(CreateFlags::CLOEXEC)?);
        let (sender, changes) = channel();
        let reading = Arc::clone(&queue);
        std::thread::Builder::new().name("tidegate-watch".into()).spawn(move || {
            let mut room = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(&*reading, &mut room);
            // Which file it was is looked at later; an error ends the watch, as when nobody listens.
            while reader.next().is_ok() && sender.send(()).is_ok() {}
        })?;
        let watch = Self { changes, queue, folder: folder.to_owned(), config: config.to_owned() };
        watch.add(&watch.folder)?;
        watch.renew();
        Ok(watch)
    }

    /// Watch folders that are new.
    pub(super) fn renew(&self) {
        let of_config = self.config.parent().filter(|folder| !folder.as_os_str().is_empty());
        let config = of_config.unwrap_or(Path::new("."));
        for folder in folders(&self.folder).iter().map(PathBuf::as_path).chain([config]) {
            if let Err(error) = self.add(folder) {
                tracing::warn!(folder = %folder.display(), %error, "not watched");
            }
        }
    }

    /// To watch a folder again changes nothing.
    fn add(&self, folder: &Path) -> rustix::io::Result<()> {
        let events = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO;
        inotify::add_watch(&*self.queue, folder, events).map(drop)
    }
}

/// A folder and all that lie in it, but for those of what is made.
fn folders(folder: &Path) -> Vec<PathBuf> {
    fn into(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) {
        all.push(folder.to_owned());
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Not through links, which may lead back.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if is_folder && depth < DEEPEST && !name.starts_with('.') && !MADE.contains(&&*name) {
                into(&entry.path(), depth + 1, all);
            }
        }
    }
    let mut all = Vec::new();
    into(folder, 0, &mut all);
    all
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_made = path.extension().is_some_and(|end| MADE_FILES.iter().any(|made| end == *made));
    !is_made && !name.starts_with('.') && !name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_counts_and_only_its_content() {
        let folder = std::env::temp_dir().join(format!("tidegate-watch-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "a");
        write("target/debug/x", "made");
        write("plugin.wasm", "made");
        write(".git/HEAD", "hidden");
        let before = Sources::read(&folder, Path::new("/nowhere"));
        assert_eq!(before.count(), 1);
        write("src/lib.rs", "a");
        assert_eq!(
            before.first_change(&Sources::read(&folder, Path::new("/nowhere"))),
            None,
            "the same again is no change"
        );
        write("src/deep/new.rs", "b");
        let new = Sources::read(&folder, Path::new("/nowhere"));
        assert!(before.first_change(&new).unwrap().ends_with("src/deep/new.rs"));
        assert_eq!(before.clone().with_new_of(&new), new, "what a build makes is known then");
        write("src/lib.rs", "c");
        assert!(new.first_change(&Sources::read(&folder, Path::new("/nowhere"))).unwrap().ends_with("src/lib.rs"));
        fs::remove_dir_all(&folder).unwrap();
        assert!(new.first_change(&Sources::read(&folder, Path::new("/nowhere"))).is_some(), "what is gone is a change");
    }
}
