//! The repository's own commands: `cargo xtask --help`.

mod bench;
mod plugins;
mod repository;
mod test;
mod tidy;
mod wit;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The repository's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build plugins into Wasm components: the stock ones, or any crate with --path
    Plugins(plugins::Arguments),
    /// Everything that CI does: install what tests need, then format, lints, tests, docs
    Test(test::Arguments),
    /// File sizes, module edges, the map in ARCHITECTURE.md, the frozen contract
    Tidy,
    /// Compare the contract in wit/ with its noted digests, or note them anew
    Wit(wit::Arguments),
    /// Measure Tidegate beside nginx; what follows goes to tidegate-bench
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Plugins(arguments) => plugins::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Wit(arguments) => wit::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
