//! The disk cache of compiled components: `DIR/<digest of the bytes>-<engine>.cwasm`.

use std::fs::{self, DirBuilder};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Files that nobody has used for this long are removed, whoever's they were: another version
/// of the program, a plugin that is gone.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Files that are kept at most: those that were used last.
const MOST_FILES: usize = 256;
/// A file that is still being written after this long is one that a crash left behind.
const UNFINISHED: Duration = Duration::from_secs(3600);

/// A directory of compiled components that only our own user can write to.
pub(super) struct Cache {
    dir: PathBuf,
    /// Names the compiler and its settings.
    engine: String,
}

/// The SHA-256 of a component's bytes.
pub(super) type ComponentDigest = [u8; 32];

/// Digest a component.
pub(super) fn digest(bytes: &[u8]) -> ComponentDigest {
    Sha256::digest(bytes).into()
}

impl Cache {
    /// Open the directory, and make it with mode 0700 where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made, or where others than the process's user could write to it:
    /// what is in it is run as native code.
    pub(super) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let dir = dir.canonicalize()?;
        let meta = fs::symlink_metadata(&dir)?;
        if !meta.is_dir() || !only_ours(&meta) {
            return Err(io::Error::other(format!(
                "`{}` must belong to the user that runs tidegate, and nobody else may write to it (chmod 700)",
                dir.display()
            )));
        }
        let mut hasher = StableHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = hex(hasher.0.finalize().iter().take(8));
        Ok(Self { dir, engine })
    }

    /// The compiled form of the component with this digest, if there is a good one.
    pub(super) fn get(&self, engine: &Engine, digest: &ComponentDigest) -> Option<Component> {
        let path = self.path(digest);
        if !only_ours(&fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?) {
            tracing::warn!(path = %path.display(), "a compiled plugin in the cache is not ours; compiling again");
            return None;
        }
        match super::cwasm::open(engine, &path) {
            Ok(component) => {
                used(&path);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %error.root_cause(), "a compiled plugin in the cache is unusable; compiling again");
                None
            }
        }
    }

    /// Keep a compiled component. A failure costs only the next start some time, so it is
    /// logged and no more.
    pub(super) fn put(&self, digest: &ComponentDigest, component: &Component) {
        let path = self.path(digest);
        let kept = component.serialize().map_err(io::Error::other).and_then(|bytes| self.write(&path, &bytes));
        if let Err(error) = kept {
            tracing::warn!(path = %path.display(), %error, "cannot keep a compiled plugin");
        }
        self.prune(SystemTime::now(), MOST_FILES);
    }

    /// Remove what is old or too much. Programs that have a file open keep it: it is mapped.
    fn prune(&self, now: SystemTime, most: usize) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let Some(used) = entry.metadata().ok().and_then(|meta| meta.modified().ok()) else { continue };
            let age = now.duration_since(used).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("cwasm") if age <= OLDEST => kept.push((used, path)),
                Some("cwasm") => remove(&path),
                Some("tmp") if age > UNFINISHED => remove(&path),
                // Not ours, or being written.
                _ => {}
            }
        }
        kept.sort_unstable();
        let surplus = kept.len().saturating_sub(most);
        kept.iter().take(surplus).for_each(|(_, path)| remove(path));
    }

    /// Write under another name first, so that no process ever opens half a file.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let temporary = self.dir.join(name);
        let mut options = fs::OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            fs::rename(&temporary, path)
        });
        if written.is_err() {
            // Best effort: the first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn path(&self, digest: &ComponentDigest) -> PathBuf {
        self.dir.join(format!("{}-{}.cwasm", hex(digest), self.engine))
    }
}

/// Note that a file is in use, by its time of change.
fn used(path: &Path) {
    let noted = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = noted {
        tracing::debug!(path = %path.display(), %error, "cannot note that a compiled plugin is in use");
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => tracing::debug!(path = %path.display(), "a compiled plugin that nobody uses is removed"),
        // Another process was first.
        Err(error) => tracing::debug!(path = %path.display(), %error, "cannot remove a compiled plugin"),
    }
}

/// Whether it belongs to our user and nobody else may write to it.
fn only_ours(meta: &fs::Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0
}

fn hex<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    bytes.into_iter().map(|b| format!("{b:02x}")).collect()
}

/// A hasher whose result depends on nothing but its input: std's default one may change
/// from one compiler to the next.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |sum, b| sum << 8 | u64::from(*b))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own for a test.
    struct Dir(PathBuf);

    impl Drop for Dir {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn old_files_and_too_many_are_removed() {
        let dir = Dir(std::env::temp_dir().join(format!("tidegate-prune-{}", std::process::id())));
        let cache = Cache::open(&dir.0, &Engine::default()).unwrap();
        let now = SystemTime::now();
        let day = Duration::from_secs(24 * 3600);
        for (name, age) in [
            ("used-today.cwasm", Duration::ZERO),
            ("yesterdays.cwasm", day),
            ("of-two-days.cwasm", 2 * day),
            ("of-a-month.cwasm", 31 * day),
            (".1-2.tmp", Duration::ZERO),
            (".3-4.tmp", day),
            ("notes.txt", 100 * day),
        ] {
            let file = fs::File::create(cache.dir.join(name)).unwrap();
            file.set_modified(now - age).unwrap();
        }
        used(&cache.dir.join("of-two-days.cwasm"));
        cache.prune(now, 2);
        let mut left: Vec<_> =
            fs::read_dir(&cache.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [".1-2.tmp", "notes.txt", "of-two-days.cwasm", "used-today.cwasm"]);
    }
}
