//! Measures Tidegate beside nginx on this machine and writes the table of
//! `bench/README.md`.
//!
//! Read in this order: [`case`] is what is measured, [`run`] the rounds, [`measure`] one
//! measurement, [`subject`] the proxies and their configurations, [`load`] the generator,
//! [`backend`] the server behind, [`report`] the table.

mod backend;
mod case;
mod cli;
mod echo;
mod error;
mod load;
mod machine;
mod measure;
mod net;
mod poll;
mod process;
mod relay;
mod report;
mod run;
mod strace;
mod subject;
mod tls;
mod wire;
mod ws;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, HelperCommand};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.helper {
        Some(HelperCommand::Backend) => backend::serve(),
        Some(HelperCommand::Relay { backend }) => relay::serve(backend),
        None => run::run(&cli.options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "tidegate-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}
