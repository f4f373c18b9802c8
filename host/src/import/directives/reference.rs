//! `docs/import.md`, made from the table.

use std::fmt::Write as _;

use super::State;
use super::others::FAMILIES;

const INTRODUCTION: &str = "\
# What `tidegate import` makes of nginx's directives

<!-- Generated from host/src/import/directives/. Write it anew with
     TIDEGATE_BLESS=1 cargo test --workspace --lib import::directives -->

`tidegate import nginx.conf` prints a `tidegate.toml` that means the same, and ends with 0 only if every directive kept
its meaning. `tidegate run --nginx nginx.conf` runs it directly. What differs between the two programs besides, and why,
is in [nginx.md](nginx.md).

- **exact**: it means the same.
- **near**: it means the same but for the difference that is named; where that could matter, the import says so.
- **ignored**: it has no meaning here.
- **none**: there is no equal; the import fails with file, line and what to do. `--lenient` leaves it out with a warning.

`tidegate import --compare` runs both programs and asks them the same, over HTTP/1.1 and over TLS where that is listened
for, with a certificate of its own. Where answers differ it asks once more, and shows what differs again. It leaves `stream` out, and does
not tell apart 404 and 405 for OPTIONS where neither has an answer, the numbers of `stub_status`, and a second `Content-Type` that nginx
sends where `add_header` gives one.

A directive may be *exact* and an argument of it have no equal: that is an error with its place, too.
";

/// The table of all directives, in Markdown.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    for module in super::modules() {
        let _ = write!(
            out,
            "\n## {}\n\n| directive | in | state | Tidegate | what differs, or why |\n|---|---|---|---|---|\n",
            module.name
        );
        for entry in module.entries {
            let (state, text) = match entry.state {
                State::Exact => ("exact", String::new()),
                State::Near(difference) => ("near", difference.to_owned()),
                State::Ignored(why) => ("ignored", why.to_owned()),
                State::Lacking(why, instead) => ("none", format!("{why}: {instead}")),
            };
            let harmless = match entry.harmless {
                [] => String::new(),
                values => format!(" (`{}` is fine)", values.join("`, `")),
            };
            let _ = writeln!(
                out,
                "| `{}` | {} | {state} | {} | {text}{harmless} |",
                entry.name,
                entry.contexts.names(),
                entry.key
            );
        }
    }
    out.push_str("\n## Other modules\n\nKnown by the beginning or end of their directives' names; none of them has an equal.\n\n");
    out.push_str("| directives | why | what to do |\n|---|---|---|\n");
    for family in FAMILIES {
        let names: Vec<String> = family.names().iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "| {} | {} | {} |", names.join(", "), family.why, family.instead);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Contexts, modules};

    #[test]
    fn the_table_in_docs_is_this_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/import.md");
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&path, super::reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == super::reference(), "docs/import.md is not what the table says: run with TIDEGATE_BLESS=1");
    }

    #[test]
    fn a_directive_stands_once_in_each_context() {
        let all: Vec<_> = modules().flat_map(|module| module.entries).collect();
        for (at, entry) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                let meet = entry.contexts.has(other.contexts);
                assert!(entry.name != other.name || !meet, "{}", entry.name);
            }
            assert!(entry.contexts != Contexts(0), "{}", entry.name);
        }
    }
}
