//! Rust text as the rules see it: lines of test modules and comments set apart. It relies
//! on rustfmt, which CI checks before.

/// Whether a whole file is test code.
pub(super) fn is_test_file(file: &str) -> bool {
    let in_suite = file.starts_with("tests/") && !file.starts_with("tests/src/");
    in_suite
        || file.ends_with("/tests.rs")
        || file.contains("/src/") && file.contains("/tests/")
        || file.contains("/fuzz/")
}

/// The lines that are not in a `#[cfg(test)]` module.
pub(super) fn without_tests(text: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let opens = |next: &&str| next.trim_start().starts_with("mod ") && next.ends_with('{');
        if line.trim() != "#[cfg(test)]" || !lines.peek().is_some_and(opens) {
            kept.push(line);
            continue;
        }
        // rustfmt puts the closing brace of a block in the column where the block began.
        let end = format!("{}}}", " ".repeat(indent));
        for skipped in lines.by_ref() {
            if skipped == end {
                break;
            }
        }
    }
    kept
}

/// A line without its comment. A `//` within a string that follows a blank is taken for one:
/// no rule looks for anything behind such a string.
pub(super) fn code(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split_once(" //").map_or(line, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_are_left_out_and_nothing_else() {
        let text = "a\n#[cfg(test)]\nmod tests {\n    fn x() {\n    }\n}\nb\n#[cfg(test)]\nmod tests;\nc\n";
        assert_eq!(without_tests(text), ["a", "b", "#[cfg(test)]", "mod tests;", "c"]);
        let nested = "mod a {\n    #[cfg(test)]\n    mod tests {\n        x\n    }\n    b\n}\n";
        assert_eq!(without_tests(nested), ["mod a {", "    b", "}"]);
    }

    #[test]
    fn test_files_are_known_by_their_place() {
        for file in ["tests/e2e/upgrade.rs", "host/src/config/tests.rs", "plugins/router/src/policy/tests.rs"] {
            assert!(is_test_file(file), "{file}");
        }
        for file in ["tests/src/backend.rs", "host/src/proxy/mod.rs", "xtask/src/test/mod.rs"] {
            assert!(!is_test_file(file), "{file}");
        }
    }

    #[test]
    fn comments_are_no_code() {
        assert_eq!(code("    // use crate::x"), "");
        assert_eq!(code("let a = 1; // crate::x"), "let a = 1;");
        assert_eq!(code("let a = \"http://x\";"), "let a = \"http://x\";");
    }
}
