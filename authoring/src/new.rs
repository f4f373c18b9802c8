//! `tidegate plugin new`: a project from the templates.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::project::{FILE, Project, is_name, write};
use crate::{Language, bindings, embedded, tool};

/// What stands for the plugin's name in templates.
const NAME: &str = "PLUGIN_NAME";

/// Make a project in the folder `NAME` below `parent`; where it is, and the files, in order.
///
/// # Errors
/// [`Error::Name`], [`Error::Exists`] where the folder is there and has anything in it, [`Error::Io`].
pub fn new(language: Language, name: &str, parent: &Path) -> Result<(PathBuf, Vec<String>)> {
    if !is_name(name) {
        return Err(Error::Name(name.to_owned()));
    }
    let folder = parent.join(name);
    if folder.read_dir().map_or(folder.exists(), |mut entries| entries.next().is_some()) {
        return Err(Error::Exists(folder));
    }
    let mut files = files(language, name);
    files.sort();
    for (inside, text) in &files {
        write(&folder.join(inside), text)?;
    }
    let folder = folder.canonicalize().map_err(Error::io("open", &folder))?;
    bindings::for_editors(&Project::open(&folder)?)?;
    Ok((folder, files.into_iter().map(|(inside, _)| inside).collect()))
}

fn files(language: Language, name: &str) -> Vec<(String, String)> {
    let fill = |text: &str| fill(text, language, name);
    let own = format!("templates/{language}");
    let mut files: Vec<(String, String)> = embedded::below(&own)
        .chain(embedded::below("templates/common"))
        // A `.gitignore` or a `Cargo.toml` here would be one of this repository's.
        .map(|(path, text)| (path.trim_end_matches(".template").replace("dot-", "."), fill(text)))
        .collect();
    files.push((FILE.to_owned(), format!("name = \"{name}\"\nlanguage = \"{language}\"\n")));
    // Where the SDK looks for the contract; the others have it as a package that their world names.
    let contract = if language == Language::Rust { "wit/v0.1" } else { "wit/deps/tidegate" };
    files.extend(embedded::below("wit").map(|(path, text)| (format!("{contract}/{path}"), text.to_owned())));
    if language == Language::Rust {
        files.retain(|(path, _)| path != "wit/world.wit");
        files.extend(embedded::below("sdk").map(|(path, text)| (format!("sdk/src/{path}"), text.to_owned())));
    }
    files
}

fn fill(text: &str, language: Language, name: &str) -> String {
    let mut text = text.replace(NAME, name).replace("PLUGIN_LANGUAGE", language.title());
    text = text.replace("PLUGIN_WORD", language.word());
    for (package, version, _) in tool::NPM.iter().chain(tool::PIP) {
        text = text.replace(&format!("VERSION_OF_{package}"), version);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;
    use crate::project;

    /// A folder that goes with its guard.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("tidegate-new-{name}-{}", std::process::id()));
            let _left = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_language_makes_a_project_that_opens() {
        let scratch = Scratch::new("all");
        for language in Language::ALL {
            let (folder, files) = new(language, &format!("my-{language}"), &scratch.0).unwrap();
            let project = Project::open(&folder).unwrap();
            assert_eq!((project.language, project.name.as_str()), (language, format!("my-{language}").as_str()));
            for file in ["README.md", "TOOLS.md", "cases.toml", "tidegate.toml", ".gitignore", "plugin.toml"] {
                assert!(files.iter().any(|made| made == file), "{language}: no {file} in {files:?}");
            }
            for file in &files {
                let text = String::from_utf8(project::read(&folder.join(file)).unwrap()).unwrap();
                for left in [NAME, "PLUGIN_LANGUAGE", "PLUGIN_WORD", "VERSION_OF_"] {
                    assert!(!text.contains(left), "{language}: {left} is left in {file}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let scratch = Scratch::new("over");
        let (folder, _) = new(Language::C, "mine", &scratch.0).unwrap();
        fs::write(folder.join("src/plugin.c"), "precious").unwrap();
        let refused = new(Language::Rust, "mine", &scratch.0).unwrap_err();
        assert!(matches!(&refused, Error::Exists(_)), "{refused}");
        assert_eq!(fs::read_to_string(folder.join("src/plugin.c")).unwrap(), "precious");
        assert!(!folder.join("Cargo.toml").exists());
    }

    #[test]
    fn names_that_no_tool_would_refuse() {
        for name in ["", "A", "1a", "a_b", "../a", "a b", "a-", "a--b", "é"] {
            let refused = new(Language::C, name, Path::new("/nonexistent")).unwrap_err();
            assert!(matches!(refused, Error::Name(_)), "{name}: {refused}");
        }
    }
}
