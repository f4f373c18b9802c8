//! Frames and deflate under fire: streams that are almost right, cut anywhere. What comes of bytes may
//! not depend on how they come, nothing panics, and memory stays within what was promised.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Violation;
use super::close;
use super::deflate::{Caps, Codec};
use super::extension::Direction;
use super::frame::{self, LONGEST_CONTROL, LONGEST_HEAD, Opcode};
use super::inlet::{Event, Inlet, Wanted};
use crate::hook::Content;

/// Numbers by chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// The longest message of these tests.
const MOST: usize = 2000;

/// What comes of bytes, without how they came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Content, whether compressed, payload.
    messages: Vec<(Content, bool, Vec<u8>)>,
    control: Vec<(Opcode, Vec<u8>)>,
    forwarded: Vec<u8>,
    end: Option<Violation>,
}

impl Outcome {
    /// Of bytes that come in these pieces.
    fn of<'a>(mut inlet: Inlet, pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut outcome = Self::default();
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut at = 0;
            while at < piece.len() && outcome.end.is_none() {
                let (used, event) = inlet.next(&mut piece[at..]);
                assert!(used > 0 || matches!(event, Event::Bad(_)), "no byte is looked at for ever: {event:?}");
                let part = &mut piece[at..at + used];
                at += used;
                outcome.take(&mut inlet, event, part);
                let held = inlet.peek().map_or(0, |collected| collected.data.len());
                assert!(held <= MOST, "{held} bytes are held");
            }
        }
        outcome
    }

    /// As the relay does with each event.
    fn take(&mut self, inlet: &mut Inlet, event: Event, part: &mut [u8]) {
        match event {
            Event::Nothing | Event::Skipped => {}
            Event::Forward(before) => {
                assert!(before.len() <= LONGEST_HEAD);
                self.forwarded.extend(before);
                self.forwarded.extend_from_slice(part);
            }
            Event::Control(head, start, carried) => {
                let mut frame = carried.unwrap_or_else(|| part.to_vec());
                assert!(frame.len() <= LONGEST_HEAD + LONGEST_CONTROL);
                head.mask.into_iter().for_each(|mask| mask.apply(&mut frame[start..]));
                let payload = frame.split_off(start);
                if head.opcode == Opcode::Close {
                    self.end = close::read(&payload).err();
                }
                self.control.push((head.opcode, payload));
            }
            Event::Whole(head, start) => {
                let payload = &mut part[start..];
                head.mask.into_iter().for_each(|mask| mask.apply(payload));
                let Opcode::Data(content) = head.opcode else { panic!("{head:?} is no message") };
                if content == Content::Text && !head.compressed && std::str::from_utf8(payload).is_err() {
                    self.end = Some(Violation::Text);
                } else {
                    self.messages.push((content, head.compressed, payload.to_vec()));
                }
            }
            Event::Collected => {
                let collected = inlet.take().unwrap();
                self.messages.push((collected.content, collected.compressed, collected.data));
            }
            Event::Enough => panic!("all of it is wanted"),
            Event::Bad(violation) => self.end = Some(violation),
        }
    }
}

fn inlet(masked: bool, deflate: bool, wants_binary: bool) -> Inlet {
    let mut inlet = Inlet::new(masked, deflate, MOST);
    inlet.wanted = Wanted { text: Some(usize::MAX), binary: wants_binary.then_some(usize::MAX), compressed: false };
    inlet
}

/// Frames that may follow each other, most of them.
fn frames(chance: &mut Chance, masked: bool, deflate: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + chance.below(5) {
        let content = chance.of(&[Content::Text, Content::Binary]);
        let compressed = deflate && chance.below(3) == 0;
        let length = chance.of(&[0, 1, 3, 124, 125, 126, 127, 300, MOST - 1, MOST, MOST + 1]);
        let text = "aé€😀".repeat(length / 10 + 1).into_bytes();
        let payload = if content == Content::Text { text[..length].to_vec() } else { chance.bytes(length) };
        let mut rest = &payload[..];
        let count = 1 + chance.below(4);
        for n in 0..count {
            if chance.below(4) == 0 {
                let opcode = chance.of(&[Opcode::Ping, Opcode::Pong, Opcode::Ping, Opcode::Close]);
                let length = chance.of(&[0, 0, 1, 2, 20, 125]);
                frame::write(&mut bytes, opcode, true, false, masked, &chance.bytes(length));
            }
            let last = n + 1 == count;
            let (part, more) = rest.split_at(if last { rest.len() } else { chance.below(rest.len() + 1) });
            let opcode = if n == 0 { Opcode::Data(content) } else { Opcode::Continuation };
            frame::write(&mut bytes, opcode, last, compressed && n == 0, masked, part);
            rest = more;
        }
    }
    bytes
}

/// Change a few bytes, mostly where heads are; leave some out, or bring some twice.
fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..chance.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = if chance.below(2) == 0 { chance.below(bytes.len().min(16)) } else { chance.below(bytes.len()) };
        match chance.below(5) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = chance.of(&[0, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x88, 0x89, 0xc1, 0xfe, 0xff]),
            2 => drop(bytes.drain(at..(at + 1 + chance.below(20)).min(bytes.len()))),
            3 => {
                let twice = bytes[at..(at + 1 + chance.below(40)).min(bytes.len())].to_vec();
                bytes.splice(at..at, twice);
            }
            _ => bytes.truncate(at),
        }
    }
}

fn cut<'a>(chance: &mut Chance, bytes: &'a [u8], most: usize) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((1 + chance.below(most)).min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

#[test]
fn what_comes_of_frames_does_not_depend_on_how_they_are_cut() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut ends) = (0, Vec::new());
    for round in 0..1500 {
        let (masked, deflate, binary) = (chance.below(4) > 0, chance.below(2) == 0, chance.below(3) > 0);
        let mut bytes = frames(&mut chance, masked, deflate);
        mutate(&mut chance, &mut bytes);
        let whole = Outcome::of(inlet(masked, deflate, binary), std::iter::once(&bytes[..]));
        for most in [1, 2, 7, 130, 1500] {
            let pieces = cut(&mut chance, &bytes, most);
            let pieced = Outcome::of(inlet(masked, deflate, binary), pieces.into_iter());
            assert!(whole == pieced, "round {round}, pieces of {most}: {:?} {:?}", whole.end, pieced.end);
        }
        good += whole.messages.len();
        ends.extend(whole.end.map(|end| std::mem::discriminant(&end)));
    }
    let kinds = [Violation::Protocol(""), Violation::Text, Violation::TooLarge];
    let each = kinds.map(|kind| ends.iter().filter(|end| **end == std::mem::discriminant(&kind)).count());
    assert!(good > 500 && each.iter().all(|count| *count > 30), "{good} messages; ends: {each:?}");
}

/// What is not looked into goes on byte for byte, until it is no frame any more.
#[test]
fn what_nobody_wants_is_not_touched() {
    let mut chance = Chance(0x1234_5678_9abc_def1);
    let mut forwarded = 0;
    for _ in 0..500 {
        let mut bytes = frames(&mut chance, true, true);
        mutate(&mut chance, &mut bytes);
        let blind = || Inlet::new(true, true, MOST);
        let whole = Outcome::of(blind(), std::iter::once(&bytes[..]));
        let pieces = cut(&mut chance, &bytes, 50);
        assert!(whole == Outcome::of(blind(), pieces.into_iter()));
        forwarded += whole.forwarded.len();
        // Behind each other with control frames in between: nothing is made up, nothing comes twice.
        let mut rest = &bytes[..];
        for byte in &whole.forwarded {
            let at = rest.iter().position(|other| other == byte).expect("it was sent");
            rest = &rest[at + 1..];
        }
    }
    assert!(forwarded > 20_000, "{forwarded}");
}

const CAPS: Caps = Caps { size: 64 << 10, ratio: 1000 };
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

fn codec(takeover: bool) -> Codec {
    Codec::new(Direction { takeover, window: 15 })
}

/// Text that can be compressed, in parts.
fn plain(chance: &mut Chance) -> Vec<u8> {
    let mut plain = Vec::new();
    for _ in 0..chance.below(6) {
        match chance.below(3) {
            0 => plain.extend(vec![chance.next().to_le_bytes()[1]; chance.below(9000)]),
            1 => {
                let length = chance.below(400);
                plain.extend(chance.bytes(length));
            }
            _ => plain.extend(b"the same words again and again ".repeat(chance.below(60))),
        }
    }
    plain
}

/// A message as some sender compresses it: blocks that end where chance will, of any level.
fn packed(chance: &mut Chance, compress: &mut Compress, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() * 2 + 4096);
    for piece in cut(chance, plain, plain.len().max(1)) {
        let mut rest = piece;
        let flush = chance.of(&[FlushCompress::None, FlushCompress::Sync, FlushCompress::Partial]);
        while !rest.is_empty() {
            let before = compress.total_in();
            compress.compress_vec(rest, &mut out, flush).unwrap();
            rest = &rest[usize::try_from(compress.total_in() - before).unwrap()..];
        }
    }
    compress.compress_vec(&[], &mut out, FlushCompress::Sync).unwrap();
    if !out.ends_with(&TAIL) {
        compress.compress_vec(&[], &mut out, FlushCompress::Sync).unwrap();
    }
    match out.strip_suffix(&TAIL) {
        Some([]) => vec![0],
        Some(kept) => kept.to_vec(),
        // All of it had been flushed already: an empty block ends it (RFC 7692 §7.2.3.6).
        None => [&out[..], &[0]].concat(),
    }
}

/// The library's word on a whole message, in one buffer that has room for all of it.
fn reference(inflate: &mut Decompress, packed: &[u8]) -> Option<Vec<u8>> {
    let whole = [packed, &TAIL].concat();
    let mut out = Vec::with_capacity(4 << 20);
    let mut rest = &whole[..];
    while !rest.is_empty() {
        let before = (inflate.total_in(), out.len());
        let status = inflate.decompress_vec(rest, &mut out, FlushDecompress::Sync).ok()?;
        let used = usize::try_from(inflate.total_in() - before.0).unwrap();
        rest = &rest[used..];
        if status == Status::StreamEnd {
            inflate.reset(false);
        } else if used == 0 && out.len() == before.1 {
            return None;
        }
    }
    Some(out)
}

#[test]
fn what_others_deflate_is_inflated() {
    let mut chance = Chance(0x0dd0_5eed_1234_9876);
    for takeover in [true, false] {
        for round in 0..40 {
            let level = Compression::new(u32::try_from(chance.below(10)).unwrap());
            let (mut compress, mut receiver) = (Compress::new(level, false), codec(takeover));
            for _ in 0..6 {
                if !takeover {
                    compress.reset();
                }
                let text = plain(&mut chance);
                let packed = packed(&mut chance, &mut compress, &text);
                let mut out = Vec::new();
                assert_eq!(receiver.inflate(&packed, &mut out, CAPS), Ok(()), "round {round}, {level:?}");
                assert!(out == text, "round {round}, {level:?}");
            }
        }
    }
}

#[test]
fn what_is_deflated_here_others_inflate() {
    let mut chance = Chance(0x7777_1234_4321_0001);
    for takeover in [true, false] {
        let (mut sender, mut inflate) = (codec(takeover), Decompress::new(false));
        for round in 0..100 {
            if !takeover {
                inflate.reset(false);
            }
            let text = plain(&mut chance);
            let mut out = Vec::new();
            assert!(sender.deflate(&text, &mut out));
            assert!(!out.ends_with(&TAIL), "RFC 7692 §7.2.1");
            assert!(reference(&mut inflate, &out).as_deref() == Some(&text[..]), "round {round}, takeover {takeover}");
        }
    }
}

/// Compressed messages with a few bytes changed: the library's word on the whole is ours, as far as it
/// is within the caps, and past them no more memory is taken.
#[test]
fn deflate_data_that_is_almost_right() {
    let mut chance = Chance(0x5151_0000_aaaa_4242);
    let (mut good, mut broken, mut large) = (0, 0, 0);
    for round in 0..1200 {
        let text = plain(&mut chance);
        let mut compress = Compress::new(Compression::new(u32::try_from(chance.below(10)).unwrap()), false);
        let mut bytes = packed(&mut chance, &mut compress, &text);
        mutate(&mut chance, &mut bytes);
        let caps = Caps { size: chance.of(&[1000, 8 << 10, 64 << 10]), ratio: chance.of(&[1, 20, 1000]) };
        let mut out = Vec::new();
        let said = codec(chance.below(2) == 0).inflate(&bytes, &mut out, caps);
        assert!(out.capacity() <= caps.size + 64, "{} bytes for {caps:?}", out.capacity());
        let wanted = reference(&mut Decompress::new(false), &bytes);
        match (said, wanted) {
            (Ok(()), wanted) => {
                assert!(wanted.as_ref() == Some(&out), "round {round}");
                good += 1;
            }
            (Err(Violation::TooLarge), wanted) => {
                // Where it was stopped it may not have come to what is wrong further on.
                assert!(wanted.is_none_or(|wanted| wanted.len() > caps.size), "round {round}");
                large += 1;
            }
            (Err(violation), wanted) => {
                assert!(violation == Violation::Packed && wanted.is_none(), "round {round}: {violation:?}");
                broken += 1;
            }
        }
    }
    assert!(good > 100 && broken > 60 && large > 60, "{good} {broken} {large}");
}
