//! Opening files of a folder, and nothing outside of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;

use crate::config::Symlinks;

/// A folder that is open: a rename meanwhile changes nothing.
pub(super) struct Folder {
    dir: OwnedFd,
    symlinks: Symlinks,
}

/// A FIFO that nobody writes to must not hold up the thread.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// How often the kernel is asked again where a rename raced with it.
const RACES: usize = 4;

impl Folder {
    /// Open a folder.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(path: &Path, symlinks: Symlinks) -> io::Result<Self> {
        let dir = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { dir, symlinks })
    }

    /// Open a file or folder in it, to be read.
    ///
    /// # Errors
    /// The system's; [`Errno::LOOP`] or [`Errno::XDEV`] for a link that is not followed.
    pub(super) fn get(&self, relative: &Path) -> io::Result<File> {
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let resolve = match self.symlinks {
            Symlinks::Anywhere => return Ok(openat(&self.dir, relative, READ, Mode::empty())?.into()),
            Symlinks::Inside => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            Symlinks::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        };
        let mut tried = openat2(&self.dir, relative, READ, Mode::empty(), resolve);
        for _ in 1..RACES {
            if !matches!(tried, Err(Errno::AGAIN)) {
                break;
            }
            tried = openat2(&self.dir, relative, READ, Mode::empty(), resolve);
        }
        match tried {
            // Linux before 5.6, or a filter of system calls that does not know it.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(relative),
            opened => Ok(opened?.into()),
        }
    }

    /// Open step by step, following no link at all.
    fn walk(&self, relative: &Path) -> io::Result<File> {
        let steps: Vec<_> = relative.components().collect();
        let Some((last, folders)) = steps.split_last() else { return Err(Errno::NOENT.into()) };
        let mut at: Option<OwnedFd> = None;
        for step in folders {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = Some(openat(at.as_ref().unwrap_or(&self.dir), step.as_os_str(), flags, Mode::empty())?);
        }
        let file = openat(at.as_ref().unwrap_or(&self.dir), last.as_os_str(), READ | OFlags::NOFOLLOW, Mode::empty());
        Ok(file?.into())
    }
}

/// A decoded path as one within a folder; none where it would leave it. Rules and variables
/// can make paths that were never normalised.
pub(super) fn relative(path: &str) -> Option<PathBuf> {
    if path.contains('\0') {
        return None;
    }
    let mut relative = PathBuf::new();
    for step in Path::new(path.trim_start_matches('/')).components() {
        match step {
            Component::Normal(name) => relative.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(relative)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder `in` beside a file `secret`, removed when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let base = std::env::temp_dir().join(format!("tidegate-folder-{name}-{}", std::process::id()));
            std::fs::create_dir_all(base.join("in/sub")).unwrap();
            std::fs::write(base.join("secret"), "secret").unwrap();
            std::fs::write(base.join("in/sub/file"), "inside").unwrap();
            symlink("sub/file", base.join("in/near")).unwrap();
            symlink("../secret", base.join("in/far")).unwrap();
            symlink(base.join("secret"), base.join("in/absolute")).unwrap();
            symlink("../../in/sub", base.join("in/sub/out_and_back")).unwrap();
            Self(base)
        }

        fn read(&self, symlinks: Symlinks, path: &str) -> Option<String> {
            let folder = Folder::open(&self.0.join("in"), symlinks).unwrap();
            io::read_to_string(folder.get(Path::new(path)).ok()?).ok()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_lead_where_they_may() {
        let tree = Tree::new("links");
        let (inside, secret) = (Some("inside".to_owned()), Some("secret".to_owned()));
        for (path, by_default, never, anywhere) in [
            ("sub/file", &inside, &inside, &inside),
            ("near", &inside, &None, &inside),
            ("far", &None, &None, &secret),
            ("absolute", &None, &None, &secret),
            ("sub/out_and_back/file", &None, &None, &inside),
            ("../secret", &None, &None, &secret),
        ] {
            assert_eq!(&tree.read(Symlinks::Inside, path), by_default, "{path}");
            assert_eq!(&tree.read(Symlinks::Never, path), never, "{path}");
            assert_eq!(&tree.read(Symlinks::Anywhere, path), anywhere, "{path}");
        }
    }

    #[test]
    fn without_openat2_no_link_is_followed() {
        let tree = Tree::new("walk");
        let folder = Folder::open(&tree.0.join("in"), Symlinks::Inside).unwrap();
        assert!(folder.walk(Path::new("sub/file")).is_ok());
        for link in ["near", "far", "absolute", "sub/out_and_back/file"] {
            assert!(folder.walk(Path::new(link)).is_err(), "{link}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        for (path, wanted) in [
            ("/a/b", Some("a/b")),
            ("/", Some("")),
            ("//a/./b/", Some("a/b")),
            ("/.hidden", Some(".hidden")),
            ("/a/...", Some("a/...")),
            ("/a/../b", None),
            ("/..", None),
            ("..", None),
            ("/a\0b", None),
        ] {
            assert_eq!(relative(path).as_deref(), wanted.map(Path::new), "{path}");
        }
    }
}
