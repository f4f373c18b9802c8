//! `ARCHITECTURE.md` names every folder of modules of the host, so that its map stays true.

use anyhow::Result;

use crate::repository;

const MAP: &str = "ARCHITECTURE.md";

/// One line for each folder that the map does not name.
pub(super) fn problems() -> Result<Vec<String>> {
    let Ok(map) = repository::read(MAP) else {
        return Ok(vec![format!("{MAP}: there is none")]);
    };
    let files = repository::files(&["/mod.rs"])?;
    let folders = files.iter().filter_map(|file| file.strip_prefix("host/src/")?.strip_suffix("/mod.rs"));
    let unnamed = folders.filter(|folder| !names(&map, folder));
    Ok(unnamed.map(|folder| format!("{MAP}: does not name `{folder}/` (host/src/{folder}/mod.rs)")).collect())
}

/// Whether the text has the folder's path, not as a part of a longer word.
fn names(map: &str, folder: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    map.match_indices(folder).any(|(at, found)| {
        let before = map.get(..at).and_then(|text| text.chars().next_back());
        let after = map.get(at + found.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && after == Some('/')
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_folder_is_named_by_its_path() {
        assert!(names("see `host/src/proxy/forward/`", "proxy/forward"));
        assert!(names("`proxy/` is the spine", "proxy"));
        assert!(!names("the reverse-proxy/ thing", "proxy"));
        assert!(!names("a proxy is", "proxy"));
    }
}
