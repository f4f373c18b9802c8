//! Released contracts: their text is kept, nothing of it is missing today, and the guest that was made
//! of it is the one that was made then.

use std::fmt::Write as _;

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use crate::repository;

/// Each released version, the folder of today's text, and the digest of its guest.
const RELEASED: [(&str, &str, &str); 1] =
    [("0.1.0", "wit/v0.1", "c37eb5926ea69bafcfeca54d8d43e618ac9dc63d2943e0458752cf8286af42fe")];

/// What is not as it was, one line each.
pub(super) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (version, today, guest) in RELEASED {
        let folder = format!("tests/contract/{version}");
        let component = std::fs::read(repository::root().join(&folder).join("guest.wasm")).unwrap_or_default();
        if hex(&component) != guest {
            problems.push(format!("{folder}/guest.wasm: not the one that was made of contract {version}"));
        }
        for line in repository::read(&format!("{folder}/wit.sha256"))?.lines() {
            let Some((digest, name)) = line.split_once("  ") else { continue };
            let text = repository::read(&format!("{folder}/wit/{name}"))?;
            if hex(text.as_bytes()) != digest {
                problems.push(format!("{folder}/wit/{name}: the frozen text was changed"));
            }
            let now = repository::read(&format!("{today}/{name}"))?;
            if let Some(lost) = lost(&text, &now) {
                problems.push(format!("{today}/{name}: contract {version} has `{lost}`, in this order"));
            }
        }
    }
    Ok(problems)
}

/// The first line of the old text that the new one does not have, in the same order. Comments do not count.
/// Between functions there may be new lines, within types there may not.
fn lost<'a>(old: &'a str, new: &str) -> Option<&'a str> {
    const TYPES: [&str; 4] = ["record ", "variant ", "enum ", "flags "];
    let mut new = lines(new);
    let mut is_in_type = false;
    lines(old).find(|line| {
        let is_there = if is_in_type { new.next() == Some(*line) } else { new.any(|other| other == *line) };
        is_in_type = (is_in_type && *line != "}") || TYPES.iter().any(|kind| line.starts_with(kind));
        !is_there
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_pass_and_changes_do_not() {
        let old = "/// A.\ninterface a {\n  f: func();\n  g: func(x: u8);\n}\n";
        assert_eq!(lost(old, "interface a {\n  f: func();\n  /// New.\n  h: func();\n  g: func(x: u8);\n}\n"), None);
        assert_eq!(lost(old, "interface a {\n  f: func();\n  g: func(x: u16);\n}\n"), Some("g: func(x: u8);"));
        let record = "record r {\n  a: u8,\n}\nf: func();\n";
        assert_eq!(lost(record, "record r {\n  a: u8,\n}\ng: func();\nf: func();\n"), None);
        assert_eq!(lost(record, "record r {\n  a: u8,\n  b: u8,\n}\nf: func();\n"), Some("}"));
        assert_eq!(lost(old, "interface a {\n  g: func(x: u8);\n  f: func();\n}\n"), Some("g: func(x: u8);"));
    }
}
