//! The configuration: from TOML text to resolved types, or to every problem at once.
//!
//! The text goes through `document` (TOML with places), `check` (every table against the
//! table of keys in `keys`, with the defaults of `defaults`), and `resolve` (names to
//! indexes, site keys to routes, stock plugins to plugin entries). `keys` is also where
//! `docs/config.md` comes from.

mod check;
mod context;
pub mod defaults;
mod document;
mod json;
mod key;
mod keys;
mod pattern;
mod problem;
mod reader;
mod reference;
mod resolve;
mod secret;
mod section;
mod suggest;
#[cfg(test)]
mod tests;
mod types;
pub mod units;
mod variables;

use std::path::Path;

use context::Context;
use reader::Reader;

pub use problem::{Problem, Problems};
pub use reference::reference;
pub use resolve::user_cache;
pub use secret::Secret;
pub use types::*;
pub use variables::{VariableKind, is_stream_variable, variable_kind};

/// Read and resolve a configuration file. Relative paths in it begin at its folder.
/// Names of peers are looked up later, by [`crate::server::Server::start`] or
/// [`crate::server::check`].
///
/// # Errors
/// Everything that is wrong with the file, or that it cannot be read.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let label = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Problem {
        file: label.as_str().into(),
        line: 0,
        column: 0,
        key: String::new(),
        message: format!("cannot be read: {e}"),
        hint: None,
    })?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    load_str(&text, folder, &label)
}

/// Resolve a configuration text. Relative paths in it begin at `base_dir`; `file_label` is
/// what problems call the text.
///
/// # Errors
/// Everything that is wrong with the text. Where it is not TOML, that comes first: what
/// stands before the first such place is checked too, the rest only once it is TOML.
pub fn load_str(text: &str, base_dir: &Path, file_label: &str) -> Result<Config, Problems> {
    let (root, errors) = document::parse(text);
    let cx = Context::new(text, base_dir, file_label);
    let broken = errors.iter().filter(|e| !e.twice).map(|e| e.at).min();
    check::check(&cx, &root, broken.is_none());
    let config = match broken {
        None => Some(resolve::resolve(&Reader::new(&cx, &root))),
        Some(at) => {
            cx.drop_after(at);
            None
        }
    };
    for error in errors {
        cx.problem(error.at, "", format!("not TOML: {}", error.message));
    }
    match (cx.into_problems(), config) {
        (None, Some(config)) => Ok(config),
        (Some(problems), _) => Err(problems),
        // Without a configuration there is a syntax error, which is a problem.
        (None, None) => Err(Problem {
            file: file_label.into(),
            line: 0,
            column: 0,
            key: String::new(),
            message: "is not TOML".to_owned(),
            hint: None,
        }
        .into()),
    }
}
