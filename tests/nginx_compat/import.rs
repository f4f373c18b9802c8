//! `tidegate import`: the configurations of `examples/` and of `tests/import/` that have an
//! equal answer alike on both programs, request by request.

use std::path::{Path, PathBuf};

use tidegate::import::{self, Options, Setting};

fn setting() -> Setting {
    let program = std::env::var("TIDEGATE_TEST_NGINX").unwrap_or_else(|_| "/usr/sbin/nginx".to_owned());
    Setting { nginx: program.into(), cache_dir: Some(tidegate_tests::subject::cache_dir()) }
}

fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name).canonicalize().unwrap()
}

/// Compare files; what differs besides what is known is the test's failure.
fn compare(files: &[PathBuf]) {
    let mut wrong = Vec::new();
    for file in files {
        match import::compare(file, &Options::default(), &setting()) {
            Ok(comparison) => {
                assert!(comparison.requests > 20, "{}", file.display());
                if comparison.differences() > 0 {
                    wrong.push(format!("{}:\n{comparison}", file.display()));
                }
            }
            Err(why) => wrong.push(format!("{}: {why}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_examples_answer_alike() {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder("examples")).unwrap().map(|entry| entry.unwrap().path().join("nginx.conf")).collect();
    files.retain(|file| file.is_file() && !file.to_string_lossy().contains("guide-http3"));
    files.sort();
    assert!(files.len() > 20);
    compare(&files);
}

#[test]
fn configurations_from_the_field_answer_alike() {
    let names = [
        "certbot",
        "socketio-cluster",
        "grafana",
        "jupyter",
        "gitlab",
        "rails-files",
        "docker-variables",
        "canary",
        "cors-if",
        "inheritance",
        "homeassistant",
        "defaults",
        "lb-compare",
    ];
    let folder = folder("tests/import");
    let files: Vec<PathBuf> =
        names.iter().map(|name| folder.join(format!("{name}.conf"))).filter(|file| file.is_file()).collect();
    assert!(files.len() > 10);
    compare(&files);
}
