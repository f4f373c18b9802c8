//! What comes from one side: bytes into frames, and frames into messages where somebody wants
//! to see them.

use super::Violation;
use super::frame::{self, Head, LONGEST_CONTROL, LONGEST_HEAD, Mask, Opcode, Parsed};
use super::text::Checked;
use crate::hook::Content;

/// What is to be collected of each kind of message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The most that anybody wants to see of a text; none where nobody wants to see one.
    pub(super) text: Option<usize>,
    /// The same of binary messages.
    pub(super) binary: Option<usize>,
    /// Whether compressed messages are collected whatever they are: later ones refer to them.
    pub(super) compressed: bool,
}

impl Wanted {
    fn of(&self, content: Content, compressed: bool) -> Option<usize> {
        let wanted = match content {
            Content::Text => self.text,
            Content::Binary => self.binary,
        };
        match compressed {
            true if self.compressed => Some(usize::MAX),
            // How long it is shows only when it is inflated.
            true => wanted.map(|_| usize::MAX),
            false => wanted,
        }
    }
}

/// One side's frames.
#[derive(Debug)]
pub(super) struct Inlet {
    /// Whether its frames must be masked: a client's.
    masked: bool,
    /// Whether RSV1 has a meaning.
    deflate: bool,
    pub(super) wanted: Wanted,
    /// The most bytes that are collected of one message.
    most: usize,
    /// The beginning of a head, or of a control frame.
    carry: Vec<u8>,
    /// The data frame that has not come whole.
    frame: Option<Frame>,
    message: Message,
    /// Nothing that still comes is looked at: its close frame has come, or what came was none.
    pub(super) is_over: bool,
}

/// A data frame of which a part has come.
#[derive(Debug, Clone, Copy)]
struct Frame {
    head: Head,
    /// Bytes that are still to come.
    left: u64,
    /// The mask for them.
    mask: Option<Mask>,
}

/// The message that has begun.
#[derive(Debug)]
enum Message {
    None,
    /// It goes on as it comes.
    Stream,
    /// Its rest is left out.
    Skip,
    Collect(Collected),
}

/// What has come of a message.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) content: Content,
    pub(super) compressed: bool,
    /// Unmasked.
    pub(super) data: Vec<u8>,
    checked: Checked,
    /// So many bytes are enough to ask.
    enough: usize,
}

/// What bytes came to.
#[derive(Debug)]
pub(super) enum Event {
    /// They are taken, and nothing is to be done yet.
    Nothing,
    /// They go on as they are, behind these.
    Forward(Vec<u8>),
    /// They are left out.
    Skipped,
    /// They are a control frame, whose payload begins at this place; or these are, where it came
    /// in parts.
    Control(Head, usize, Option<Vec<u8>>),
    /// They are a whole message, whose payload begins at this place and is still masked.
    Whole(Head, usize),
    /// A message that came in parts is whole: [`Inlet::take`] has it.
    Collected,
    /// A part of a message is there that is enough to ask: [`Inlet::peek`] has it.
    Enough,
    /// It cannot go on.
    Bad(Violation),
}

impl Inlet {
    pub(super) fn new(masked: bool, deflate: bool, most: usize) -> Self {
        Self {
            masked,
            deflate,
            wanted: Wanted::default(),
            most,
            carry: Vec::new(),
            frame: None,
            message: Message::None,
            is_over: false,
        }
    }

    /// Whether a part of a frame has gone on whose rest must follow.
    pub(super) fn is_within_frame(&self) -> bool {
        self.frame.is_some() && matches!(self.message, Message::Stream)
    }

    /// Whether a part of a message has gone on whose rest must follow.
    pub(super) fn is_within_message(&self) -> bool {
        matches!(self.message, Message::Stream)
    }

    /// From now on nothing goes on: only close frames are looked for.
    pub(super) fn skip_all(&mut self) {
        self.wanted = Wanted::default();
        if !matches!(self.message, Message::None) {
            self.message = Message::Skip;
        }
    }

    /// The message that [`Event::Collected`] told of.
    pub(super) fn take(&mut self) -> Option<Collected> {
        match std::mem::replace(&mut self.message, Message::None) {
            Message::Collect(collected) => Some(collected),
            other => {
                self.message = other;
                None
            }
        }
    }

    /// What [`Event::Enough`] told of: whole characters of a text.
    pub(super) fn peek(&self) -> Option<&Collected> {
        match &self.message {
            Message::Collect(collected) => Some(collected),
            _ => None,
        }
    }

    /// The message of which a part was collected goes on, its rest as it comes; or is left out.
    /// Writes what was collected where it goes on.
    pub(super) fn release(&mut self, goes_on: bool, masks: bool, out: &mut Vec<u8>) {
        let Some(Collected { content, data, .. }) = self.take() else { return };
        if !goes_on {
            self.message = Message::Skip;
            return;
        }
        let mut opcode = Opcode::Data(content);
        let Some(rest) = &mut self.frame else {
            // The frames so far as one.
            frame::write(out, opcode, false, false, masks, &data);
            self.message = Message::Stream;
            return;
        };
        // Frames that have ended as one, and then the one that has not.
        let here = usize::try_from(rest.head.length - rest.left).unwrap_or(usize::MAX);
        let (before, begun) = data.split_at_checked(data.len().saturating_sub(here)).unwrap_or((&[], &data));
        if !before.is_empty() {
            frame::write(out, opcode, false, false, masks, before);
            opcode = Opcode::Continuation;
        }
        frame::write_head(out, &Head { opcode, ..rest.head });
        let start = out.len();
        out.extend_from_slice(begun);
        // With the key that its rest comes with.
        if let (Some(mask), Some(written)) = (rest.head.mask, out.get_mut(start..)) {
            mask.apply(written);
        }
        self.message = Message::Stream;
    }

    /// Look at bytes: how many were used, and what they came to. Called again with those that
    /// follow, as long as there are any.
    pub(super) fn next(&mut self, bytes: &mut [u8]) -> (usize, Event) {
        if self.is_over {
            return (bytes.len(), Event::Skipped);
        }
        if self.frame.is_some() {
            return self.go_on(bytes);
        }
        if !self.carry.is_empty() {
            return self.complete(bytes);
        }
        match frame::parse(bytes, self.masked, self.deflate) {
            Parsed::Bad(why) => self.bad(Violation::Protocol(why)),
            Parsed::Partial => {
                self.carry.extend_from_slice(bytes);
                (bytes.len(), Event::Nothing)
            }
            Parsed::Head(head, start) if head.opcode.is_control() => {
                let length = usize::try_from(head.length).unwrap_or(LONGEST_CONTROL);
                if bytes.len() < start + length {
                    self.carry.extend_from_slice(bytes);
                    return (bytes.len(), Event::Nothing);
                }
                (start + length, Event::Control(head, start, None))
            }
            Parsed::Head(head, start) => {
                let whole = usize::try_from(head.length).ok().and_then(|length| length.checked_add(start));
                if let Some(whole) = whole.filter(|whole| *whole <= bytes.len() && self.is_alone(&head)) {
                    if whole - start > self.most && self.enough(&head) > self.most {
                        return self.bad(Violation::TooLarge);
                    }
                    return (whole, Event::Whole(head, start));
                }
                match self.begin(&head) {
                    Ok(()) => self.payload(bytes, start, Vec::new()),
                    Err(violation) => self.bad(violation),
                }
            }
        }
    }

    /// How much of the message that begins so anybody wants to see.
    fn enough(&self, head: &Head) -> usize {
        match head.opcode {
            Opcode::Data(content) => self.wanted.of(content, head.compressed).unwrap_or_default(),
            _ => 0,
        }
    }

    /// Whether a frame is a whole message that somebody wants to see.
    fn is_alone(&self, head: &Head) -> bool {
        let Opcode::Data(content) = head.opcode else { return false };
        let is_new = matches!(self.message, Message::None);
        head.fin && is_new && self.wanted.of(content, head.compressed).is_some()
    }

    fn bad(&mut self, violation: Violation) -> (usize, Event) {
        self.is_over = true;
        (0, Event::Bad(violation))
    }

    /// More of a head or control frame whose beginning is in the carry.
    fn complete(&mut self, bytes: &mut [u8]) -> (usize, Event) {
        let had = self.carry.len();
        // A head and a control frame's payload are all that is ever carried.
        let room = (LONGEST_HEAD + LONGEST_CONTROL).saturating_sub(had).min(bytes.len());
        self.carry.extend_from_slice(bytes.get(..room).unwrap_or_default());
        match frame::parse(&self.carry, self.masked, self.deflate) {
            Parsed::Bad(why) => self.bad(Violation::Protocol(why)),
            Parsed::Partial => (room, Event::Nothing),
            Parsed::Head(head, start) if head.opcode.is_control() => {
                let whole = start + usize::try_from(head.length).unwrap_or(LONGEST_CONTROL);
                if self.carry.len() < whole {
                    return (room, Event::Nothing);
                }
                let mut frame = std::mem::take(&mut self.carry);
                frame.truncate(whole);
                (whole.saturating_sub(had), Event::Control(head, start, Some(frame)))
            }
            Parsed::Head(head, start) => {
                let mut before = std::mem::take(&mut self.carry);
                before.truncate(had);
                match self.begin(&head) {
                    Ok(()) => self.payload(bytes, start.saturating_sub(had), before),
                    Err(violation) => self.bad(violation),
                }
            }
        }
    }

    /// A data frame begins.
    fn begin(&mut self, head: &Head) -> Result<(), Violation> {
        match (head.opcode, &mut self.message) {
            (Opcode::Continuation, Message::None) => {
                return Err(Violation::Protocol("a message goes on that has not begun"));
            }
            (Opcode::Data(_), Message::Stream | Message::Skip | Message::Collect(_)) => {
                return Err(Violation::Protocol("a message begins within another"));
            }
            (Opcode::Data(content), message) => {
                let (content, compressed) = (content, head.compressed);
                *message = match self.wanted.of(content, compressed) {
                    None => Message::Stream,
                    Some(enough) => Message::Collect(Collected {
                        content,
                        compressed,
                        data: Vec::new(),
                        checked: Checked::default(),
                        enough,
                    }),
                };
            }
            _ => {}
        }
        if let Message::Collect(collected) = &self.message {
            let more = usize::try_from(head.length).unwrap_or(usize::MAX);
            if collected.enough > self.most && collected.data.len().saturating_add(more) > self.most {
                return Err(Violation::TooLarge);
            }
        }
        self.frame = Some(Frame { head: *head, left: head.length, mask: head.mask });
        Ok(())
    }

    /// A frame's payload begins at `start` of these bytes; `before` is what came of its head before
    /// them.
    fn payload(&mut self, bytes: &mut [u8], start: usize, before: Vec<u8>) -> (usize, Event) {
        let (used, event) = self.go_on(bytes.get_mut(start..).unwrap_or_default());
        let event = if let Event::Forward(_) = event { Event::Forward(before) } else { event };
        (start + used, event)
    }

    /// More of a frame's payload.
    fn go_on(&mut self, bytes: &mut [u8]) -> (usize, Event) {
        let Some(frame) = &mut self.frame else { return (0, Event::Nothing) };
        let used = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes.get_mut(..used).unwrap_or_default();
        frame.left -= used as u64;
        let mask = frame.mask;
        frame.mask = mask.map(|mask| mask.after(used));
        let ended = frame.left == 0;
        let last = ended && frame.head.fin;
        if ended {
            self.frame = None;
        }
        let event = match &mut self.message {
            Message::None => Event::Nothing,
            Message::Stream | Message::Skip => {
                let skips = matches!(self.message, Message::Skip);
                if last {
                    self.message = Message::None;
                }
                if skips { Event::Skipped } else { Event::Forward(Vec::new()) }
            }
            Message::Collect(collected) => {
                if let Some(mask) = mask {
                    mask.apply(part);
                }
                collected.data.extend_from_slice(part);
                collected.judge(last, self.most)
            }
        };
        if matches!(event, Event::Bad(_)) {
            self.is_over = true;
        }
        (used, event)
    }
}

impl Collected {
    /// What there is to show: whole characters of a text.
    pub(super) fn shown(&self) -> &[u8] {
        match self.content {
            Content::Text if !self.compressed => self.checked.of(&self.data),
            _ => &self.data,
        }
    }

    /// What is there now that more has come.
    fn judge(&mut self, last: bool, most: usize) -> Event {
        if self.content == Content::Text && !self.compressed {
            let good = self.checked.grown(&self.data) && (!last || self.checked.is_whole(&self.data));
            if !good {
                return Event::Bad(Violation::Text);
            }
        }
        if last {
            Event::Collected
        } else if self.data.len() >= self.enough {
            Event::Enough
        } else if self.data.len() > most {
            Event::Bad(Violation::TooLarge)
        } else {
            Event::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers by chance, the same in each run.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, most: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % most as u64).unwrap()
        }
    }

    /// What an inlet makes of bytes that come in these pieces: messages, control frames, and what
    /// goes on as it is.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Seen {
        messages: Vec<(Content, bool, Vec<u8>)>,
        control: Vec<(Opcode, Vec<u8>)>,
        forwarded: Vec<u8>,
        bad: Option<Violation>,
    }

    fn run(inlet: &mut Inlet, pieces: impl IntoIterator<Item = Vec<u8>>) -> Seen {
        let mut seen = Seen::default();
        for mut piece in pieces {
            let mut at = 0;
            while at < piece.len() && seen.bad.is_none() {
                let (used, event) = inlet.next(&mut piece[at..]);
                let part = &mut piece[at..at + used];
                at += used;
                match event {
                    Event::Nothing | Event::Skipped => {}
                    Event::Forward(before) => {
                        seen.forwarded.extend(before);
                        seen.forwarded.extend_from_slice(part);
                    }
                    Event::Control(head, start, carried) => {
                        let mut frame = carried.unwrap_or_else(|| part.to_vec());
                        head.mask.unwrap().apply(&mut frame[start..]);
                        seen.control.push((head.opcode, frame[start..].to_vec()));
                    }
                    Event::Whole(head, start) => {
                        head.mask.unwrap().apply(&mut part[start..]);
                        let Opcode::Data(content) = head.opcode else { panic!("{head:?}") };
                        seen.messages.push((content, head.compressed, part[start..].to_vec()));
                    }
                    Event::Collected => {
                        let collected = inlet.take().unwrap();
                        seen.messages.push((collected.content, collected.compressed, collected.data));
                    }
                    Event::Enough => {
                        let shown = inlet.peek().unwrap().shown().to_vec();
                        seen.messages.push((Content::Text, false, shown));
                        inlet.release(false, true, &mut Vec::new());
                    }
                    Event::Bad(violation) => seen.bad = Some(violation),
                }
            }
        }
        seen
    }

    fn inlet(wanted: Wanted) -> Inlet {
        let mut inlet = Inlet::new(true, true, 1 << 20);
        inlet.wanted = wanted;
        inlet
    }

    const ALL: Wanted = Wanted { text: Some(usize::MAX), binary: Some(usize::MAX), compressed: false };
    const TEXT: Wanted = Wanted { text: Some(usize::MAX), binary: None, compressed: false };

    /// Messages by chance, in frames by chance, with control frames between them; what should come
    /// of them.
    fn stream(chance: &mut Chance) -> (Vec<u8>, Seen) {
        let (mut bytes, mut wanted) = (Vec::new(), Seen::default());
        for _ in 0..1 + chance.below(6) {
            let content = if chance.below(2) == 0 { Content::Text } else { Content::Binary };
            let compressed = chance.below(4) == 0;
            let length = [0, 1, 5, 124, 125, 126, 127, 300, 5000][chance.below(9)];
            let byte = if content == Content::Text { 0x61 } else { 0xFF };
            let payload = vec![byte; length];
            let frames = 1 + chance.below(4);
            let mut rest = &payload[..];
            for n in 0..frames {
                if chance.below(4) == 0 {
                    let ping = vec![0x70; chance.below(126)];
                    frame::write(&mut bytes, Opcode::Ping, true, false, true, &ping);
                    wanted.control.push((Opcode::Ping, ping));
                }
                let last = n + 1 == frames;
                let (part, more) = rest.split_at(if last { rest.len() } else { chance.below(rest.len() + 1) });
                let opcode = if n == 0 { Opcode::Data(content) } else { Opcode::Continuation };
                let start = bytes.len();
                frame::write(&mut bytes, opcode, last, compressed && n == 0, true, part);
                if content == Content::Binary {
                    wanted.forwarded.extend_from_slice(&bytes[start..]);
                }
                rest = more;
            }
            wanted.messages.push((content, compressed, payload));
        }
        (bytes, wanted)
    }

    fn pieces(bytes: &[u8], chance: &mut Chance, most: usize) -> Vec<Vec<u8>> {
        let (mut rest, mut pieces) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((1 + chance.below(most)).min(rest.len()));
            pieces.push(piece.to_vec());
            rest = more;
        }
        pieces
    }

    /// However bytes are cut, the same messages and control frames come of them.
    #[test]
    fn frames_are_put_together_however_they_are_cut() {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        for round in 0..400 {
            let (bytes, wanted) = stream(&mut chance);
            for most in [1, 3, 20, 200, 100_000] {
                let seen = run(&mut inlet(ALL), pieces(&bytes, &mut chance, most));
                assert_eq!(seen.messages, wanted.messages, "round {round}, pieces of {most}");
                assert_eq!(seen.control, wanted.control, "round {round}, pieces of {most}");
                assert_eq!((seen.forwarded.len(), seen.bad), (0, None));
                // What nobody wants to see goes on byte for byte.
                let seen = run(&mut inlet(TEXT), pieces(&bytes, &mut chance, most));
                assert!(seen.forwarded == wanted.forwarded, "round {round}, pieces of {most}");
                let texts = wanted.messages.iter().filter(|(content, ..)| *content == Content::Text);
                assert!(seen.messages.iter().eq(texts));
                assert_eq!(seen.control, wanted.control);
            }
        }
    }

    #[test]
    fn every_cut_in_two_of_a_short_stream() {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, Opcode::Data(Content::Text), false, false, true, "aé".as_bytes());
        frame::write(&mut bytes, Opcode::Ping, true, false, true, b"now");
        frame::write(&mut bytes, Opcode::Continuation, true, false, true, "€".as_bytes());
        frame::write(&mut bytes, Opcode::Data(Content::Binary), true, true, true, &[7; 130]);
        frame::write(&mut bytes, Opcode::Close, true, false, true, b"\x03\xe8bye");
        for cut in 0..=bytes.len() {
            let seen = run(&mut inlet(ALL), [bytes[..cut].to_vec(), bytes[cut..].to_vec()]);
            let messages =
                vec![(Content::Text, false, "aé€".as_bytes().to_vec()), (Content::Binary, true, vec![7; 130])];
            let control = vec![(Opcode::Ping, b"now".to_vec()), (Opcode::Close, b"\x03\xe8bye".to_vec())];
            assert_eq!(seen, Seen { messages, control, forwarded: Vec::new(), bad: None }, "cut at {cut}");
        }
    }

    /// Bytes by chance are refused sooner or later, and until then no more is kept than may be.
    #[test]
    fn noise_is_borne() {
        let mut chance = Chance(0x2545_f491_4f6c_dd1d);
        let mut refused = 0;
        for _ in 0..2000 {
            let noise: Vec<u8> = (0..chance.below(4000)).map(|_| chance.below(256) as u8).collect();
            let mut inlet = Inlet::new(chance.below(2) == 0, chance.below(2) == 0, 1000);
            inlet.wanted = ALL;
            let mut at = 0;
            let mut bytes = noise.clone();
            while at < bytes.len() {
                let (used, event) = inlet.next(&mut bytes[at..]);
                at += used;
                match event {
                    Event::Bad(_) => {
                        refused += 1;
                        break;
                    }
                    Event::Collected => drop(inlet.take()),
                    _ => assert!(inlet.peek().is_none_or(|collected| collected.data.len() <= 1000)),
                }
            }
        }
        assert!(refused > 1000, "{refused}");
    }
}
