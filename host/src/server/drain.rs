//! The end: no new connections, and those that are there get time.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::Server;

/// How long tunnels that are told to end may take to write their records.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Server {
    /// Stop accepting, let requests and tunnels end for as long as `drain_timeout`, then close
    /// what is left. Returns when all is done.
    pub fn drain(self) {
        let timeout = self.state.lock().drain_timeout;
        self.leave(timeout);
    }

    /// Stop at once.
    pub fn stop(self) {
        self.leave(Duration::ZERO);
    }

    fn leave(&self, timeout: Duration) {
        let mut state = self.state.lock();
        state.listeners.close(&self.workers);
        state.background = None;
        self.proxy.acme.want(None);
        drop(state);
        for worker in &self.workers {
            worker.drain();
        }
        if !self.all_gone_within(timeout) {
            tracing::info!(tunnels = self.open_tunnels(), "closing what outlived the drain");
            self.proxy.tunnels.end_all();
            self.all_gone_within(LAST_WORDS.min(timeout.max(LAST_WORDS / 10)));
        }
    }

    fn all_gone_within(&self, timeout: Duration) -> bool {
        matches!(self.all_gone.lock().recv_timeout(timeout), Err(RecvTimeoutError::Disconnected))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.workers.is_empty() {
            self.leave(Duration::ZERO);
        }
    }
}
