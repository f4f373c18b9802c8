//! A guest's stack on one line: innermost function first, with file and line where the component has
//! DWARF, by name where it has names, and otherwise by number.

use wasmtime::WasmBacktrace;

/// What a language's runtime puts above the function that failed.
const MACHINERY: [&str; 9] = [
    "core::panicking::",
    "std::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "std::sys::backtrace::",
    "rust_panic",
    "__rust",
    "rust_begin_unwind",
];

/// `authorize (src/lib.rs:25) < call (src/instance.rs:33) < …`
pub(super) fn line(backtrace: &WasmBacktrace) -> String {
    one_line(&backtrace.to_string())
}

/// wasmtime's own text has the names demangled, and a line for each frame and each place.
fn one_line(text: &str) -> String {
    let mut frames: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("error while executing") || line.starts_with("note:") {
            continue;
        }
        match (line.strip_prefix("at "), frames.last_mut()) {
            (Some(place), Some(frame)) => *frame = format!("{frame} ({})", without_column(place)),
            _ => frames.push(name(line).to_owned()),
        }
    }
    let own = frames.iter().position(|frame| !is_machinery(frame)).unwrap_or_default();
    frames.drain(..own);
    frames.join(" < ")
}

/// What stands behind a frame's number and address.
fn name(line: &str) -> &str {
    let name = line.rsplit_once(" - ").map_or(line, |(_, name)| name).trim_start_matches("- ");
    // Every component's modules have the same few names.
    let known = ["<unknown>!", "wit-component:"];
    known.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

fn without_column(place: &str) -> &str {
    match place.rsplit_once(':') {
        Some((rest, column)) if column.bytes().all(|b| b.is_ascii_digit()) && has_line(rest) => rest,
        _ => place,
    }
}

fn has_line(place: &str) -> bool {
    place.rsplit_once(':').is_some_and(|(_, line)| !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit()))
}

fn is_machinery(frame: &str) -> bool {
    // A module's name may stand before the function's.
    let function = frame.split_once('!').map_or(frame, |(_, function)| function);
    MACHINERY.iter().any(|prefix| function.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_one_line() {
        let text = "error while executing at wasm backtrace:\n    0:   0x10a - core::panicking::panic_fmt\n                    at /rust/core/src/panicking.rs:75:14\n    1:   0x20b - trap.wasm!guest::authorize\n                    at src/lib.rs:25:13\n                - inlined::caller\n                    at src/lib.rs:9\n    2:   0x30c - <unknown>!<wasm function 17>";
        assert_eq!(
            one_line(text),
            "trap.wasm!guest::authorize (src/lib.rs:25) < inlined::caller (src/lib.rs:9) < <wasm function 17>"
        );
    }

    #[test]
    fn what_has_no_names_has_numbers() {
        assert_eq!(
            one_line("error while executing at wasm backtrace:\n    0: 0x1a2 - <unknown>!<wasm function 3>"),
            "<wasm function 3>"
        );
    }
}
