//! Tidegate in this process, through its library.

use std::net::SocketAddr;
use std::path::Path;

use tidegate::config::load_str;
use tidegate::server::Server;

/// A server with its own threads; ends when dropped.
pub(super) struct InProcess {
    server: Server,
}

impl InProcess {
    pub(super) fn start(text: &str, dir: &Path) -> Result<Self, String> {
        let config = load_str(text, dir, "test.toml").map_err(|problems| problems.to_string())?;
        let server = Server::start(&config).map_err(|error| error.to_string())?;
        Ok(Self { server })
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses()
    }

    pub(super) fn reload(&self, text: &str, dir: &Path) -> Result<(), String> {
        let config = load_str(text, dir, "test.toml").map_err(|problems| problems.to_string())?;
        self.server.reload(&config).map_err(|error| error.to_string())
    }

    pub(super) fn open_tunnels(&self) -> usize {
        self.server.open_tunnels()
    }

    pub(super) fn drain(self) {
        self.server.drain();
    }
}
