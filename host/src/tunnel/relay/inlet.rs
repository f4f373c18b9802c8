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
mod tests;
