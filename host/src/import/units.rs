//! nginx's times and sizes. nginx: `ngx_parse_time`, `ngx_parse_size`.

use std::time::Duration;

use super::toml::Value;
use crate::config::units::{ShownDuration, ShownSize};

/// A time, such as `60`, `1h30m` or `1h 30m`; none where it is none. A number alone is seconds.
pub(super) fn time(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 8] = [
        ("y", 365 * 86_400_000),
        ("M", 30 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut millis = 0_u64;
    let mut rest = text.trim_end_matches(' ');
    let mut above = u64::MAX;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(end)?;
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, tail) = after.split_at_checked(unit_end)?;
        let scale = if unit.is_empty() { 1000 } else { UNITS.iter().find(|(name, _)| *name == unit)?.1 };
        if scale >= above {
            return None;
        }
        above = scale;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = tail.trim_start_matches(' ');
    }
    (above < u64::MAX).then(|| Duration::from_millis(millis))
}

/// A time as a key's value.
pub(super) fn time_value(text: &str) -> Option<Value> {
    time(text).map(shown_time)
}

/// A time as a key's value.
pub(super) fn shown_time(time: Duration) -> Value {
    Value::text(ShownDuration(time).to_string())
}

/// A size in bytes, such as `10m`; none where it is none.
pub(super) fn size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let scale: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// A size as a key's value.
pub(super) fn size_value(text: &str) -> Option<Value> {
    size(text).map(shown_size)
}

/// A size as a key's value.
pub(super) fn shown_size(bytes: u64) -> Value {
    Value::text(ShownSize(bytes).to_string())
}

/// `on` or `off`.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nginxs() {
        let millis = |text| time(text).map(|time| time.as_millis());
        for (text, expected) in [
            ("60", Some(60_000)),
            ("60s", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("1m30", Some(90_000)),
            ("500ms", Some(500)),
            ("1M", Some(2_592_000_000)),
            ("1y", Some(31_536_000_000)),
            ("", None),
            ("s", None),
            ("1x", None),
            ("30s1m", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
        assert_eq!(time_value("3600s"), Some(Value::text("1h")));
    }

    #[test]
    fn sizes_are_nginxs() {
        for (text, expected) in [("10m", Some(10 << 20)), ("8K", Some(8192)), ("1", Some(1)), ("m", None), ("1t", None)]
        {
            assert_eq!(size(text), expected, "{text}");
        }
        assert_eq!(size_value("1024k"), Some(Value::text("1MiB")));
    }
}
