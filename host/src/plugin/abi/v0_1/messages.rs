//! Hook `messages` between the guest's values and the core's, and what hook `tunnel` is told.

use super::bindings::exports::tidegate::plugin::messages as wit;
use super::bindings::exports::tidegate::plugin::tunnel;
use crate::hook::{
    Closing, Content, Counts, Interest, Judgement, Message, Outgoing, Subscription, TunnelSummary, Way, is_close_code,
};

/// What a close frame has room for beside its code (RFC 6455 §5.5).
const LONGEST_REASON: usize = 123;

type Checked<T> = Result<T, String>;

/// What `open` answered.
pub(in crate::plugin) fn subscription(raw: wit::Subscription) -> Subscription {
    let kinds = [
        (wit::Interest::TEXT_TO_UPSTREAM, Way::Up, Content::Text),
        (wit::Interest::BINARY_TO_UPSTREAM, Way::Up, Content::Binary),
        (wit::Interest::TEXT_TO_CLIENT, Way::Down, Content::Text),
        (wit::Interest::BINARY_TO_CLIENT, Way::Down, Content::Binary),
    ];
    let wanted = kinds.into_iter().filter(|(flag, ..)| raw.interest.contains(*flag));
    Subscription {
        interest: wanted.fold(Interest::default(), |all, (_, way, content)| all.with(way, content)),
        first: raw.first.and_then(|n| usize::try_from(n).ok()),
    }
}

/// What is told of a message besides its bytes.
pub(in crate::plugin) fn message(message: &Message<'_>) -> wit::Message {
    let way = match message.way {
        Way::Up => wit::Way::ToUpstream,
        Way::Down => wit::Way::ToClient,
    };
    wit::Message { way, text: message.content == Content::Text, length: message.length }
}

/// The answer about a message that carries this.
///
/// # Errors
/// Which rule of the contract it breaks.
pub(in crate::plugin) fn verdict(raw: wit::Verdict, content: Content) -> Checked<Judgement> {
    Ok(match raw {
        wit::Verdict::Pass => Judgement::Pass,
        wit::Verdict::Drop => Judgement::Drop,
        wit::Verdict::Replace(data) => Judgement::Replace(checked(content, data)?),
        wit::Verdict::Inject(raw) => Judgement::Inject {
            messages: raw.messages.into_iter().map(outgoing).collect::<Checked<_>>()?,
            pass: raw.pass,
        },
        wit::Verdict::Close(raw) => Judgement::Close(closing(raw)?),
    })
}

fn outgoing(raw: wit::Outgoing) -> Checked<Outgoing> {
    let way = match raw.way {
        wit::Way::ToUpstream => Way::Up,
        wit::Way::ToClient => Way::Down,
    };
    let content = if raw.text { Content::Text } else { Content::Binary };
    Ok(Outgoing { way, content, data: checked(content, raw.data)? })
}

fn checked(content: Content, data: Vec<u8>) -> Checked<Vec<u8>> {
    match content {
        Content::Text if std::str::from_utf8(&data).is_err() => Err("a text message is not UTF-8".to_owned()),
        _ => Ok(data),
    }
}

fn closing(raw: wit::Closing) -> Checked<Closing> {
    if !is_close_code(raw.code) {
        return Err(format!("{} is no code of a close frame", raw.code));
    }
    if raw.reason.len() > LONGEST_REASON {
        return Err(format!("a close frame's reason of {} bytes is too long", raw.reason.len()));
    }
    Ok(Closing { code: raw.code, reason: raw.reason })
}

/// What `tunnel.on-close` is told.
pub(in crate::plugin) fn summary(summary: &TunnelSummary) -> tunnel::Summary {
    let counts = |counts: Counts| tunnel::Counts { to_upstream: counts.up, to_client: counts.down };
    tunnel::Summary {
        cause: summary.cause.to_owned(),
        close_code: summary.close_code,
        duration_us: summary.duration_us,
        bytes: counts(summary.bytes),
        messages: summary.messages.map(counts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let bad = |raw, content| verdict(raw, content).unwrap_err();
        assert_eq!(bad(wit::Verdict::Replace(vec![0xff]), Content::Text), "a text message is not UTF-8");
        assert_eq!(
            verdict(wit::Verdict::Replace(vec![0xff]), Content::Binary),
            Ok(Judgement::Replace(vec![0xff])),
            "bytes are anything"
        );
        let own = |text, data: &[u8]| wit::Outgoing { way: wit::Way::ToClient, text, data: data.to_vec() };
        let inject = |own| wit::Verdict::Inject(wit::Injection { messages: vec![own], pass: true });
        assert_eq!(bad(inject(own(true, b"\xff")), Content::Binary), "a text message is not UTF-8");
        verdict(inject(own(false, b"\xff")), Content::Text).unwrap();
        let close = |code, reason: String| wit::Verdict::Close(wit::Closing { code, reason });
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert!(bad(close(code, String::new()), Content::Text).contains("no code"), "{code}");
        }
        assert!(bad(close(1000, "x".repeat(124)), Content::Text).contains("too long"));
        verdict(close(4999, "x".repeat(123)), Content::Text).unwrap();
    }

    #[test]
    fn interest_is_taken_over() {
        let raw = wit::Subscription {
            interest: wit::Interest::TEXT_TO_CLIENT | wit::Interest::BINARY_TO_UPSTREAM,
            first: Some(7),
        };
        let interest = Interest::default().with(Way::Down, Content::Text).with(Way::Up, Content::Binary);
        assert_eq!(subscription(raw), Subscription { interest, first: Some(7) });
    }
}
