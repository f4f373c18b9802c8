//! What is refused when a plugin is loaded, and with which words; the cache.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::fiber::rt;
use super::guests::{ALLOW, Guest, METRICS, REQUEST, WAIT, allow};
use super::*;
use crate::hook::{Hook, HookSet};

#[test]
fn what_is_no_component_is_refused() {
    assert!(matches!(refused(&spec(b"")), PluginError::NotWasm));
    assert!(matches!(refused(&spec(b"#!/bin/sh")), PluginError::NotWasm));
    assert!(matches!(refused(&spec(b"\0asm\x01\0\0\0")), PluginError::NotAComponent));
    assert!(matches!(refused(&spec(b"\0asm\x0d\0\x01\0\xff")), PluginError::Compile { .. }));
    assert!(matches!(refused(&spec(b"\0asm\x0e\0\x01\0")), PluginError::Compile { .. }));
    let missing = Spec { source: Source::File("/does/not/exist.wasm".into()), ..spec(b"") };
    assert_eq!(
        refused(&missing).to_string(),
        "cannot read `/does/not/exist.wasm`: No such file or directory (os error 2)"
    );
}

#[test]
fn a_component_without_our_hooks_is_refused() {
    let none = wat::parse_str("(component)").unwrap().leak();
    assert!(matches!(refused(&spec(none)), PluginError::NoHooks));
    let newer = Guest { version: "0.2.0", main: ALLOW, ..Guest::default() }.bytes();
    let error = refused(&spec(newer));
    assert!(
        matches!(&error, PluginError::WrongVersion { found } if found == "tidegate:plugin/origin@0.2.0"),
        "{error}"
    );
    let main = r#"(func (export "configure") (param i32 i32) (result i32) (i32.const 600))"#;
    let only = Guest { hooks: &[], configure: true, main, ..Guest::default() }.bytes();
    assert!(matches!(refused(&spec(only)), PluginError::NoHooks));
}

/// An interface with one function, exported beside the hook `origin`.
fn beside(name: &str) -> &'static [u8] {
    let more = format!(
        r#"(core module $more (func (export "f"))) (core instance $more (instantiate $more))
        (func $more (canon lift (core func $more "f"))) (instance $more (export "f" (func $more)))
        (export "{name}" (instance $more))"#
    );
    Guest { imports: &more, main: ALLOW, ..Guest::default() }.bytes()
}

#[test]
fn a_hook_that_would_go_uncalled_is_refused_or_shown() {
    let error = refused(&spec(beside("tidegate:plugin/authorizer@0.2.0")));
    assert!(matches!(error, PluginError::WrongVersion { .. }), "{error}");
    let found = runtime().inspect(beside("tidegate:plugin/bodies@0.1.2")).unwrap();
    assert_eq!(found.unknown_hooks, ["tidegate:plugin/bodies@0.1.2"]);
    assert!(runtime().inspect(beside("acme:other/thing@0.2.0")).unwrap().unknown_hooks.is_empty());
}

#[test]
fn a_later_version_of_the_same_contract_is_taken() {
    let bytes = Guest { version: "0.1.7", main: ALLOW, ..Guest::default() }.bytes();
    let runtime = runtime();
    assert_eq!(check(&load(&runtime, bytes)).unwrap(), Decision::Allow);
    assert_eq!(runtime.inspect(bytes).unwrap().contract, "0.1.7");
}

#[test]
fn a_hook_of_another_shape_is_refused() {
    let lacks = wat::parse_str(r#"(component (instance $i) (export "tidegate:plugin/origin@0.1.0" (instance $i)))"#);
    match refused(&spec(lacks.unwrap().leak())) {
        PluginError::WrongShape { interface, detail } => {
            assert_eq!((&*interface, &*detail), ("tidegate:plugin/origin@0.1.0", "it has no function `check`"));
        }
        other => panic!("{other}"),
    }
    let differs = r#"(component
      (core module $m (func (export "f") (result i32) (i32.const 0)))
      (core instance $i (instantiate $m))
      (func $f (result u32) (canon lift (core func $i "f")))
      (instance $e (export "check" (func $f)))
      (export "tidegate:plugin/origin@0.1.0" (instance $e)))"#;
    match refused(&spec(wat::parse_str(differs).unwrap().leak())) {
        PluginError::WrongShape { interface, .. } => assert_eq!(interface, "tidegate:plugin/origin@0.1.0"),
        other => panic!("{other}"),
    }
}

#[test]
fn an_import_that_nobody_offers_is_named() {
    for (import, named) in [
        (r#"(import "acme:kv/store@1.0.0" (instance))"#, "acme:kv/store@1.0.0"),
        (r#"(import "tidegate:plugin/tea@0.1.0" (instance))"#, "tidegate:plugin/tea@0.1.0"),
        (r#"(import "tidegate:plugin/log@0.2.0" (instance))"#, "tidegate:plugin/log@0.2.0"),
        (r#"(import "log" (func))"#, "log"),
        (r#"(import "wasi:keyvalue/store@0.2.0" (instance (export "open" (func))))"#, "wasi:keyvalue/store@0.2.0"),
    ] {
        let guest = Guest { imports: import, main: ALLOW, ..Guest::default() };
        match refused(&spec(guest.bytes())) {
            PluginError::MissingImport { import, .. } => assert_eq!(import, named),
            other => panic!("{named}: {other}"),
        }
    }
    let newer = r#"(import "tidegate:plugin/clock@0.1.3" (instance (export "timezone" (func (result u64)))))"#;
    let error = refused(&spec(Guest { imports: newer, main: ALLOW, ..Guest::default() }.bytes()));
    assert!(error.to_string().contains("timezone"), "{error}");
}

/// Toolchains of JavaScript and Python import wasi:http whether it is used or not. What of it the
/// host does not offer traps when it is called.
#[test]
fn wasi_http_may_be_imported() {
    let http = r#"(import "wasi:http/incoming-handler@0.2.0" (instance (export "handle" (func (result u32)))))"#;
    let runtime = runtime();
    runtime.load(&spec(Guest { imports: http, main: ALLOW, ..Guest::default() }.bytes())).unwrap();
}

/// What the first engine does not read is for the other one, which is not there before. It has no
/// functions that block without a callback.
#[test]
fn the_async_abi_has_an_engine_of_its_own() {
    let text = r#"(component
      (core module $m (func (export "f") unreachable))
      (core instance $i (instantiate $m))
      (func $f async (canon lift (core func $i "f") async))
      (instance $e (export "on-end" (func $f)))
      (export "tidegate:plugin/access-log@0.1.0" (instance $e)))"#;
    let runtime = runtime();
    let _plain = runtime.load(&spec(allow())).unwrap();
    assert!(!runtime.has_tasks(), "nothing needs it");
    let error = runtime.load(&spec(wat::parse_str(text).unwrap().leak())).err().unwrap();
    assert!(matches!(error, PluginError::AsyncAbi { .. }), "{error}");
    assert!(runtime.has_tasks());
}

/// What an interface of WASI 0.3 needs is decided by its version, where it has no async function.
#[test]
fn wasi_3_has_the_engine_of_the_async_abi() {
    let runtime = runtime();
    for (version, needs) in [("0.2.0", false), ("0.3.0", true)] {
        let import = format!(
            r#"(import "wasi:random/insecure-seed@{version}" (instance $seed (export "{}" (func (result (tuple u64 u64))))))"#,
            if needs { "get-insecure-seed" } else { "insecure-seed" }
        );
        let plugin = runtime.load(&spec(Guest { imports: &import, main: ALLOW, ..Guest::default() }.bytes())).unwrap();
        assert_eq!(runtime.has_tasks(), needs, "{version}");
        let answer = rt().block_on(plugin.check_origin(&view()).answer());
        assert!(matches!(answer, Ok(Decision::Allow)), "{version}");
    }
}

#[test]
fn middleware_of_wasi_3_is_refused() {
    let text = r#"(component
      (import "wasi:http/handler@0.3.0" (instance (export "handle" (func async (result u32)))))
      (core module $m (func (export "f") (result i32) unreachable))
      (core instance $i (instantiate $m))
      (func $f (result u32) (canon lift (core func $i "f")))
      (instance $e (export "handle" (func $f)))
      (export "wasi:http/handler@0.3.0" (instance $e)))"#;
    match refused(&spec(wat::parse_str(text).unwrap().leak())) {
        PluginError::Middleware { import } => assert_eq!(import, "wasi:http/handler@0.3.0"),
        other => panic!("{other}"),
    }
}

/// `configure` fails with this text, which stands at 700.
fn configure_says(text: &str) -> &'static [u8] {
    let length = text.len();
    let main = format!(
        r#"{ALLOW} (data (i32.const 700) "{text}")
        (func (export "configure") (param i32 i32) (result i32)
          (i32.store8 (i32.const 600) (i32.const 1)) (i32.store (i32.const 604) (i32.const 700))
          (i32.store (i32.const 608) (i32.const {length})) (i32.const 600))"#
    );
    Guest { configure: true, main: &main, ..Guest::default() }.bytes()
}

#[test]
fn configure_can_refuse_and_point_at_a_key() {
    let pointed = refused(&spec(configure_says("/users/0: no colon: line 3")));
    assert_eq!(pointed.to_string(), "/users/0: no colon: line 3");
    match pointed {
        PluginError::Configure { message, pointer } => {
            assert_eq!((&*message, pointer.as_deref()), ("no colon: line 3", Some("/users/0")));
        }
        other => panic!("{other}"),
    }
    let whole = refused(&spec(configure_says(": missing field `realm`")));
    assert_eq!(whole.to_string(), "missing field `realm`");
    assert!(matches!(whole, PluginError::Configure { pointer: Some(p), .. } if p.is_empty()));
    match refused(&spec(configure_says("not today: sorry"))) {
        PluginError::Configure { message, pointer } => assert_eq!((&*message, pointer), ("not today: sorry", None)),
        other => panic!("{other}"),
    }
}

#[test]
fn configure_gets_the_document() {
    let main = format!(
        r#"{ALLOW} (func (export "configure") (param $at i32) (param $len i32) (result i32)
          (if (i32.ne (local.get $len) (i32.const 7)) (then unreachable))
          (if (i32.ne (i32.load (local.get $at)) (i32.const 0x2261227b)) (then unreachable))
          (i32.const 600))"#
    );
    let runtime = runtime();
    let bytes = Guest { configure: true, main: &main, ..Guest::default() }.bytes();
    runtime.load(&Spec { config: r#"{"a":1}"#.into(), ..spec(bytes) }).unwrap();
    assert!(matches!(runtime.load(&spec(bytes)).err(), Some(PluginError::Start { .. })));
    let broken = runtime.load(&Spec { config: "{".into(), ..spec(bytes) }).err();
    assert!(matches!(broken, Some(PluginError::Document(_))));
}

#[test]
fn an_endless_start_is_stopped() {
    let main = format!("{ALLOW} (func $start (loop $l (br $l))) (start $start)");
    let error = refused(&spec(Guest { main: &main, ..Guest::default() }.bytes()));
    assert!(matches!(error, PluginError::Slow { limit } if limit == Duration::from_secs(1)), "{error}");
}

#[test]
fn memory_must_suffice_and_not_be_too_much() {
    let big = Guest { pages: 65, main: ALLOW, ..Guest::default() }.bytes();
    let error = refused(&spec(big));
    assert!(matches!(error, PluginError::Memory { needed: 4_259_840, limit: 4_194_304 }), "{error}");
    let error = refused(&Spec { memory: 1 << 30, ..spec(allow()) });
    assert!(matches!(error, PluginError::MemoryTooLarge { .. }), "{error}");
}

#[test]
fn hooks_can_be_chosen_from_those_that_are_there() {
    let main = format!(r#"{ALLOW} (func (export "authorize") (result i32) (i32.const 600))"#);
    let bytes = Guest { hooks: &[Hook::Origin, Hook::Authorizer], main: &main, ..Guest::default() }.bytes();
    let only = |hook| Some(HookSet::default().with(hook));
    let runtime = runtime();
    let plugin = runtime.load(&Spec { hooks: only(Hook::Authorizer), ..spec(bytes) }).unwrap();
    assert_eq!(plugin.hooks().iter().collect::<Vec<_>>(), [Hook::Authorizer]);
    let error = runtime.load(&Spec { hooks: only(Hook::Router), ..spec(bytes) }).err();
    assert!(matches!(error, Some(PluginError::HookNotExported { hook: Hook::Router })));
}

#[test]
fn inspect_tells_what_a_component_is() {
    let main = format!(r#"{ALLOW} (func (export "configure") (param i32 i32) (result i32) (i32.const 600))"#);
    let imports = format!("{REQUEST} {METRICS} {WAIT}");
    let bytes = Guest { configure: true, imports: &imports, main: &main, ..Guest::default() }.bytes();
    let found = runtime().inspect(bytes).unwrap();
    assert_eq!(
        found,
        Inspection {
            hooks: HookSet::default().with(Hook::Origin),
            configurable: true,
            has_schema: false,
            memory: Some(1 << 16),
            unknown_hooks: vec![],
            services: vec!["tidegate:plugin/request@0.1.0".into(), "tidegate:plugin/metrics@0.1.0".into()],
            wasi: vec!["wasi:io/poll@0.2.0".into(), "wasi:clocks/monotonic-clock@0.2.0".into()],
            others: vec![],
            contract: "0.1.0".into(),
            size: bytes.len(),
            lane: Lane::Fiber,
        }
    );
    assert_eq!(runtime().inspect(allow()).unwrap().lane, Lane::Sync);
}

/// A directory that is removed at the end of the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cached(directory: &Directory) -> Arc<Runtime> {
    Runtime::new(&RuntimeSettings { cache_dir: Some(directory.0.clone()), instances: 8, ..RuntimeSettings::default() })
        .unwrap()
}

#[test]
fn compiled_components_are_kept_and_used_again() {
    let directory = Directory::new("cache");
    let bytes = allow();
    check(&load(&cached(&directory), bytes)).unwrap();
    let [file] = &directory.files()[..] else { panic!("{:?}", directory.files()) };
    let written = fs::metadata(file).unwrap();
    assert_eq!(fs::metadata(&directory.0).unwrap().permissions().mode() & 0o777, 0o700);
    check(&load(&cached(&directory), bytes)).unwrap();
    let used = fs::metadata(file).unwrap();
    assert_eq!(used.ino(), written.ino(), "not compiled again");
    assert!(used.modified().unwrap() > written.modified().unwrap(), "noted as used");
    assert_eq!(directory.files().len(), 1);
}

#[test]
fn a_cache_that_is_broken_or_not_ours_is_not_used() {
    let directory = Directory::new("broken");
    let bytes = allow();
    drop(load(&cached(&directory), bytes));
    let file = directory.files().remove(0);
    let whole = fs::read(&file).unwrap();

    fs::write(&file, b"garbage").unwrap();
    check(&load(&cached(&directory), bytes)).unwrap();
    assert_eq!(fs::read(&file).unwrap().len(), whole.len(), "compiled again");

    // Others may write to the file: it is replaced by one that only we can write to.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    check(&load(&cached(&directory), bytes)).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // Others may write to the directory: nothing in it is touched.
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o777)).unwrap();
    fs::remove_file(&file).unwrap();
    check(&load(&cached(&directory), bytes)).unwrap();
    assert!(directory.files().is_empty());
}
