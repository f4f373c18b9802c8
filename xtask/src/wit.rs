//! `cargo xtask wit`: the contract is frozen text. Each folder `wit/vX.Y` has a file
//! `wit/vX.Y.sha256` beside it, in the form that `sha256sum -c` reads.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::repository;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Note the digests of the text as it is now: for additions that were agreed on
    #[arg(long)]
    bless: bool,
}

/// Run the command.
///
/// # Errors
/// The text is not as noted.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    for (track, digests) in tracks()? {
        let file = repository::root().join(noted(&track));
        if arguments.bless {
            std::fs::write(&file, digests).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    let problems = problems()?;
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

/// What differs from the notes, one line each.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (track, digests) in tracks()? {
        let file = noted(&track);
        let known = std::fs::read_to_string(repository::root().join(&file)).unwrap_or_default();
        problems.extend(differences(&known, &digests).into_iter().map(|name| {
            format!(
                "wit/{name}: not as noted in {file}: undo it, or `cargo xtask wit --bless` if only something was added"
            )
        }));
    }
    Ok(problems)
}

fn noted(track: &str) -> String {
    format!("wit/{track}.sha256")
}

/// Every track with its digests, a line for each file.
fn tracks() -> Result<Vec<(String, String)>> {
    let files = repository::files(&[".wit"])?;
    let files: Vec<&str> = files.iter().filter_map(|file| file.strip_prefix("wit/")).collect();
    let names: BTreeSet<&str> = files.iter().filter_map(|file| Some(file.split_once('/')?.0)).collect();
    let mut tracks = Vec::new();
    for track in names {
        let mut digests = String::new();
        for file in files.iter().filter(|file| file.starts_with(&format!("{track}/"))) {
            let text = repository::read(&format!("wit/{file}"))?;
            for byte in Sha256::digest(text) {
                write!(digests, "{byte:02x}")?;
            }
            writeln!(digests, "  {file}")?;
        }
        tracks.push((track.to_owned(), digests));
    }
    Ok(tracks)
}

/// The names of the files whose lines are not in both.
fn differences<'a>(known: &'a str, now: &'a str) -> BTreeSet<&'a str> {
    let (known, now): (BTreeSet<&str>, BTreeSet<&str>) = (known.lines().collect(), now.lines().collect());
    known.symmetric_difference(&now).filter_map(|line| Some(line.split_once("  ")?.1)).collect()
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn changed_new_and_lost_files_are_named() {
        let known = "aa  v0.1/a.wit\nbb  v0.1/b.wit\ncc  v0.1/c.wit\n";
        let now = "aa  v0.1/a.wit\nb0  v0.1/b.wit\ndd  v0.1/d.wit\n";
        let names: Vec<_> = differences(known, now).into_iter().collect();
        assert_eq!(names, ["v0.1/b.wit", "v0.1/c.wit", "v0.1/d.wit"]);
        assert!(differences(known, known).is_empty());
    }
}
