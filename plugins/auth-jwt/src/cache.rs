//! Keys that are fetched: when they are asked for, and how long they are good for.

use std::time::Duration;

use crate::keys::KeySet;

/// How long keys are used that come without a time.
const USUAL_AGE: Duration = Duration::from_secs(3600);
/// The longest that they are used, whatever their time.
const LONGEST_AGE: Duration = Duration::from_secs(24 * 3600);

/// Fetched keys. The last good ones stay in use until there are others.
#[derive(Debug, Default)]
pub struct Cache {
    keys: Option<KeySet>,
    /// Until when they are fresh.
    fresh: Duration,
    /// When they were asked for last; none for never.
    asked: Option<Duration>,
}

impl Cache {
    /// The keys, where there are any.
    pub fn keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    /// Whether keys are to be asked for now: there are none, they are old, or (`unknown`) a token names
    /// one that is not among them. Never more often than once in `floor`.
    pub fn is_due(&self, now: Duration, floor: Duration, unknown: bool) -> bool {
        let may = self.asked.is_none_or(|asked| now >= asked.saturating_add(floor));
        may && (unknown || self.keys.is_none() || now >= self.fresh)
    }

    /// They are asked for.
    pub fn asked(&mut self, now: Duration) {
        self.asked = Some(now);
    }

    /// They came, with this Cache-Control.
    pub fn came(&mut self, keys: KeySet, now: Duration, cache_control: Option<&[u8]>) {
        self.keys = Some(keys);
        self.fresh = now.saturating_add(age(cache_control));
    }
}

/// How long an answer is fresh (RFC 9111 §5.2.2).
fn age(cache_control: Option<&[u8]>) -> Duration {
    let text = cache_control.map(String::from_utf8_lossy).unwrap_or_default().to_ascii_lowercase();
    let mut directives = text.split(',').map(str::trim);
    if directives.clone().any(|one| matches!(one, "no-store" | "no-cache")) {
        return Duration::ZERO;
    }
    let seconds = directives.find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    seconds.map_or(USUAL_AGE, Duration::from_secs).min(LONGEST_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn they_are_asked_for_when_they_are_old_or_one_is_unknown_and_not_too_often() {
        let mut cache = Cache::default();
        assert!(cache.is_due(at(0), FLOOR, false));
        cache.asked(at(0));
        assert!(!cache.is_due(at(29), FLOOR, true) && cache.is_due(at(30), FLOOR, false), "it failed");
        cache.asked(at(30));
        cache.came(KeySet::default(), at(30), Some(b"public, max-age=100"));
        for (now, unknown, due) in
            [(59, true, false), (60, true, true), (60, false, false), (129, false, false), (130, false, true)]
        {
            assert_eq!(cache.is_due(at(now), FLOOR, unknown), due, "{now} {unknown}");
        }
        cache.asked(at(130));
        assert!(cache.keys().is_some() && !cache.is_due(at(140), FLOOR, false), "the old ones stay");
    }

    #[test]
    fn ages() {
        for (header, seconds) in [
            (None, 3600),
            (Some("max-age=0"), 0),
            (Some("Public, Max-Age=60"), 60),
            (Some("no-store"), 0),
            (Some("max-age=99999999"), 86_400),
            (Some("max-age=x"), 3600),
        ] {
            assert_eq!(age(header.map(str::as_bytes)), at(seconds), "{header:?}");
        }
    }
}
