//! Files that logs are written to: opened once for all who name them, buffered where that
//! is asked for, opened anew when told.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::super::seat::seat;

/// Buffers of one file: as many workers write without meeting.
const SHARDS: usize = 16;
/// How often the thread that empties buffers looks whether it is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// A file that lines are appended to.
#[derive(Debug)]
pub struct LogFile {
    /// None for standard output.
    path: Option<PathBuf>,
    file: ArcSwap<File>,
    /// Bytes that a worker gathers before it writes; 0 writes each line at once.
    buffer: usize,
    /// How long a line may wait in a buffer.
    flush: Option<Duration>,
    gathered: Box<[CachePadded<Mutex<Vec<u8>>>]>,
    failing: AtomicBool,
}

/// All files that logs are written to.
#[derive(Debug, Default)]
pub struct LogFiles {
    files: Mutex<Vec<Weak<LogFile>>>,
    has_thread: AtomicBool,
}

impl LogFiles {
    /// The file at `path` (none is standard output), with the buffer's size in bytes and how
    /// long a line may wait in it: the one that is open already, or a new one.
    ///
    /// # Errors
    /// Where it cannot be opened for appending.
    pub fn open(
        self: &Arc<Self>,
        path: Option<&Path>,
        buffer: usize,
        flush: Option<Duration>,
    ) -> io::Result<Arc<LogFile>> {
        let mut files = self.files.lock();
        files.retain(|file| file.strong_count() > 0);
        let same = |file: &LogFile| file.path.as_deref() == path && file.buffer == buffer && file.flush == flush;
        if let Some(found) = files.iter().filter_map(Weak::upgrade).find(|file| same(file)) {
            return Ok(found);
        }
        let shards = if buffer > 0 { SHARDS } else { 0 };
        let file = Arc::new(LogFile {
            path: path.map(Path::to_owned),
            file: ArcSwap::from_pointee(open(path)?),
            buffer,
            flush,
            gathered: (0..shards).map(|_| CachePadded::default()).collect(),
            failing: AtomicBool::new(false),
        });
        files.push(Arc::downgrade(&file));
        drop(files);
        if buffer > 0 && flush.is_some() && !self.has_thread.swap(true, Ordering::Relaxed) {
            let all = Arc::downgrade(self);
            std::thread::Builder::new().name("log-flush".to_owned()).spawn(move || flush_in_time(&all))?;
        }
        Ok(file)
    }

    /// Write out what is gathered and open every file anew, by its name: what `kill -USR1`
    /// asks for after the files were moved away.
    pub fn reopen(&self) {
        for file in self.all() {
            file.reopen();
        }
    }

    fn all(&self) -> Vec<Arc<LogFile>> {
        self.files.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// Write out what has waited long enough, until nobody has files any more.
fn flush_in_time(all: &Weak<LogFiles>) {
    let mut last: Vec<(Weak<LogFile>, Instant)> = Vec::new();
    while let Some(files) = all.upgrade().map(|all| all.all()) {
        let now = Instant::now();
        last.retain(|(file, _)| file.strong_count() > 0);
        let mut next = now + LOOK;
        for file in &files {
            let Some(flush) = file.flush else { continue };
            let mine = Arc::downgrade(file);
            let index = last.iter().position(|(known, _)| known.ptr_eq(&mine)).unwrap_or_else(|| {
                last.push((mine, now));
                last.len() - 1
            });
            if let Some((_, at)) = last.get_mut(index) {
                if *at + flush <= now {
                    file.flush();
                    *at = now;
                }
                next = next.min(*at + flush);
            }
        }
        drop(files);
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
}

fn open(path: Option<&Path>) -> io::Result<File> {
    match path {
        None => Ok(File::from(rustix::io::dup(io::stdout())?)),
        Some(path) => OpenOptions::new().create(true).append(true).open(path),
    }
}

impl LogFile {
    /// Append a line, whole with its end: in one write as nginx does, so that lines of
    /// workers do not mix, or to the worker's buffer.
    pub(super) fn append(&self, line: &[u8]) {
        let Some(gathered) = self.gathered.get(seat() % SHARDS) else { return self.write(line) };
        let mut gathered = gathered.lock();
        if gathered.len() + line.len() > self.buffer && !gathered.is_empty() {
            self.write(&gathered);
            gathered.clear();
        }
        if line.len() > self.buffer {
            return self.write(line);
        }
        gathered.extend_from_slice(line);
    }

    /// Write out what is gathered.
    pub(super) fn flush(&self) {
        for gathered in &self.gathered {
            let mut gathered = gathered.lock();
            if !gathered.is_empty() {
                self.write(&gathered);
                gathered.clear();
            }
        }
    }

    fn reopen(&self) {
        let Some(path) = &self.path else { return };
        self.flush();
        match open(Some(path)) {
            Ok(file) => self.file.store(Arc::new(file)),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the log cannot be opened anew, the old file stays");
            }
        }
    }

    fn write(&self, bytes: &[u8]) {
        match (&**self.file.load()).write_all(bytes) {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            // Once, and not for each line of a full disk.
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                let path = self.path.as_deref().unwrap_or(Path::new("standard output"));
                tracing::error!(path = %path.display(), %error, "the log cannot be written");
            }
            Err(_told) => {}
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tidegate-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("log")
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_buffer_is_written_when_full_and_at_the_end() {
        let (files, path) = (Arc::new(LogFiles::default()), place("full"));
        let file = files.open(Some(&path), 8, None).unwrap();
        assert!(Arc::ptr_eq(&file, &files.open(Some(&path), 8, None).unwrap()), "one file for all who name it");
        file.append(b"one\n");
        file.append(b"two\n");
        assert_eq!(read(&path), "");
        file.append(b"3\n");
        assert_eq!(read(&path), "one\ntwo\n");
        file.append(b"longer than the buffer\n");
        assert_eq!(read(&path), "one\ntwo\n3\nlonger than the buffer\n");
        file.append(b"4\n");
        drop(file);
        assert!(read(&path).ends_with("buffer\n4\n"));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn lines_do_not_wait_longer_than_asked() {
        let (files, path) = (Arc::new(LogFiles::default()), place("flush"));
        let file = files.open(Some(&path), 1 << 20, Some(Duration::from_millis(5))).unwrap();
        file.append(b"soon\n");
        let patience = Instant::now() + Duration::from_secs(20);
        while read(&path) != "soon\n" {
            assert!(Instant::now() < patience);
            std::thread::park_timeout(Duration::from_millis(1));
        }
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let (files, path) = (Arc::new(LogFiles::default()), place("moved"));
        let file = files.open(Some(&path), 100, None).unwrap();
        file.append(b"old\n");
        let moved = path.with_extension("1");
        std::fs::rename(&path, &moved).unwrap();
        files.reopen();
        file.append(b"new\n");
        file.flush();
        assert_eq!((read(&moved), read(&path)), ("old\n".to_owned(), "new\n".to_owned()));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
