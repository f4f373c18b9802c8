//! What must not be in the text: tests that do not run, work put off.

use anyhow::Result;

use super::source::code;
use crate::repository;

/// One line for each place.
pub(super) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in repository::files(&[".rs", ".wit", ".toml"])? {
        for (number, line) in repository::read(&file)?.lines().enumerate() {
            problems.extend(judge(&file, line).map(|problem| format!("{file}:{}: {problem}", number + 1)));
        }
    }
    Ok(problems)
}

fn judge(file: &str, line: &str) -> Option<&'static str> {
    // Put together, so that this file does not find itself.
    let later = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    if words.any(|word| later.contains(&word)) {
        return Some("put off: do it, or open an issue");
    }
    let skipped = file.ends_with(".rs") && code(line).trim_start().starts_with(concat!("#[", "ignore"));
    skipped.then_some("a test that does not run proves nothing")
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn what_is_put_off_is_found_as_a_word() {
        assert!(judge("a.rs", concat!("// TO", "DO: later")).is_some());
        assert!(judge("a.toml", concat!("# FIX", "ME")).is_some());
        assert_eq!(judge("a.rs", concat!("let TO", "DOS = 1;")), None);
    }

    #[test]
    fn ignored_tests_are_found_in_code_alone() {
        assert!(judge("a.rs", concat!("    #[", "ignore = \"slow\"]")).is_some());
        assert_eq!(judge("a.rs", concat!("// about #[", "ignore]")), None);
    }
}
