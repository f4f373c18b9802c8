//! Durations and sizes as text: `"1m30s"`, `"64KiB"`. Whole numbers only, so that what is
//! written is exactly what is meant.

use std::fmt;
use std::time::Duration;

/// Units of durations, largest first, in milliseconds. nginx: `ms s m h d`.
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of sizes, largest first, in bytes.
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// A sign, a fraction, a space or a letter where a digit belongs.
    #[error("has no whole number before `{0}`")]
    NoNumber(String),
    /// A number without a unit.
    #[error("has no unit after {0}")]
    NoUnit(String),
    /// A unit that is not one.
    #[error("has an unknown unit `{0}`")]
    BadUnit(String),
    /// Units twice, or a smaller one before a larger one.
    #[error("has its units out of order: larger ones come first, each once")]
    Order,
    /// More than 64 bits hold.
    #[error("is too large")]
    TooLarge,
}

/// Read a duration: one or more numbers with a unit (`ms s m h d`), larger units first,
/// such as `"10ms"`, `"60s"` or `"1m30s"`. Unlike in nginx a bare number has no meaning.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let mut rest = text;
    let mut millis = 0_u64;
    let mut last_scale = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, tail) = after.split_at(end);
        if unit.is_empty() {
            return Err(UnitError::NoUnit(number.to_owned()));
        }
        let scale = DURATIONS
            .iter()
            .find_map(|(name, scale)| (*name == unit).then_some(*scale))
            .ok_or_else(|| UnitError::BadUnit(unit.to_owned()))?;
        if scale >= last_scale {
            return Err(UnitError::Order);
        }
        last_scale = scale;
        let part = scaled(number, scale)?;
        millis = millis.checked_add(part).ok_or(UnitError::TooLarge)?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

/// Read a size in bytes: a number, alone or with `k`, `m`, `g` (any case, as in nginx) or
/// `KiB`, `MiB`, `GiB`; all are powers of 1024.
///
/// # Errors
/// What is wrong with the text. `KB` and its like are refused, because people read them
/// in two ways.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let (number, unit) = split_number(text)?;
    let scale = match unit {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        "g" | "G" | "GiB" => 1 << 30,
        other => return Err(UnitError::BadUnit(other.to_owned())),
    };
    scaled(number, scale)
}

/// A duration as [`parse_duration`] reads it; parts below a millisecond are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownDuration(pub Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        // Timeouts up to two minutes are spoken of in seconds.
        if rest < 120_000 && rest.is_multiple_of(1_000) {
            return write!(f, "{}s", rest / 1_000);
        }
        for (unit, scale) in DURATIONS {
            let scale = u128::from(scale);
            if rest >= scale {
                write!(f, "{}{unit}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

/// A size as [`parse_size`] reads it, in the largest unit that is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownSize(pub u64);

impl fmt::Display for ShownSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES.iter().find(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The digits at the start, and what follows them.
fn split_number(text: &str) -> Result<(&str, &str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text.split_at(end) {
        ("", rest) => Err(UnitError::NoNumber(rest.to_owned())),
        parts => Ok(parts),
    }
}

/// `number` × `scale`; the number consists of digits, so that only its size can be wrong.
fn scaled(number: &str, scale: u64) -> Result<u64, UnitError> {
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).ok_or(UnitError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        for (text, millis) in [
            ("0s", 0),
            ("10ms", 10),
            ("60s", 60_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, error) in [
            ("", UnitError::Empty),
            ("60", UnitError::NoUnit("60".into())),
            ("s", UnitError::NoNumber("s".into())),
            ("-1s", UnitError::NoNumber("-1s".into())),
            ("1.5s", UnitError::BadUnit(".".into())),
            ("1 s", UnitError::BadUnit(" s".into())),
            ("1S", UnitError::BadUnit("S".into())),
            ("30s1m", UnitError::Order),
            ("1s1s", UnitError::Order),
            ("1m30", UnitError::NoUnit("30".into())),
            ("99999999999999999999s", UnitError::TooLarge),
            ("18446744073709551615d", UnitError::TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes_are_exact() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64k", 65_536),
            ("64K", 65_536),
            ("64KiB", 65_536),
            ("16MiB", 16 << 20),
            ("2m", 2 << 20),
            ("1g", 1 << 30),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        for (text, error) in [
            ("", UnitError::Empty),
            ("k", UnitError::NoNumber("k".into())),
            ("64KB", UnitError::BadUnit("KB".into())),
            ("64kib", UnitError::BadUnit("kib".into())),
            ("1.5m", UnitError::BadUnit(".5m".into())),
            ("1 m", UnitError::BadUnit(" m".into())),
            ("17179869184g", UnitError::TooLarge),
        ] {
            assert_eq!(parse_size(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for (millis, shown) in [
            (0, "0s"),
            (10, "10ms"),
            (60_000, "60s"),
            (75_000, "75s"),
            (120_000, "2m"),
            (150_000, "2m30s"),
            (93_784_005, "1d2h3m4s5ms"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(ShownDuration(duration).to_string(), shown);
            assert_eq!(parse_duration(shown), Ok(duration));
        }
        for (bytes, shown) in [(0, "0"), (1000, "1000"), (65_536, "64KiB"), (16 << 20, "16MiB"), (1 << 30, "1GiB")] {
            assert_eq!(ShownSize(bytes).to_string(), shown);
            assert_eq!(parse_size(shown), Ok(bytes));
        }
    }
}
