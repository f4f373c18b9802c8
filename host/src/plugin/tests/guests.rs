//! Test components, assembled from core WebAssembly text: a guest of any behaviour in a few
//! lines, without a toolchain.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::hook::Hook;

/// The types of `wit/v0.1`, in an order in which each uses only earlier ones.
const TYPES: [(&str, &str); 26] = [
    ("field", r#"(record (field "name" string) (field "value" (list u8)))"#),
    ("local-reply", r#"(record (field "status" u16) (field "fields" (list $field)) (field "body" (list u8)))"#),
    ("edit-operation", r#"(enum "set" "append" "set-default" "remove")"#),
    ("field-edit", r#"(record (field "operation" $edit-operation) (field "name" string) (field "value" (list u8)))"#),
    ("variable", r#"(record (field "name" string) (field "value" string))"#),
    ("decision", r#"(variant (case "next") (case "allow") (case "deny" $local-reply))"#),
    (
        "target",
        r#"(record (field "route" string) (field "upstream" (option string))
             (field "path-with-query" (option string)) (field "variables" (list $variable)))"#,
    ),
    ("tag", r#"(record (field "name" string) (field "value" string))"#),
    (
        "peer",
        r#"(record (field "id" u32) (field "name" string) (field "address" string) (field "weight" u32)
             (field "backup" bool) (field "tags" (list $tag)))"#,
    ),
    ("grant", r#"(record (field "variables" (list $variable)) (field "edits" (list $field-edit)))"#),
    ("verdict", r#"(variant (case "next") (case "grant" $grant) (case "deny" $local-reply))"#),
    (
        "summary",
        r#"(record (field "status" u16) (field "upstream" (option string)) (field "tunnel" bool) (field "cause" string)
             (field "duration-us" u64) (field "bytes-in" u64) (field "bytes-out" u64))"#,
    ),
    ("way", r#"(enum "to-upstream" "to-client")"#),
    ("interest", r#"(flags "text-to-upstream" "binary-to-upstream" "text-to-client" "binary-to-client")"#),
    ("subscription", r#"(record (field "interest" $interest) (field "first" (option u32)))"#),
    ("message", r#"(record (field "way" $way) (field "text" bool) (field "length" (option u64)))"#),
    ("outgoing", r#"(record (field "way" $way) (field "text" bool) (field "data" (list u8)))"#),
    ("injection", r#"(record (field "messages" (list $outgoing)) (field "pass" bool))"#),
    ("closing", r#"(record (field "code" u16) (field "reason" string))"#),
    (
        "judgement",
        r#"(variant (case "pass") (case "drop") (case "replace" (list u8)) (case "inject" $injection)
             (case "close" $closing))"#,
    ),
    ("wish", r#"(variant (case "none") (case "whole" u64) (case "chunks"))"#),
    (
        "changes",
        r#"(record (field "edits" (list $field-edit)) (field "body" (option (list u8)))
             (field "trailers" (option (list $field))))"#,
    ),
    (
        "chunk-verdict",
        r#"(variant (case "pass") (case "drop") (case "replace" (list u8)) (case "reply" $local-reply)
             (case "abort" string))"#,
    ),
    (
        "end-verdict",
        r#"(variant (case "pass") (case "append" (list u8)) (case "finish" (tuple (list u8) (list $field)))
             (case "reply" $local-reply) (case "abort" string))"#,
    ),
    ("counts", r#"(record (field "to-upstream" u64) (field "to-client" u64))"#),
    (
        "tunnel-summary",
        r#"(record (field "cause" string) (field "close-code" (option u16)) (field "duration-us" u64)
             (field "bytes" $counts) (field "messages" (option $counts)))"#,
    ),
];

/// Text that declares imports: interfaces of ours with the functions that tests use.
pub(super) const REQUEST: &str = r#"(import "tidegate:plugin/request@0.1.0" (instance $request
    (export "method" (func (result string)))
    (export "get" (func (param "name" string) (result (option (list u8)))))
    (export "variable" (func (param "name" string) (result (option string))))))"#;
pub(super) const RESPONSE: &str = r#"(import "tidegate:plugin/response@0.1.0" (instance $response
    (export "status" (func (result u16)))))"#;
pub(super) const PEERS: &str = r#"(import "tidegate:plugin/peers@0.1.0" (instance $peers
    (export "active" (func (param "id" u32) (result (option u32))))
    (export "total" (func (result u32)))
    (export "tried" (func (result (list u32))))))"#;
pub(super) const METRICS: &str = r#"(import "tidegate:plugin/metrics@0.1.0" (instance $metrics
    (type $e (enum "bad-name" "too-many" "type-mismatch"))
    (export "metric-error" (type $error (eq $e)))
    (export "counter" (func (param "name" string) (param "help" string)
      (param "labels" (list (tuple string string))) (result (result u32 (error $error)))))
    (export "add" (func (param "id" u32) (param "n" u64)))))"#;
pub(super) const WAIT: &str = r#"(import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $mono
    (alias outer 1 $pollable (type $pl))
    (export "pollable" (type $pp (eq $pl)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pp))))))"#;

pub(super) const STDOUT: &str = r#"(import "wasi:io/error@0.2.0" (instance $ioerror (export "error" (type (sub resource)))))
  (alias export $ioerror "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $e0)) (export "error" (type $e (eq $e0)))
    (export "output-stream" (type $os (sub resource)))
    (type $se0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $se (eq $se0)))
    (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $os))
      (param "contents" (list u8)) (result (result (error $se)))))))
  (alias export $streams "output-stream" (type $os))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $os (type $o0)) (export "output-stream" (type $o (eq $o0)))
    (export "get-stdout" (func (result (own $o))))))"#;
pub(super) const LOG: &str = r#"(import "tidegate:plugin/log@0.1.0" (instance $log
    (type $l (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $l)))
    (export "write" (func (param "level" $level) (param "message" string)))))"#;

/// A component in the making.
pub(super) struct Guest<'a> {
    /// The hooks that it exports.
    pub(super) hooks: &'a [Hook],
    /// Whether it exports `lifecycle`.
    pub(super) configure: bool,
    /// Import declarations: one of the constants above, say.
    pub(super) imports: &'a str,
    /// Which functions of which imported instances the core module gets.
    pub(super) uses: &'a [(&'a str, &'a str)],
    /// Pages of memory that it starts with.
    pub(super) pages: u32,
    /// The version of the contract in its exports' names.
    pub(super) version: &'a str,
    /// The body of the core module: its imports first, then a function for each hook with
    /// the hook's function name. Memory below 1024 is its own.
    pub(super) main: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { hooks: &[Hook::Origin], configure: false, imports: "", uses: &[], pages: 1, version: "0.1.0", main: "" }
    }
}

impl Guest<'_> {
    /// The component's bytes, for the length of the test process.
    pub(super) fn bytes(&self) -> &'static [u8] {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).leak()
    }

    fn text(&self) -> String {
        let Self { imports, pages, main, .. } = self;
        // Types of exports must have names, which this import gives them.
        let mut types = String::from(r#"(import "tidegate:plugin/types@0.1.0" (instance $types"#);
        for (name, definition) in TYPES {
            let _ = writeln!(types, r#"(type ${name}0 {definition}) (export "{name}" (type ${name} (eq ${name}0)))"#);
        }
        types.push_str("))\n");
        for (name, _) in TYPES {
            let _ = writeln!(types, r#"(alias export $types "{name}" (type ${name}))"#);
        }
        let mut text = format!(
            r#"(component {imports} {types}
  (core module $libc
    (memory (export "memory") {pages})
    (global $heap (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32) (local $p i32)
      (local.set $p (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
      (global.set $heap (i32.add (local.get $p) (local.get $size)))
      (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
        (then (if (i32.eq (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))) (i32.const -1))
          (then unreachable))))
      (local.get $p))
    (func (export "reset") (param i32) (global.set $heap (i32.const 1024)))
    (func (export "reset-none") (global.set $heap (i32.const 1024))))
  (core instance $libc (instantiate $libc))
"#
        );
        let mut modules: BTreeMap<&str, String> = BTreeMap::new();
        for (n, (instance, function)) in self.uses.iter().enumerate() {
            let _ = writeln!(
                text,
                r#"(core func $f{n} (canon lower (func ${instance} "{function}")
                     (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#
            );
            let _ = write!(modules.entry(instance).or_default(), r#"(export "{function}" (func $f{n}))"#);
        }
        let _ = writeln!(text, r#"(core module $main (import "libc" "memory" (memory 1)) {main})"#);
        let _ = write!(text, r#"(core instance $main (instantiate $main (with "libc" (instance $libc))"#);
        for (module, exports) in modules {
            let _ = write!(text, r#"(with "{module}" (instance {exports}))"#);
        }
        text.push_str("))\n");
        if self.configure {
            let signature = r#"(param "document" string) (result (result (error string)))"#;
            self.export(&mut text, "lifecycle", &[("configure", signature)]);
        }
        for hook in self.hooks {
            self.export(&mut text, hook.name(), functions(*hook));
        }
        text.push(')');
        text
    }

    /// Lift functions and export them in an interface. An exported function may only use
    /// types with names, so it goes through a component that gives them names.
    fn export(&self, text: &mut String, interface: &str, functions: &[(&str, &str)]) {
        for (function, signature) in functions {
            let reset = if signature.contains("(result ") { "reset" } else { "reset-none" };
            let _ = writeln!(
                text,
                r#"(func ${interface}-{function} {signature} (canon lift (core func $main "{function}")
                     (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))
                     (post-return (core func $libc "{reset}"))))"#
            );
        }
        let _ = writeln!(text, "(component ${interface}-c");
        for (name, definition) in TYPES {
            let _ = writeln!(text, r#"(type ${name}0 {definition}) (import "{name}" (type ${name} (eq ${name}0)))"#);
        }
        for (function, signature) in functions {
            let _ = writeln!(text, r#"(import "f-{function}" (func $f-{function} {signature}))"#);
        }
        for (name, _) in TYPES {
            let _ = writeln!(text, r#"(export ${name}2 "{name}" (type ${name}))"#);
        }
        for (function, signature) in functions {
            let mut named = (*signature).to_owned();
            for (name, _) in TYPES {
                named = named.replace(&format!("${name})"), &format!("${name}2)"));
            }
            let _ = writeln!(text, r#"(export "{function}" (func $f-{function}) (func {named}))"#);
        }
        let _ = write!(text, ") (instance ${interface}-i (instantiate ${interface}-c");
        for (function, _) in functions {
            let _ = write!(text, r#"(with "f-{function}" (func ${interface}-{function}))"#);
        }
        for (name, _) in TYPES {
            let _ = write!(text, r#"(with "{name}" (type ${name}))"#);
        }
        let version = self.version;
        let _ = writeln!(text, r#")) (export "tidegate:plugin/{interface}@{version}" (instance ${interface}-i))"#);
    }
}

/// A hook's functions, and their types.
fn functions(hook: Hook) -> &'static [(&'static str, &'static str)] {
    match hook {
        Hook::Router => &[("route", "(result (result (option $target) (error $local-reply)))")],
        Hook::Origin => &[("check", "(result $decision)")],
        Hook::Authorizer => &[("authorize", "(result $verdict)")],
        Hook::RequestHeaders => &[("on-request", "(result (result (list $field-edit) (error $local-reply)))")],
        Hook::Balancer => &[
            ("update", r#"(param "group" u32) (param "name" string) (param "peers" (list $peer))"#),
            ("pick", r#"(param "group" u32) (result (option u32))"#),
        ],
        // Not of this contract.
        Hook::Handler => &[],
        Hook::ResponseHeaders => &[("on-response", "(result (result (list $field-edit) (error $local-reply)))")],
        Hook::Messages => &[
            ("open", r#"(param "tunnel" u64) (result (option $subscription))"#),
            (
                "on-message",
                r#"(param "tunnel" u64) (param "message" $message) (param "data" (list u8)) (result $judgement)"#,
            ),
            ("close", r#"(param "tunnel" u64)"#),
        ],
        Hook::RequestBody | Hook::ResponseBody => &[
            ("open", r#"(param "exchange" u64) (result $wish)"#),
            (
                "on-body",
                r#"(param "exchange" u64) (param "body" (list u8)) (param "trailers" (list $field))
                     (result (result $changes (error $local-reply)))"#,
            ),
            ("on-chunk", r#"(param "exchange" u64) (param "data" (list u8)) (result $chunk-verdict)"#),
            ("on-end", r#"(param "exchange" u64) (param "trailers" (list $field)) (result $end-verdict)"#),
            ("close", r#"(param "exchange" u64)"#),
        ],
        Hook::Tunnel => &[
            ("on-open", r#"(param "tunnel" u64)"#),
            ("on-close", r#"(param "tunnel" u64) (param "summary" $tunnel-summary)"#),
        ],
        Hook::AccessLog => &[("on-end", r#"(param "summary" $summary)"#)],
    }
}

/// A core function that answers `origin` with `allow`.
pub(super) const ALLOW: &str = r#"(data (i32.const 512) "\01") (func (export "check") (result i32) (i32.const 512))"#;

/// An origin check that allows everything.
pub(super) fn allow() -> &'static [u8] {
    Guest { main: ALLOW, ..Guest::default() }.bytes()
}

/// An origin check with this body, which leaves the address of its answer.
pub(super) fn origin(body: &str) -> &'static [u8] {
    let main = format!(r#"(data (i32.const 512) "\01") (func (export "check") (result i32) {body})"#);
    Guest { main: &main, ..Guest::default() }.bytes()
}
