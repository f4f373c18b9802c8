//! When a certificate is to be renewed, and when to try again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::tls::server::Leaf;

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// The longest wait that an authority may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(86_400);

/// A number from 0 up to 1.
pub(super) fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness everybody renews at the same time, and that is all.
    let _fails = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// When a certificate is to be renewed: when two thirds of its time are over, or up to a
/// thirtieth of it before, by `chance`.
pub(super) fn renewal(leaf: &Leaf, chance: f64) -> SystemTime {
    let lifetime = u64::try_from(leaf.not_after.saturating_sub(leaf.not_before)).unwrap_or_default();
    // The last second counts too (RFC 5280 §4.1.2.5), which matters to the shortest ones only.
    let lifetime = Duration::from_secs(lifetime + 1);
    at(leaf.not_before) + lifetime.mul_f64((20.0 - chance.clamp(0.0, 1.0)) / 30.0)
}

/// A moment between two, by `chance` (RFC 9773 §4.2).
pub(super) fn within(start: i64, end: i64, chance: f64) -> SystemTime {
    let length = u64::try_from(end.saturating_sub(start)).unwrap_or_default();
    at(start) + Duration::from_secs(length).mul_f64(chance.clamp(0.0, 1.0))
}

/// Seconds since 1970 as a time.
pub(super) fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// How long to wait after so many failures in a row: `first`, then twice as long each time, to
/// six hours, and up to a tenth less by `chance`; at least what the authority `asked` for.
pub(super) fn back_off(first: Duration, failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let doubled = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let wait = first.saturating_mul(doubled).min(LONGEST.max(first));
    let wait = wait.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 10.0);
    asked.map_or(wait, |asked| wait.max(asked.min(LONGEST_ASKED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn renewed_at_two_thirds() {
        let leaf = Leaf { names: Vec::new(), not_before: 10 * DAY, not_after: 100 * DAY - 1 };
        assert_eq!(renewal(&leaf, 0.0), at(70 * DAY));
        assert_eq!(renewal(&leaf, 1.0), at(67 * DAY));
        let odd = Leaf { not_after: 0, ..leaf };
        assert!(renewal(&odd, 0.5) <= at(10 * DAY + 1));
    }

    #[test]
    fn within_a_window() {
        assert_eq!(within(DAY, 3 * DAY, 0.5), at(2 * DAY));
        assert_eq!(within(DAY, 0, 0.5), at(DAY));
    }

    #[test]
    fn waits_double_to_a_limit() {
        let minute = Duration::from_secs(60);
        let waits: Vec<u64> = (1..=12).map(|n| back_off(minute, n, None, 0.0).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        assert_eq!(back_off(minute, u32::MAX, None, 1.0), LONGEST.mul_f64(0.9));
        assert_eq!(back_off(minute, 1, Some(minute * 5), 0.0), minute * 5);
        assert_eq!(back_off(minute, 12, Some(minute), 0.0), LONGEST);
        assert_eq!(back_off(minute, 1, Some(minute * 100_000), 0.0), LONGEST_ASKED);
        assert_eq!(back_off(LONGEST * 2, 2, None, 0.0), LONGEST * 2);
    }

    #[test]
    fn chances_differ() {
        let all: Vec<f64> = (0..8).map(|_| chance()).collect();
        assert!(all.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(all.windows(2).any(|two| two[0] != two[1]));
    }
}
