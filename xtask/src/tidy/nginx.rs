//! `docs/nginx.md`: each directive of the nginx guides has a row, and what its rows name
//! (keys, tests, files) exists.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::repository;

const TABLE: &str = "docs/nginx.md";
const KEYS: &str = "docs/config.md";
const LIST: &str = "xtask/src/tidy/guides.txt";
/// Where the guides lie beside the repository on the machines that have them.
const GUIDES: &str = "../shared/seeds";

/// One line for each directive without a row, and for each key or test that is not there.
pub(super) fn problems() -> Result<Vec<String>> {
    let (table, list) = (repository::read(TABLE)?, repository::read(LIST)?);
    let rows = rows(&table);
    let listed = listed(&list);
    let mut problems = unlisted(&listed)?;
    problems.extend(missing_rows(&listed, &rows));
    let reference = repository::read(KEYS)?;
    let sections = sections(&reference);
    for row in &rows {
        problems.extend(missing_keys(row.keys, &sections));
        problems.extend(missing_tests(row.tests)?);
    }
    Ok(problems.into_iter().map(|problem| format!("{TABLE}: {problem}")).collect())
}

/// One row of the tables.
struct Row<'a> {
    directive: &'a str,
    keys: &'a str,
    tests: &'a str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let lines = table.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        match cells.as_slice() {
            [directive, keys, _, tests, _] if *directive != "directive" => Some(Row { directive, keys, tests }),
            _ => None,
        }
    });
    rows.collect()
}

/// The directives of the list, each with the parameters that the guides use.
fn listed(list: &str) -> BTreeMap<&str, Vec<&str>> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            line.split_once(' ')
                .map(|(name, rest)| (name, rest.split(' ').collect()))
                .or_else(|| Some((line, Vec::new())))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// Directives of the examples, and of the guides where they are there, that the list does
/// not have.
fn unlisted(listed: &BTreeMap<&str, Vec<&str>>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in repository::files(&["/nginx.conf"])?.iter().filter(|file| file.starts_with("examples/")) {
        let text = repository::read(file)?;
        problems.extend(directives(&text).iter().filter_map(|name| unknown(file, name, listed)));
    }
    let Ok(guides) = std::fs::read_dir(repository::root().join(GUIDES)) else { return Ok(problems) };
    for guide in guides {
        let path = guide?.path();
        let text = std::fs::read_to_string(&path)?;
        problems.extend(directives(&text).iter().filter_map(|name| unknown(&path.display().to_string(), name, listed)));
    }
    Ok(problems)
}

fn unknown(file: &str, name: &str, listed: &BTreeMap<&str, Vec<&str>>) -> Option<String> {
    (!listed.contains_key(name)).then(|| format!("`{name}` of {file} is not in {LIST}"))
}

/// The directives in a text of prose and configuration: words that begin a line which ends
/// in `;` or `{`, commented or not. Entries of maps are none.
fn directives(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['#', ' ']));
    let lines = lines.map(|line| line.split_once(" #").map_or(line, |(before, _)| before).trim_end());
    let lines = lines.filter(|line| line.ends_with(';') || line.ends_with('{') || line.starts_with("log_format "));
    let names = lines.filter_map(|line| line.split([' ', ';']).next());
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    names.filter(is_name).filter(|name| *name != "default").collect()
}

fn missing_rows(listed: &BTreeMap<&str, Vec<&str>>, rows: &[Row<'_>]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, parameters) in listed {
        let about: Vec<&Row<'_>> = rows.iter().filter(|row| first_words(row.directive).any(|w| w == *name)).collect();
        if about.is_empty() {
            problems.push(format!("no row for `{name}`"));
        }
        let lacking = parameters.iter().filter(|parameter| !about.iter().any(|row| names(row.directive, parameter)));
        problems.extend(lacking.map(|parameter| format!("no row for `{name}` names its `{parameter}`")));
    }
    problems
}

/// The first word of each text in backticks.
fn first_words(cell: &str) -> impl Iterator<Item = &str> {
    quoted(cell).filter_map(|text| text.split(' ').next())
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a cell has the parameter as a word within backticks.
fn names(cell: &str, parameter: &str) -> bool {
    quoted(cell).flat_map(|text| text.split(' ')).any(|word| word.trim_end_matches(',') == parameter)
}

/// The keys of the reference, by the anchor of their section.
fn sections(reference: &str) -> BTreeMap<String, BTreeSet<&str>> {
    let mut sections = BTreeMap::new();
    let mut anchor = String::new();
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            anchor = slug(heading);
        } else if let Some(key) = line.strip_prefix("| `").and_then(|line| line.split('`').next()) {
            sections.entry(anchor.clone()).or_insert_with(BTreeSet::new).insert(key);
        }
    }
    sections
}

/// The anchor that GitHub makes of a heading.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Links ``[`table.key`](config.md#anchor)`` that lead nowhere.
fn missing_keys(cell: &str, sections: &BTreeMap<String, BTreeSet<&str>>) -> Vec<String> {
    let links = cell.split("[`").skip(1).filter_map(|rest| rest.split_once("`](config.md#"));
    let links = links.filter_map(|(key, rest)| Some((key, rest.split_once(')')?.0)));
    let missing = links.filter(|(key, anchor)| {
        let key = key.rsplit('.').next().unwrap_or(key);
        !sections.get(*anchor).is_some_and(|keys| keys.contains(key))
    });
    missing.map(|(key, anchor)| format!("{KEYS} has no `{key}` under #{anchor}")).collect()
}

/// Tests `module::case`, in `tests/nginx_compat/` unless their first word is another folder.
fn missing_tests(cell: &str) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for test in quoted(cell) {
        let path: Vec<&str> = test.split("::").collect();
        let (folder, path) = match path.split_first() {
            Some((folder @ (&"e2e" | &"clients"), rest)) => (*folder, rest),
            _ => ("nginx_compat", path.as_slice()),
        };
        let Some((case, module)) = path.split_last() else { continue };
        let text = repository::read(&format!("tests/{folder}/{}.rs", module.join("/")));
        if !text.is_ok_and(|text| text.contains(&format!("fn {case}("))) {
            problems.push(format!("there is no test {test}"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "| directive | Tidegate | done by | test | what |\n|---|---|---|---|---|\n\
                        | `listen … ssl`, `http2` | [`a.b`](config.md#a) |  | `listen::none` | x |\n";

    #[test]
    fn directives_are_found_in_prose_and_comments() {
        let text = "Use `gzip` or not.\nlocation /x {\n  # http2_push /a;\n  root /w;  # why\n  default 1;\n}\nDone; and so on.\nlog_format a 'b'\n";
        let found: Vec<_> = directives(text).into_iter().collect();
        assert_eq!(found, ["http2_push", "location", "log_format", "root"]);
    }

    #[test]
    fn directives_and_parameters_need_rows() {
        let rows = rows(ROWS);
        let missing = |list| missing_rows(&listed(list), &rows).len();
        assert_eq!([missing("listen ssl http2\n"), missing("listen quic\n"), missing("gzip\n")], [0, 1, 1]);
    }

    #[test]
    fn keys_and_tests_must_be_there() {
        let sections = sections("## `[a]`\n\n| `b` | x |\n");
        assert_eq!(missing_keys("[`a.b`](config.md#a)", &sections), [] as [String; 0]);
        for wrong in ["[`a.c`](config.md#a)", "[`a.b`](config.md#other)"] {
            assert_eq!(missing_keys(wrong, &sections).len(), 1, "{wrong}");
        }
        assert_eq!(missing_tests("`listen::servers_by_address_and_name`").unwrap(), [] as [String; 0]);
        assert_eq!(missing_tests("`listen::none`, `e2e::none::none`").unwrap().len(), 2);
    }

    #[test]
    fn anchors_are_githubs() {
        assert_eq!(slug("`[upstreams.NAME]`"), "upstreamsname");
        assert_eq!(slug("`limits = { … }`"), "limits----");
    }
}
