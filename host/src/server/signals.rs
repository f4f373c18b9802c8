//! The process's signals: TERM, INT and QUIT drain (a second one ends at once), HUP reloads, USR1
//! opens log files anew.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Server;
use crate::config::{Config, Problems};

/// What a signal asks for.
enum Wish {
    End,
    Reload,
    ReopenLogs,
}

/// The signals that the process listens for.
pub struct Signals {
    runtime: Runtime,
    caught: Caught,
}

struct Caught {
    term: Signal,
    int: Signal,
    quit: Signal,
    hup: Signal,
    usr1: Signal,
}

impl Signals {
    /// Listen from now on. Before anyone can know that the process serves, or a signal that is
    /// sent at once would end it.
    ///
    /// # Errors
    /// Where they cannot be listened for.
    pub fn catch() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let caught = Caught {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
        };
        drop(entered);
        Ok(Self { runtime, caught })
    }
}

impl Caught {
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.term.recv() => Wish::End,
            _ = self.int.recv() => Wish::End,
            _ = self.quit.recv() => Wish::End,
            _ = self.hup.recv() => Wish::Reload,
            _ = self.usr1.recv() => Wish::ReopenLogs,
        }
    }
}

/// Serve until a signal ends it. `read` reads the configuration anew for a reload.
pub fn serve_until_signalled(signals: Signals, server: Server, read: impl Fn() -> Result<Config, Problems>) {
    let Signals { runtime, caught: mut signals } = signals;
    runtime.block_on(async {
        loop {
            match signals.next().await {
                Wish::Reload => reload(&server, &read),
                Wish::ReopenLogs => server.reopen_logs(),
                Wish::End => break,
            }
        }
        tracing::info!(tunnels = server.open_tunnels(), "draining");
        let drained = tokio::task::spawn_blocking(move || server.drain());
        tokio::select! {
            _ = drained => {}
            () = async { while !matches!(signals.next().await, Wish::End) {} } => {
                tracing::warn!("ending at once");
                std::process::exit(1);
            }
        }
    });
}

fn reload(server: &Server, read: &impl Fn() -> Result<Config, Problems>) {
    let reloaded = match read() {
        Ok(config) => server.reload(&config).map_err(|error| error.to_string()),
        Err(problems) => Err(problems.to_string()),
    };
    match reloaded {
        Ok(()) => tracing::info!("reloaded"),
        Err(why) => tracing::error!("not reloaded, the old configuration stays in use:\n{why}"),
    }
}
