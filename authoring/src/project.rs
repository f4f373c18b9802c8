//! A plugin's project: its folder and what its `plugin.toml` says.

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::Language;
use crate::error::{Error, Result};

/// What stands in every project.
pub(crate) const FILE: &str = "plugin.toml";

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Where it is, absolute.
    pub folder: PathBuf,
    /// The plugin's name: the component is `NAME.wasm`.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// Whether the component keeps what its language's runtime imports from WASI, for JavaScript, TypeScript
    /// and Python. Without, such a call traps, and the plugin is called without a stack of its own.
    pub wasi: bool,
}

impl Project {
    /// Read `plugin.toml` in a folder.
    ///
    /// # Errors
    /// It is not there or says something else.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().map_err(Error::io("open", folder))?;
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let problem = |problem: String| Error::Project { path: path.clone(), problem };
        let table = DeTable::parse(&text).map_err(|error| problem(error.message().to_owned()))?.into_inner();
        let known = ["name", "language", "wasi"];
        if let Some(key) = table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            return Err(problem(format!("no key `{}`: there are {}", key.get_ref(), known.join(", "))));
        }
        let word = |key: &str| {
            let value = table.get(key).and_then(|value| value.get_ref().as_str());
            value.map(str::to_owned).ok_or_else(|| problem(format!("`{key}` must be a string")))
        };
        let name = word("name")?;
        if !is_name(&name) {
            return Err(problem(Error::Name(name).to_string()));
        }
        let language: Language = word("language")?.parse().map_err(|said| problem(format!("`language`: {said}")))?;
        let wasi = match table.get("wasi").map(|value| value.get_ref().as_bool()) {
            None => false,
            Some(Some(wasi)) => wasi,
            Some(None) => return Err(problem("`wasi` must be true or false".to_owned())),
        };
        if wasi && !matches!(language, Language::JavaScript | Language::TypeScript | Language::Python) {
            return Err(problem("`wasi` is for js, ts and python: the others import nothing of WASI".to_owned()));
        }
        Ok(Self { folder, name, language, wasi })
    }

    /// A file of the project.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside)
    }

    /// Where what is made on the way goes: `build/`.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn scratch(&self) -> Result<PathBuf> {
        let folder = self.path("build");
        fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
        Ok(folder)
    }

    /// The sources in `folder` with one of these endings, in order.
    ///
    /// # Errors
    /// The folder cannot be read, or has none.
    pub(crate) fn sources(&self, folder: &str, endings: &[&str]) -> Result<Vec<PathBuf>> {
        let path = self.path(folder);
        let entries = path.read_dir().map_err(Error::io("read", &path))?;
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        found.retain(|file| file.extension().and_then(|end| end.to_str()).is_some_and(|end| endings.contains(&end)));
        found.sort();
        if found.is_empty() {
            let problem = format!("no sources (.{})", endings.join(", ."));
            return Err(Error::Project { path, problem });
        }
        Ok(found)
    }
}

/// Whether this can name a plugin, a crate, an npm package and a file.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(fits)
        && !name.ends_with('-')
        && !name.contains("--")
}

/// Read a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("read", path))
}

/// Write a file, with the folders above it.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    }
    fs::write(path, bytes).map_err(Error::io("write", path))
}
