//! Sec-WebSocket-Extensions (RFC 6455 §9, RFC 7692 §7.1): which offers go on, and what was agreed.

/// The one extension that is understood.
const NAME: &str = "permessage-deflate";

/// What was agreed for the compressor of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// Whether it may refer to earlier messages.
    pub takeover: bool,
    /// How far it may refer back, as a power of two: 8 to 15.
    pub window: u8,
}

/// What permessage-deflate was agreed on: client and upstream have the same terms, since the
/// proxy passes both on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// What the client compresses.
    pub up: Direction,
    /// What the upstream compresses.
    pub down: Direction,
}

/// One element of the header: a name and its parameters.
#[derive(Debug, PartialEq, Eq)]
struct Element<'a> {
    text: &'a str,
    name: &'a str,
    parameters: Vec<(&'a str, Option<&'a str>)>,
}

/// The offers of a header's value that are understood, as they were written; none where there is
/// no such offer.
pub fn understood(value: &str) -> Option<String> {
    let kept: Vec<&str> = elements(value).filter(|offer| is_offer(offer)).map(|element| element.text).collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// What the upstream agreed on. `offered` is what it was sent, and `answer` its header's value;
/// each none where there is none.
///
/// # Errors
/// Why the answer is none to the offer.
pub fn agreed(offered: Option<&str>, answer: Option<&str>) -> Result<Option<Deflate>, &'static str> {
    let mut answers = elements(answer.unwrap_or_default());
    let Some(answer) = answers.next() else { return Ok(None) };
    if answers.next().is_some() || !answer.name.eq_ignore_ascii_case(NAME) {
        return Err("it accepts an extension that was not offered");
    }
    let mut deflate =
        Deflate { up: Direction { takeover: true, window: 15 }, down: Direction { takeover: true, window: 15 } };
    let mut seen = Vec::new();
    for (name, value) in &answer.parameters {
        let name = name.to_ascii_lowercase();
        match (&*name, value) {
            ("server_no_context_takeover", None) => deflate.down.takeover = false,
            ("client_no_context_takeover", None) => deflate.up.takeover = false,
            ("server_max_window_bits", Some(bits)) => deflate.down.window = bits_of(bits).ok_or(BAD)?,
            ("client_max_window_bits", Some(bits)) => deflate.up.window = bits_of(bits).ok_or(BAD)?,
            _ => return Err(BAD),
        }
        if seen.contains(&name) {
            return Err(BAD);
        }
        seen.push(name);
    }
    let offers: Vec<Element<'_>> = elements(offered.unwrap_or_default()).collect();
    if offers.iter().any(|offer| is_offer(offer) && answers_to(&deflate, &seen, offer)) {
        Ok(Some(deflate))
    } else {
        Err("it accepts permessage-deflate on other terms than were offered")
    }
}

const BAD: &str = "it accepts permessage-deflate with parameters that cannot be";

/// Whether these terms answer an offer (RFC 7692 §7.1.1, §7.1.2).
fn answers_to(deflate: &Deflate, said: &[String], offer: &Element<'_>) -> bool {
    offer.parameters.iter().all(|(name, value)| match (name.to_ascii_lowercase().as_str(), value) {
        ("server_no_context_takeover", _) => !deflate.down.takeover,
        ("server_max_window_bits", Some(bits)) => {
            said.iter().any(|said| said == "server_max_window_bits")
                && bits_of(bits).is_some_and(|most| deflate.down.window <= most)
        }
        _ => true,
    }) && (!said.iter().any(|said| said == "client_max_window_bits")
        || offer.parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case("client_max_window_bits")))
}

/// Whether it is an offer of permessage-deflate that can be (RFC 7692 §7.1).
fn is_offer(element: &Element<'_>) -> bool {
    element.name.eq_ignore_ascii_case(NAME)
        && element.parameters.iter().enumerate().all(|(at, (name, value))| {
            let again = element.parameters.iter().take(at).any(|(other, _)| other.eq_ignore_ascii_case(name));
            !again
                && match (name.to_ascii_lowercase().as_str(), value) {
                    ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {
                        true
                    }
                    ("server_max_window_bits" | "client_max_window_bits", Some(bits)) => bits_of(bits).is_some(),
                    _ => false,
                }
        })
}

/// 8 to 15, without leading zeros.
fn bits_of(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| (8..=15).contains(bits))?;
    (!text.starts_with(['0', '+'])).then_some(bits)
}

fn elements(value: &str) -> impl Iterator<Item = Element<'_>> {
    split(value, ',').filter(|text| !text.is_empty()).map(|text| {
        let mut parts = split(text, ';');
        let name = parts.next().unwrap_or_default();
        let parameters = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (part, None),
        });
        Element { text, name, parameters: parameters.collect() }
    })
}

/// The parts between separators that stand outside of quoted strings, trimmed.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_that_are_understood_go_on_as_written() {
        let kept = |value| understood(value);
        assert_eq!(kept("permessage-deflate"), Some("permessage-deflate".into()));
        let chrome = "permessage-deflate; client_max_window_bits";
        assert_eq!(kept(chrome), Some(chrome.into()));
        assert_eq!(
            kept("x-webkit-deflate-frame, permessage-deflate ; server_max_window_bits=10 , foo; a=\"x,y\""),
            Some("permessage-deflate ; server_max_window_bits=10".into())
        );
        for other in [
            "",
            "foo",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; unknown",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        ] {
            assert_eq!(kept(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_agreed() {
        let all = "permessage-deflate; client_max_window_bits; server_max_window_bits=12, permessage-deflate";
        let terms = |answer| agreed(Some(all), Some(answer)).map(Option::unwrap);
        let open = Direction { takeover: true, window: 15 };
        assert_eq!(terms("permessage-deflate"), Ok(Deflate { up: open, down: open }));
        assert_eq!(
            terms("Permessage-Deflate; server_no_context_takeover; client_no_context_takeover"),
            Ok(Deflate { up: Direction { takeover: false, ..open }, down: Direction { takeover: false, ..open } })
        );
        assert_eq!(
            terms("permessage-deflate; client_max_window_bits=\"10\"; server_max_window_bits=9"),
            Ok(Deflate { up: Direction { window: 10, ..open }, down: Direction { window: 9, ..open } })
        );
        assert_eq!(agreed(Some(all), None), Ok(None));
        assert_eq!(agreed(None, Some("")), Ok(None));
    }

    #[test]
    fn an_answer_to_nothing_is_none() {
        for (offered, answer) in [
            (None, "permessage-deflate"),
            (Some("permessage-deflate"), "foo"),
            (Some("permessage-deflate"), "permessage-deflate, permessage-deflate"),
            (Some("permessage-deflate"), "permessage-deflate; client_max_window_bits=10"),
            (Some("permessage-deflate; client_max_window_bits"), "permessage-deflate; client_max_window_bits"),
            (Some("permessage-deflate"), "permessage-deflate; foo"),
            (Some("permessage-deflate; server_no_context_takeover"), "permessage-deflate"),
            (Some("permessage-deflate; server_max_window_bits=10"), "permessage-deflate"),
            (Some("permessage-deflate; server_max_window_bits=10"), "permessage-deflate; server_max_window_bits=11"),
            (Some("permessage-deflate"), "permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
        ] {
            assert!(agreed(offered, Some(answer)).is_err(), "{offered:?} {answer}");
        }
    }
}
