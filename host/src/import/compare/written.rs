//! Directives as a text of nginx's grammar.

use std::fmt::Write as _;

use crate::import::syntax::Directive;

/// The text.
pub(super) fn text(directives: &[Directive]) -> String {
    let mut out = String::new();
    for directive in directives {
        write(directive, &mut out);
    }
    out
}

fn write(directive: &Directive, out: &mut String) {
    // The parentheses of a condition are no part of its words.
    if directive.name() == "if" {
        let words: Vec<&str> = directive.texts().collect();
        let joined = words.join("\u{0}");
        let inner = joined.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(&joined);
        // A parenthesis that stood alone.
        let inner = inner.strip_prefix('\u{0}').unwrap_or(inner);
        let inner = inner.strip_suffix('\u{0}').unwrap_or(inner);
        let words: Vec<String> = inner.split('\u{0}').map(quoted).collect();
        let _ = write!(out, "if ({})", words.join(" "));
    } else {
        let _ = write!(out, "{}", quoted(directive.name()));
        for word in directive.texts() {
            let _ = write!(out, " {}", quoted(word));
        }
    }
    match &directive.block {
        Some(block) => {
            let _ = writeln!(out, " {{\n{}}}", text(block));
        }
        None => out.push_str(";\n"),
    }
}

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:=$@*~,+%".contains(&b));
    if plain { word.to_owned() } else { format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")) }
}
