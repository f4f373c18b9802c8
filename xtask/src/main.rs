//! The repository's own commands: `cargo xtask --help`.

mod componentize;
mod plugins;
mod wasm_target;

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
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Plugins(arguments) => plugins::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
