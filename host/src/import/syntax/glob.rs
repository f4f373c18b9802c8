//! Patterns of file names, as `include` has them: `*`, `?`, `[…]`. glob(7).

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The most files that a pattern may lead to.
const MOST_FILES: usize = 10_000;

/// Whether a name is a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The files that a pattern means, in the order of their names; none where there is none.
///
/// # Errors
/// Where there are too many.
pub(super) fn files(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let Component::Normal(name) = component else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let name = name.to_string_lossy();
        if !is_pattern(&name) {
            found.iter_mut().for_each(|path| path.push(&*name));
            continue;
        }
        found = found.iter().flat_map(|folder| matching(folder, &name)).collect();
        if found.len() > MOST_FILES {
            return Err(format!("matches more than {MOST_FILES} files"));
        }
    }
    found.retain(|path| path.exists());
    found.sort();
    Ok(found)
}

/// What in a folder has a name of this form. One that cannot be read has nothing, as in nginx.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let pattern: Vec<char> = pattern.chars().collect();
    let entries = fs::read_dir(here).into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name();
        let name: Vec<char> = name.to_string_lossy().chars().collect();
        // Hidden files are meant only by name.
        (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && is_match(&pattern, &name)
    });
    named.map(|entry| folder.join(entry.file_name())).collect()
}

/// Whether a name has the form of a pattern. Its time grows with the product of both lengths.
fn is_match(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows the last `*` does not fit.
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some('*'), _) => {
                back = Some((p + 1, n));
                Some((p + 1, n))
            }
            (Some(_), Some(c)) => one(pattern, p, *c).map(|next| (next, n + 1)),
            _ => None,
        };
        match (step, back) {
            (Some(next), _) => (p, n) = next,
            (None, Some((after, from))) if from < name.len() => {
                back = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether the piece of a pattern at `p`, which is no `*`, fits a character: the next piece.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => {
            let set = pattern.get(p + 1..)?;
            let (set, negated) = match set.split_first() {
                Some(('!' | '^', rest)) => (rest, true),
                _ => (set, false),
            };
            // A `]` at the start is one of the set.
            let length = set.iter().skip(1).position(|c| *c == ']')? + 1;
            let members = set.get(..length)?;
            let fits = members.iter().enumerate().any(|(at, m)| {
                let range =
                    members.get(at + 1) == Some(&'-') && members.get(at + 2).is_some_and(|to| (*m..=*to).contains(&c));
                *m == c || range
            });
            let next = p + 1 + usize::from(negated) + length + 1;
            (fits != negated).then_some(next)
        }
        same => (*same == c).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn names_of_a_form() {
        let fits = |pattern: &str, name: &str| {
            is_match(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        for (pattern, name) in [
            ("*", ""),
            ("*.conf", "a.conf"),
            ("*.conf", ".conf"),
            ("a*b*c", "aXbYbZc"),
            ("?", "é"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("**", "x"),
            ("[ab]*", "b"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.conf", "a.conf~"), ("?", ""), ("[a-c]", "d"), ("[!a]", "a"), ("a", "ab"), ("[a", "a")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        // Time does not explode.
        assert!(!fits(&"*a".repeat(60), &"a".repeat(50)));
    }
}
