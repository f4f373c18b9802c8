//! Ranges of bytes (RFC 9110 §14), as nginx reads them: `ngx_http_range_parse`.

use std::ops::Range;

/// What a Range header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: there is no range of bytes, or together they are longer than the whole.
    Whole,
    /// These parts, in the order in which they were asked for; at least one.
    Parts(Vec<Range<u64>>),
    /// Nothing that there is: 416.
    Unsatisfiable,
}

/// Read a Range header for a content of this length.
pub(super) fn parse(header: &[u8], length: u64) -> Wanted {
    let Some(list) = std::str::from_utf8(header).ok().and_then(|text| {
        let (unit, list) = text.split_at_checked("bytes=".len())?;
        (unit.eq_ignore_ascii_case("bytes=") && !list.is_empty()).then_some(list)
    }) else {
        return Wanted::Whole;
    };
    let mut parts = Vec::new();
    let mut total = 0_u64;
    for item in list.split(',') {
        let Some(part) = range(item.trim_matches(' '), length) else { return Wanted::Unsatisfiable };
        if part.start < part.end {
            total = total.saturating_add(part.end - part.start);
            parts.push(part);
        } else if part.start == 0 {
            return Wanted::Whole;
        }
    }
    match parts.is_empty() {
        true => Wanted::Unsatisfiable,
        // Parts that overlap would send more than there is.
        false if total > length => Wanted::Whole,
        false => Wanted::Parts(parts),
    }
}

/// One range, empty where it is outside; none where it is not one.
fn range(text: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim_end_matches(' '), last.trim_start_matches(' '));
    if first.is_empty() {
        return Some(length.saturating_sub(number(last)?)..length);
    }
    let start = number(first)?;
    let end = if last.is_empty() { length } else { number(last)?.saturating_add(1).min(length) };
    Some(start..end)
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is a list of ranges here")]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let parts = |list: &[Range<u64>]| Wanted::Parts(list.to_vec());
        for (header, wanted) in [
            ("bytes=0-0", parts(&[0..1])),
            ("Bytes=0-9", parts(&[0..10])),
            ("bytes=5-", parts(&[5..10])),
            ("bytes=5-100", parts(&[5..10])),
            ("bytes=-3", parts(&[7..10])),
            ("bytes=-100", parts(&[0..10])),
            ("bytes= 1 - 2 , 4-5", parts(&[1..3, 4..6])),
            ("bytes=8-,0-1", parts(&[8..10, 0..2])),
            ("bytes=20-30,1-2", parts(&[1..3])),
            ("bytes=0-9,0-9", Wanted::Whole),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=20-30", Wanted::Unsatisfiable),
            ("bytes=5-3", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=", Wanted::Whole),
            ("bytes=a-b", Wanted::Unsatisfiable),
            ("bytes=1", Wanted::Unsatisfiable),
            ("bytes=-", Wanted::Unsatisfiable),
            ("bytes=1-2,", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999-", Wanted::Unsatisfiable),
            ("items=0-1", Wanted::Whole),
            ("byt", Wanted::Whole),
        ] {
            assert_eq!(parse(header.as_bytes(), 10), wanted, "{header}");
        }
        assert_eq!(parse(b"bytes=0-0", 0), Wanted::Whole);
    }
}
