//! The files that this program carries for new projects.

use std::hash::{Hash as _, Hasher as _};

use crate::Language;
use crate::tool::{NPM, PIP};

/// Path and text; the first part of a path says what it is of: `templates`, `wit`, `sdk`, `bindings`,
/// `go-runtime`.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files below a folder, with their paths from there.
pub(crate) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *text)))
}

/// A number that changes with everything that a language's component is made of, the versions of its tools
/// included: what is built can be kept under it.
#[must_use]
pub fn digest_of(language: Language) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    below(&format!("templates/{language}")).chain(below("templates/common")).for_each(|file| file.hash(&mut hasher));
    below("wit").chain(below("sdk")).chain(below("go-runtime")).for_each(|file| file.hash(&mut hasher));
    (NPM, PIP, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    // How it is built.
    include_str!("bindings.rs").hash(&mut hasher);
    include_str!("component.rs").hash(&mut hasher);
    include_str!("build/mod.rs").hash(&mut hasher);
    include_str!("build/native.rs").hash(&mut hasher);
    include_str!("build/script.rs").hash(&mut hasher);
    include_str!("wasi_stub.wat").hash(&mut hasher);
    hasher.finish()
}
