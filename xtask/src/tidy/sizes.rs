//! Files that a reader takes in at one sitting: 400 lines of code at most. Files listed in
//! `long-files.txt` may be longer, never over 600, and their figure there may only fall.

use anyhow::{Context, Result};

use super::source::{is_test_file, without_tests};
use crate::repository;

/// For code, test modules within the file not counted.
const MOST: usize = 400;
/// For files of tests, and for those in the list.
const MOST_EVER: usize = 600;
const LIST: &str = "xtask/src/tidy/long-files.txt";

/// One line for each file that is too long, and for each wrong entry in the list.
pub(super) fn problems() -> Result<Vec<String>> {
    let list = list(&repository::read(LIST)?)?;
    let mut problems = Vec::new();
    for file in repository::files(&[".rs"])? {
        let text = repository::read(&file)?;
        let listed = list.iter().find(|(name, _)| *name == file).map(|(_, lines)| *lines);
        problems.extend(judge(&file, &text, listed).map(|problem| format!("{file}: {problem}")));
    }
    let gone = list.iter().filter(|(name, _)| !repository::root().join(name).is_file());
    problems.extend(gone.map(|(name, _)| format!("{LIST}: {name} is no more: take it out")));
    Ok(problems)
}

fn judge(file: &str, text: &str, listed: Option<usize>) -> Option<String> {
    if is_test_file(file) {
        let lines = text.lines().count();
        return (lines > MOST_EVER)
            .then(|| format!("{lines} lines of tests, {MOST_EVER} are allowed: cut it by subject"));
    }
    let lines = without_tests(text).len();
    match listed {
        _ if lines > MOST_EVER => Some(format!("{lines} lines, {MOST_EVER} are allowed under any circumstances")),
        None if lines > MOST => Some(format!("{lines} lines without tests, {MOST} are allowed: cut it by subject")),
        None => None,
        Some(most) if lines > most => Some(format!("{lines} lines, {LIST} says {most}, and that may only fall")),
        Some(_) if lines <= MOST => Some(format!("{lines} lines are no exception: take it out of {LIST}")),
        Some(most) if lines < most => Some(format!("has fallen to {lines} lines: write that into {LIST}")),
        Some(_) => None,
    }
}

/// Lines `LINES FILE`; `#` begins a comment.
fn list(text: &str) -> Result<Vec<(String, usize)>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (lines, name) = line.split_once(' ').with_context(|| format!("{LIST}: `LINES FILE`, not {line:?}"))?;
            Ok((name.to_owned(), lines.parse().with_context(|| format!("{LIST}: {line:?}"))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> String {
        "x\n".repeat(count)
    }

    #[test]
    fn code_has_400_lines_and_tests_within_do_not_count() {
        assert_eq!(judge("host/src/a.rs", &lines(400), None), None);
        assert!(judge("host/src/a.rs", &lines(401), None).is_some());
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(400), "    x\n".repeat(300));
        assert_eq!(judge("host/src/a.rs", &tests, None), None);
    }

    #[test]
    fn files_of_tests_have_600() {
        assert_eq!(judge("tests/e2e/a.rs", &lines(600), None), None);
        assert!(judge("tests/e2e/a.rs", &lines(601), None).is_some());
    }

    #[test]
    fn an_exception_may_only_shrink() {
        assert_eq!(judge("host/src/a.rs", &lines(500), Some(500)), None);
        for (count, listed) in [(501, 500), (499, 500), (400, 500), (601, 601)] {
            assert!(judge("host/src/a.rs", &lines(count), Some(listed)).is_some(), "{count} of {listed}");
        }
    }

    #[test]
    fn the_list_is_read() {
        assert_eq!(list("# why\n\n450 a/b.rs\n").unwrap(), [("a/b.rs".to_owned(), 450)]);
        assert!(list("a/b.rs\n").is_err());
    }
}
