//! `tidegate import`: the configurations of `examples/` and of `tests/import/` that have an
//! equal answer alike on both programs, request by request.

use std::path::{Path, PathBuf};

use tidegate::import::{self, Options, Setting};
use tidegate_tests::TempDir;

fn setting() -> Setting {
    let program = std::env::var("TIDEGATE_TEST_NGINX").unwrap_or_else(|_| "/usr/sbin/nginx".to_owned());
    Setting { nginx: program.into(), cache_dir: Some(tidegate_tests::subject::cache_dir()) }
}

fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name).canonicalize().unwrap()
}

/// What docs/import.md names: the type of a text that `return` gives goes by `default_type` alone.
fn is_known(difference: &import::Difference) -> bool {
    let has_extension = [".html", ".css"].iter().any(|extension| difference.request.contains(extension));
    difference.what == "content-type" && difference.tidegate == "text/plain" && has_extension
}

/// Compare files, each with the folder where its relative paths begin; what differs is the
/// test's failure.
fn compare(files: &[(PathBuf, PathBuf)]) {
    let (mut wrong, mut over_tls) = (Vec::new(), 0);
    for (file, prefix) in files {
        let options = Options { prefix: Some(prefix.clone()), ..Options::default() };
        match import::compare(file, &options, &setting()) {
            Ok(comparison) => {
                assert!(comparison.requests > 10, "{}", file.display());
                over_tls += comparison.over_tls;
                if !comparison.found.iter().all(is_known) {
                    wrong.push(format!("{}:\n{comparison}", file.display()));
                }
            }
            Err(why) => wrong.push(format!("{}: {why}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(over_tls > 50, "{over_tls} requests over TLS");
}

/// The examples, with the lines that their marks ask for.
#[test]
fn the_examples_answer_alike() {
    let dir = TempDir::new();
    let mut files = Vec::new();
    for name in super::examples::pairs() {
        let text = super::examples::as_tested(&super::examples::read(&name, "nginx.conf"));
        files.push((dir.write(&format!("{name}.conf"), text), folder("examples").join(name)));
    }
    assert!(files.len() > 20);
    compare(&files);
}

/// `rails-files` is not among them: it sends `Upgrade` with requests that ask for none.
#[test]
fn configurations_from_the_field_answer_alike() {
    let names = [
        "certbot",
        "socketio-cluster",
        "grafana",
        "jupyter",
        "gitlab",
        "docker-variables",
        "canary",
        "cors-if",
        "inheritance",
        "homeassistant",
        "defaults",
    ];
    let folder = folder("tests/import");
    let files: Vec<_> = names.iter().map(|name| (folder.join(format!("{name}.conf")), folder.clone())).collect();
    compare(&files);
}

/// What has no equal is not compared.
#[test]
fn what_is_not_whole_is_not_compared() {
    let dir = TempDir::new();
    let file = dir.write("nginx.conf", "events {} http { server { listen 80; location / { proxy_pass http://127.0.0.1:1; add_header X-A $nginx_version; } location /a { return 200 $hostname; } } }");
    let why = import::compare(&file, &Options::default(), &setting()).unwrap_err();
    assert!(why.contains("$nginx_version"), "{why}");
}
