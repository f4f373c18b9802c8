//! `docs/config.md`, made from the key table.

use std::fmt::Write as _;

use super::key::Section;
use super::keys;

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from host/src/config/keys.rs. Write it anew with
     TIDEGATE_BLESS=1 cargo test -p tidegate --lib config::reference -->

One TOML file, `tidegate.toml`. Every key is here; an unknown one is an error. `tidegate check -c FILE` reports
everything that is wrong at once, each with line, column and key. [nginx.md](nginx.md) leads from nginx's directives to
these keys.

- Relative paths begin at the file's folder.
- Durations are whole numbers with a unit, larger units first: `\"10ms\"`, `\"60s\"`, `\"5m\"`, `\"1h\"`, `\"1d\"`,
  `\"1m30s\"`.
- Sizes are a number of bytes, or a whole number with a unit, each 1024 times the one before: `\"64k\"` or `\"64KiB\"`,
  `\"16m\"` or `\"16MiB\"`, `\"1g\"` or `\"1GiB\"`.
- Regular expressions have the syntax of the Rust crate `regex-lite`: no look-around and no back-references, so that
  their time grows with the text only.
- Header values may contain variables, `$name` or `${name}`; `$$` is a dollar sign. A value that comes out empty removes
  the header.
";

/// The reference of all keys, in Markdown.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    for section in Section::ALL {
        let heading = match section {
            Section::Top => "Top level".to_owned(),
            other => format!("`{}`", other.heading()),
        };
        let _ = write!(out, "\n## {heading}\n\n{}\n", section.doc());
        if section == Section::Route {
            out.push_str("\nAll keys of `[[sites]]` that are marked \"also on routes\" may stand here too.\n");
        }
        out.push_str("\n| key | type | default | nginx | what |\n|---|---|---|---|---|\n");
        // A key of both sites and routes is described once, where it stands first.
        let on_routes = |k: &super::key::Key| k.sections.len() > 1 && k.sections.contains(&Section::Route);
        let stands = |k: &super::key::Key| match on_routes(k) {
            true => k.sections.first() == Some(&section),
            false => k.sections.contains(&section),
        };
        let here = |k: &&&super::key::Key| stands(k) && k.supported();
        for key in keys::ALL.iter().filter(here) {
            let also = if on_routes(key) { " Also on routes." } else { "" };
            let nginx: Vec<String> =
                key.nginx.split(", ").filter(|d| !d.is_empty()).map(|d| format!("`{d}`")).collect();
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} | {}{also} |",
                key.name,
                cell(&key.kind.to_string()),
                cell(&key.default.to_string()),
                nginx.join(", "),
                cell(key.doc)
            );
        }
    }
    out.push_str("\n## Not supported yet\n\nThese keys are known, and an error that says so.\n\n");
    out.push_str("| key | in | what |\n|---|---|---|\n");
    for key in keys::ALL.iter().filter(|k| !k.supported()) {
        let places: Vec<String> = key.sections.iter().map(|s| format!("`{}`", s.heading())).collect();
        let _ = writeln!(out, "| `{}` | {} | {} |", key.name, places.join(", "), cell(key.doc));
    }
    out
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_reference_in_docs_is_this_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&path, super::reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written == super::reference(), "docs/config.md is not what keys.rs says: run with TIDEGATE_BLESS=1");
    }
}
