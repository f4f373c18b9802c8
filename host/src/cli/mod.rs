//! What the operator types: one file for each command.

mod check;
mod demo;
mod import;
mod logging;
mod plugin;
mod reload;
mod run;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A WebSocket and HTTP reverse proxy, programmable with WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a page that talks to a WebSocket through the proxy, to see it work.
    Demo {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Your own backend, instead of the embedded one.
        #[arg(long, value_name = "HOST:PORT")]
        upstream: Option<String>,
    },
    /// Serve a configuration until a signal ends it (TERM, INT, QUIT drain; HUP reloads).
    Run {
        /// The configuration file; `-` reads standard input.
        #[arg(short, long, default_value = "tidegate.toml")]
        config: PathBuf,
        /// Write the process id here, instead of where `server.pid_file` says.
        #[arg(long)]
        pid_file: Option<PathBuf>,
        /// An nginx configuration instead, imported at the start and at each reload.
        #[arg(long, value_name = "FILE", conflicts_with = "config")]
        nginx: Option<PathBuf>,
        /// As nginx's: where its relative paths begin.
        #[arg(short, long, requires = "nginx")]
        prefix: Option<PathBuf>,
        /// As nginx's: directives before those of the file.
        #[arg(short, long, value_name = "DIRECTIVES", requires = "nginx", default_value = "")]
        globals: String,
        /// As nginx's: check it only.
        #[arg(short, long, requires = "nginx")]
        test: bool,
        /// Leave out what has no equal, with warnings.
        #[arg(long, requires = "nginx")]
        lenient: bool,
    },
    /// Print a configuration that means what an nginx configuration means.
    ///
    /// Ends with 0 only if every directive kept its meaning.
    Import {
        /// The nginx configuration.
        file: PathBuf,
        /// As nginx's: where its relative paths begin. Without it they stay relative.
        #[arg(short, long)]
        prefix: Option<PathBuf>,
        /// Leave out what has no equal, with warnings and comments.
        #[arg(long)]
        lenient: bool,
        /// Run both programs on loopback ports, send them the same, and print what differs.
        #[arg(long)]
        compare: bool,
        /// The nginx to compare with.
        #[arg(long, value_name = "PROGRAM", default_value = "nginx", requires = "compare")]
        nginx_binary: PathBuf,
    },
    /// Check a configuration and its plugins without serving it.
    Check {
        /// The configuration file; `-` reads standard input.
        #[arg(short, long, default_value = "tidegate.toml")]
        config: PathBuf,
    },
    /// Make a running server read its configuration anew.
    Reload {
        /// The file with its process id.
        #[arg(long, required_unless_present = "pid")]
        pid_file: Option<PathBuf>,
        /// Its process id.
        #[arg(long, conflicts_with = "pid_file")]
        pid: Option<i32>,
    },
    /// For authors of plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
}

/// Why a command failed: what to print.
type Failed = Box<dyn std::error::Error>;

/// Run the program: 0 when all went well, 1 after an error, 2 after a wrong command line.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo { listen, upstream } => demo::demo(listen, upstream.as_deref()),
        Command::Run { config, pid_file, nginx: None, .. } => run::run(run::Text::from(&config), pid_file),
        Command::Run { pid_file, nginx: Some(file), prefix, globals, test, lenient, .. } => {
            let text = run::Text::Nginx(file, import::options(prefix, globals, lenient));
            if test { check::check_text(&text) } else { run::run(Ok(text), pid_file) }
        }
        Command::Import { file, prefix, lenient, compare, nginx_binary } => {
            let options = import::options(prefix, String::new(), lenient);

            if compare { import::compare(&file, &options, nginx_binary) } else { import::import(&file, &options) }
        }
        Command::Check { config } => check::check(&config),
        Command::Reload { pid_file, pid } => reload::reload(pid_file.as_deref(), pid),
        Command::Plugin(command) => plugin::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            logging::complain(failed.as_ref());
            ExitCode::FAILURE
        }
    }
}
