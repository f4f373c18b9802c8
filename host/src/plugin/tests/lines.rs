//! What ends up in the log.

use std::io;

use parking_lot::Mutex;

use super::guests::{Guest, LOG, STDOUT, origin};
use super::*;

/// Log lines of this thread while `f` runs.
fn lines_of(f: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber =
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, f);
    let bytes = std::mem::take(&mut *sink.0.lock());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_guests_lines_carry_its_name() {
    let main = r#"(import "log" "write" (func $write (param i32 i32 i32)))
        (data (i32.const 16) "two\0alines") (data (i32.const 512) "\01")
        (func (export "check") (result i32)
          (call $write (i32.const 3) (i32.const 16) (i32.const 9))
          (call $write (i32.const 1) (i32.const 16) (i32.const 9))
          (i32.const 512))"#;
    let runtime = runtime();
    let plugin = load(&runtime, Guest { imports: LOG, uses: &[("log", "write")], main, ..Guest::default() }.bytes());
    let lines = lines_of(|| drop(check(&plugin).unwrap()));
    assert_eq!(lines, " WARN tidegate::guest: two lines plugin=\"test\"\n", "debug is off, and a line stays one");
}

#[test]
fn what_a_guest_prints_becomes_lines() {
    let main = r#"(import "stdout" "get-stdout" (func $get (result i32)))
        (import "streams" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
        (data (i32.const 16) "hello\0athere\0a") (data (i32.const 512) "\01")
        (func (export "check") (result i32) (local $out i32)
          (local.set $out (call $get))
          (call $write (local.get $out) (i32.const 16) (i32.const 8) (i32.const 100))
          (call $write (local.get $out) (i32.const 24) (i32.const 4) (i32.const 100))
          (i32.const 512))"#;
    let guest = Guest {
        imports: STDOUT,
        uses: &[("stdout", "get-stdout"), ("streams", "[method]output-stream.blocking-write-and-flush")],
        main,
        ..Guest::default()
    };
    let runtime = runtime();
    let plugin = load(&runtime, guest.bytes());
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let lines = lines_of(|| tokio.block_on(async { drop(plugin.check_origin(&view()).answer().await.unwrap()) }));
    assert_eq!(lines, " INFO tidegate::guest: hello plugin=\"test\"\n INFO tidegate::guest: there plugin=\"test\"\n");
}

#[test]
fn a_failure_is_one_line_that_says_where() {
    let runtime = runtime();
    let plugin = load(&runtime, origin("unreachable"));
    let lines = lines_of(|| drop(check(&plugin).unwrap_err()));
    assert!(lines.starts_with("ERROR tidegate::plugin::loaded: a plugin's call failed plugin=\"test\" hook=\"origin\" request=\"id-1\" kind=\"plugin.trap\""), "{lines}");
    assert!(lines.contains("unreachable") && lines.contains("<wasm function"), "{lines}");
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

/// What a guest says before it fails is told with the failure, and what it says before it goes on is
/// a line as others.
#[test]
fn last_words_are_part_of_the_failures_line() {
    let main = |then: &str| {
        format!(
            r#"(import "log" "write" (func $write (param i32 i32 i32)))
        (data (i32.const 16) "panicked at\0asrc/lib.rs:7") (data (i32.const 512) "\01")
        (func $guest::rule (param i32) (result i32) {then})
        (func (export "check") (result i32)
          (call $write (i32.const 2) (i32.const 16) (i32.const 8))
          (call $write (i32.const 4) (i32.const 16) (i32.const 24))
          (call $guest::rule (i32.const 512)))"#
        )
    };
    let guest = |main: &str| Guest { imports: LOG, uses: &[("log", "write")], main, ..Guest::default() }.bytes();
    let runtime = runtime();
    let good = load(&runtime, guest(&main("local.get 0")));
    let lines = lines_of(|| drop(check(&good).unwrap()));
    assert_eq!(
        lines,
        " INFO tidegate::guest: panicked plugin=\"test\"\nERROR tidegate::guest: panicked at src/lib.rs:7 plugin=\"test\"\n"
    );
    let bad = load(&runtime, guest(&main("unreachable")));
    let lines = lines_of(|| drop(check(&bad).unwrap_err()));
    let (first, failure) = lines.split_once('\n').unwrap();
    assert_eq!(first, " INFO tidegate::guest: panicked plugin=\"test\"");
    assert_eq!(failure.lines().count(), 1, "{lines}");
    assert!(failure.contains(r#"said="panicked at\nsrc/lib.rs:7""#), "{failure}");
    // By name, with the module's before it, since it has names; innermost first.
    assert!(failure.contains(r#"backtrace="main!guest::rule < "#), "{failure}");
}
