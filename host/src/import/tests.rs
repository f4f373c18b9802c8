//! Pairs of files: `tests/import/NAME.conf` (or `NAME/nginx.conf`) and `NAME.toml`, what the
//! import prints, with what it says in comments at the end; `examples/NAME/imported.toml` the same
//! of the configuration beside it. `TIDEGATE_BLESS=1` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Imported, Options, Severity, import};
use crate::config;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/import").canonicalize().unwrap()
}

/// Every configuration of a folder, by name.
fn configurations(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && path.join("nginx.conf").is_file() {
            found.push((name, path.join("nginx.conf")));
        } else if path.extension().is_some_and(|extension| extension == "conf") {
            found.push((name, path));
        }
    }
    found.sort();
    found
}

/// The text and the findings, without what depends on where the files lie.
fn shown(imported: &Imported, file: &Path) -> String {
    let around = format!("{}/", file.parent().unwrap().display());
    let findings: String = imported.findings.iter().map(|finding| format!("#! {finding}\n")).collect();
    format!("{}{findings}", imported.text).replace(&around, "")
}

/// Files that a configuration names, made, so that it can be checked: certificates, keys, users.
struct Made {
    folder: PathBuf,
}

impl Made {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-import-{}-check-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(folder.join("users"), "alice:{PLAIN}secret\n").unwrap();
        Self { folder }
    }

    /// The text with these files.
    fn put(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (key, file) in [
            ("host_key", "cert.pem"),
            ("certificate", "cert.pem"),
            ("ca", "cert.pem"),
            ("key", "key.pem"),
            ("from_file", "users"),
        ] {
            let pattern = regex_lite::Regex::new(&format!(r#"\b{key} = "[^"$]*""#)).unwrap();
            let with = format!("{key} = \"{}\"", self.folder.join(file).display());
            text = pattern.replace_all(&text, with.as_str()).into_owned();
        }
        text
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// What `tidegate check` has against a text.
fn problems(name: &str, text: &str) -> Option<String> {
    let made = Made::new(name);
    config::load_str(&made.put(text), &made.folder, name).err().map(|problems| problems.to_string())
}

#[test]
fn pairs() {
    let folder = folder();
    let mut wrong = Vec::new();
    let all = configurations(&folder);
    assert!(all.len() > 20);
    for (name, file) in all {
        let expected = folder.join(format!("{name}.toml"));
        let imported = import(&file, &Options::default());
        let shown = shown(&imported, &file);
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("{name}: is not what it was; TIDEGATE_BLESS=1 writes it\n{shown}"));
        }
        // Again comes out the same, and what is left out leaves something that is right.
        let lenient = import(&file, &Options { lenient: true, ..Options::default() });
        let broken = lenient.findings.iter().any(|finding| finding.severity == Severity::Error);
        for imported in [&imported, &lenient].into_iter().filter(|imported| imported.is_whole()) {
            wrong.extend(
                problems(&name, &imported.text).map(|problems| format!("{name}: {problems}\n{}", imported.text)),
            );
        }
        if broken && !name.starts_with("broken") {
            wrong.push(format!("{name}: --lenient leaves errors: {:?}", lenient.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn examples_are_whole_and_pass_the_check() {
    let folder = folder().join("../../examples").canonicalize().unwrap();
    let mut seen = 0;
    for (name, file) in configurations(&folder) {
        let imported = import(&file, &Options::default());
        // One includes a file of nginx's package.
        let text = fs::read_to_string(&file).unwrap();
        let missing = text.contains("/etc/nginx/mime.types") && !Path::new("/etc/nginx/mime.types").exists();
        if missing {
            continue;
        }
        seen += 1;
        assert!(imported.is_whole(), "{name}: {:#?}", imported.findings);
        assert_eq!(problems(&name, &imported.text), None, "{name}:\n{}", imported.text);
        let (expected, shown) = (file.with_file_name("imported.toml"), shown(&imported, &file));
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        let known = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(known, shown, "{name}: is not what it was; TIDEGATE_BLESS=1 writes it");
    }
    assert!(seen > 20);
}

#[test]
fn the_package_of_debian_imports() {
    // The files of the package itself are in `tests/import/debian`; here as they lie.
    let file = Path::new("/etc/nginx/nginx.conf");
    if !file.exists() {
        return;
    }
    let imported = import(file, &Options { prefix: Some("/usr/share/nginx".into()), ..Options::default() });
    assert!(imported.is_whole(), "{:#?}", imported.findings);
    assert_eq!(problems("debian", &imported.text), None, "{}", imported.text);
}

#[test]
fn prefix_and_globals_are_nginxs() {
    let folder = std::env::temp_dir().join(format!("tidegate-import-{}-prefix", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("nginx.conf");
    fs::write(&file, "http { server { listen 8080; root html; ssl_certificate a.pem; access_log logs/a.log; } }")
        .unwrap();
    let options =
        Options { prefix: Some("/srv/n".into()), globals: "worker_processes 3;".to_owned(), ..Options::default() };
    let text = import(&file, &options).text;
    let _gone = fs::remove_dir_all(&folder);
    for part in ["workers = 3", "root = \"/srv/n/html\"", "path = \"/srv/n/logs/a.log\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Directives in any order and with any arguments neither stop the import nor pass it as whole
/// where the result would not pass the check.
#[test]
fn whatever_comes_whole_passes_the_check() {
    let names: Vec<&str> =
        super::directives::modules().flat_map(|module| module.entries).map(|entry| entry.name).collect();
    const WORDS: &[&str] = &[
        "on",
        "off",
        "10",
        "10s",
        "1m",
        "/x",
        "=404",
        "$host",
        "$1",
        "$foo",
        "http://127.0.0.1:9",
        "http://up",
        "@name",
        "~",
        "^/(a)$",
        "=",
        "($host",
        "x)",
        "127.0.0.1",
        "80",
        "zone=a:1m",
        "rate=1r/s",
        "a",
        "''",
        "text/html",
        "default",
        "$http_upgrade",
        "unix:/s",
        "always",
    ];
    let mut state = 99_u64;
    let mut chance = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % most as u64).unwrap()
    };
    let folder = std::env::temp_dir().join(format!("tidegate-import-{}-chance", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("nginx.conf");
    for _ in 0..400 {
        let mut directive = |depth: usize| {
            let mut text = names[chance(names.len())].to_owned();
            for _ in 0..chance(4) {
                text.push(' ');
                text.push_str(WORDS[chance(WORDS.len())]);
            }
            let _ = depth;
            text + ";\n"
        };
        let mut block = |count: usize| (0..count).map(|_| directive(0)).collect::<String>();
        let text = format!(
            "http {{ upstream up {{ server 127.0.0.1:9; }} {} server {{ listen 80; {} location / {{ {} }} location @name {{ proxy_pass http://up; }} }} }}",
            block(2),
            block(3),
            block(3)
        );
        fs::write(&file, &text).unwrap();
        let imported = import(&file, &Options::default());
        if imported.is_whole() {
            assert_eq!(problems("chance", &imported.text), None, "{text}\n{}", imported.text);
        }
    }
    let _gone = fs::remove_dir_all(&folder);
}
