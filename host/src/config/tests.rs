//! The fixtures of `tests/config`: every file of `valid` loads, and every file of `invalid`
//! has exactly the problems that its first lines name.

use std::path::{Path, PathBuf};

use super::*;

fn fixtures(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(!files.is_empty(), "{}", root.display());
    files.into_iter().map(|p| (p.clone(), std::fs::read_to_string(p).unwrap())).collect()
}

#[test]
fn every_valid_fixture_loads() {
    for (path, text) in fixtures("valid") {
        if let Err(problems) = load_str(&text, path.parent().unwrap(), &path.display().to_string()) {
            panic!("{problems}");
        }
    }
}

/// `LINE:COLUMN KEY: TEXT`, where a problem without a key has `-`.
struct Expected<'a> {
    place: &'a str,
    key: &'a str,
    text: &'a str,
}

fn expected(text: &str) -> Vec<Expected<'_>> {
    text.lines()
        .map_while(|l| l.strip_prefix("# error: "))
        .map(|line| {
            let (place, rest) = line.split_once(' ').unwrap();
            let (key, text) = rest.split_once(": ").unwrap();
            Expected { place, key: if key == "-" { "" } else { key }, text }
        })
        .collect()
}

#[test]
fn every_invalid_fixture_has_exactly_its_problems() {
    let files = fixtures("invalid");
    assert!(files.len() >= 25, "{}", files.len());
    let mut wrong = String::new();
    for (path, text) in files {
        let expected = expected(&text);
        assert!(!expected.is_empty(), "{} begins with `# error:` lines", path.display());
        let label = path.file_name().unwrap().to_str().unwrap();
        let found = load_str(&text, path.parent().unwrap(), label).map(|_| ()).err();
        let found: Vec<&Problem> = found.iter().flatten().collect();
        let same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(f, e)| {
                let place = format!("{}:{}", f.line, f.column);
                let hint = f.hint.as_deref().unwrap_or_default();
                place == e.place && f.key == e.key && format!("{} ({hint})", f.message).contains(e.text)
            });
        if !same {
            wrong.push_str(&format!("{label} has:\n"));
            for f in found {
                let key = if f.key.is_empty() { "-" } else { &f.key };
                let hint = f.hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
                wrong.push_str(&format!("# error: {}:{} {key}: {}{hint}\n", f.line, f.column, f.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Load a fixture of `valid`.
fn valid(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config/valid").join(name);
    load(&path).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Load a text that has sites but no listener.
fn sites(text: &str) -> Config {
    let text = format!("[[listeners]]\naddress = \"127.0.0.1:0\"\n{text}");
    load_str(&text, Path::new("."), "test.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

/// Name and configuration of a route's plugins, in the order of the chain.
fn chain(config: &Config, route: usize) -> Vec<(&str, &str)> {
    let plugins = config.routes[route].plugins.iter().map(|i| &config.plugins[*i]);
    plugins.map(|p| (&*p.name, p.config.expose())).collect()
}

fn hook_names(plugin: &Plugin) -> Option<Vec<&'static str>> {
    plugin.hooks.map(|hooks| hooks.iter().map(crate::hook::Hook::name).collect())
}

mod plugins;
mod routing;
mod secure;
mod values;
