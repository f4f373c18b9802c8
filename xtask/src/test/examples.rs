//! Step `examples`: the plugins of `examples/` are built and their cases run, and
//! `docs/plugins/ten-minutes.md` is followed word by word.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Outcome, build_program};
use crate::repository;

/// Plugins with cases beside them.
const EXAMPLES: [&str; 2] = ["hello-plugin", "word-filter"];
/// The page, and the folder of `examples/` that it makes.
const PAGE: &str = "docs/plugins/ten-minutes.md";

pub(super) fn run() -> Result<Outcome> {
    let program = build_program()?;
    for name in EXAMPLES {
        let folder = format!("examples/{name}");
        plugins(&["--path", &folder])?;
        let mut test = Command::new(&program);
        let cases = repository::root().join(&folder).join("cases.toml");
        repository::run(test.current_dir(repository::root()).args(["plugin", "test"]).arg(cases))?;
    }
    let page = repository::read(PAGE)?;
    for Block { info, text } in blocks(&page) {
        match info.split_once(" file=") {
            Some((_, file)) => same(file, &text)?,
            None if info == "sh" => text.lines().try_for_each(|line| follow(line, &program))?,
            None => {}
        }
    }
    Ok(Outcome::Done)
}

/// One fenced block.
struct Block {
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open = None::<Block>;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { info: info.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The page's file is that of the example, but for where the SDK is and which workspace it is of.
fn same(file: &str, text: &str) -> Result<()> {
    let own = text.replace("../tidegate/guest-sdk", "../../guest-sdk").replace("\n[workspace]\n", "");
    let path = format!("examples/{file}");
    if repository::read(&path).with_context(|| path.clone())? != own {
        bail!("{PAGE} and {path} are not the same");
    }
    Ok(())
}

/// Run a command of the page. What is `tidegate` there is the repository here, and the program just built.
fn follow(line: &str, program: &Path) -> Result<()> {
    if let Some(arguments) = line.strip_prefix("cd tidegate && cargo xtask plugins ") {
        let arguments = arguments.replace("../", "examples/");
        return plugins(&arguments.split(' ').collect::<Vec<_>>());
    }
    let bin = program.parent().unwrap_or(Path::new("/"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).context("PATH")?;
    let mut shell = Command::new("sh");
    shell.args(["-ec", line]).current_dir(repository::root().join("examples")).env("PATH", path);
    repository::run(&mut shell).with_context(|| format!("{PAGE}: `{line}`"))
}

/// `cargo xtask plugins`, by this program.
fn plugins(arguments: &[&str]) -> Result<()> {
    let own = std::env::current_exe().context("where is this program?")?;
    repository::run(Command::new(own).current_dir(repository::root()).arg("plugins").args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_files_and_commands() {
        let page = repository::read(PAGE).unwrap();
        let all = blocks(&page);
        let files = all.iter().filter(|block| block.info.contains(" file=")).count();
        let commands = all.iter().filter(|block| block.info == "sh").count();
        assert!(files >= 4 && commands >= 5, "{files} files, {commands} commands");
        for block in all {
            if let Some((_, file)) = block.info.split_once(" file=") {
                same(file, &block.text).unwrap();
            }
        }
    }
}
