//! The Date header's value, made once a second.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

struct Now {
    text: String,
    until: SystemTime,
}

thread_local! {
    static NOW: RefCell<Now> = const { RefCell::new(Now { text: String::new(), until: SystemTime::UNIX_EPOCH }) };
}

/// Write the time as RFC 9110 §5.6.7 has it.
pub fn write(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    NOW.with_borrow_mut(|kept| {
        // A clock that was set back would freeze the text for as long.
        let is_stale = now >= kept.until || kept.until.duration_since(now).is_ok_and(|left| left > SECOND);
        if is_stale {
            kept.text = httpdate::fmt_http_date(now);
            let part = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
            kept.until = now + SECOND.saturating_sub(Duration::from_nanos(part.into()));
        }
        out.extend_from_slice(kept.text.as_bytes());
    });
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #[test]
    fn is_a_date() {
        let mut out = Vec::new();
        super::write(&mut out);
        super::write(&mut out);
        let (first, second) = out.split_at(out.len() / 2);
        assert!(httpdate::parse_http_date(std::str::from_utf8(first).unwrap()).is_ok());
        assert_eq!(first.len(), second.len());
    }
}
