//! Sessions that can be resumed for a while only. nginx: `ssl_session_timeout`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::server::{ProducesTickets, StoresServerSessions};

/// Keeps sessions, or makes tickets, with the time when it did.
#[derive(Debug)]
pub(super) struct Timed<T: ?Sized> {
    timeout: Duration,
    inner: Arc<T>,
}

impl<T: ?Sized> Timed<T> {
    pub(super) fn new(inner: Arc<T>, timeout: Duration) -> Self {
        Self { timeout, inner }
    }

    /// What was kept or made, unless that is too long ago.
    fn fresh(&self, mut value: Vec<u8>, now: u64) -> Option<Vec<u8>> {
        let (_, made) = value.split_last_chunk()?;
        let age = now.checked_sub(u64::from_be_bytes(*made))?;
        value.truncate(value.len() - made.len());
        (age < u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)).then_some(value)
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn stamped(mut value: Vec<u8>, now: u64) -> Vec<u8> {
    value.extend_from_slice(&now.to_be_bytes());
    value
}

impl StoresServerSessions for Timed<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(key, stamped(value, now()))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.fresh(self.inner.get(key)?, now())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.fresh(self.inner.take(key)?, now())
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl ProducesTickets for Timed<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX).min(self.inner.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&stamped(plain.to_vec(), now()))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.fresh(self.inner.decrypt(cipher)?, now())
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::Ticketer;
    use rustls::server::ServerSessionMemoryCache;

    use super::*;

    #[test]
    fn what_is_old_is_not_given() {
        let timed: Timed<dyn ProducesTickets> = Timed::new(Ticketer::new().unwrap(), Duration::from_secs(10));
        let kept = || stamped(b"secret".to_vec(), 50_000);
        assert_eq!(timed.fresh(kept(), 59_999).as_deref(), Some(&b"secret"[..]));
        assert_eq!(timed.fresh(kept(), 60_000), None);
        // A clock that was set back tells nothing.
        assert_eq!(timed.fresh(kept(), 49_999), None);
        assert_eq!(timed.fresh(b"short".to_vec(), 60_000), None);
    }

    #[test]
    fn tickets_and_sessions_come_back_whole() {
        let tickets: Timed<dyn ProducesTickets> = Timed::new(Ticketer::new().unwrap(), Duration::from_secs(3600));
        let ticket = tickets.encrypt(b"secret").unwrap();
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"secret"[..]));
        assert_eq!(tickets.lifetime(), 3600);
        let brief: Timed<dyn ProducesTickets> = Timed::new(Ticketer::new().unwrap(), Duration::ZERO);
        assert_eq!(brief.encrypt(b"secret").and_then(|ticket| brief.decrypt(&ticket)), None);
        let cache: Timed<dyn StoresServerSessions> =
            Timed::new(ServerSessionMemoryCache::new(4), Duration::from_secs(3600));
        assert!(cache.put(b"key".to_vec(), b"value".to_vec()));
        assert_eq!(cache.get(b"key").as_deref(), Some(&b"value"[..]));
        assert_eq!(cache.take(b"key").as_deref(), Some(&b"value"[..]));
        assert_eq!(cache.take(b"key"), None);
    }
}
