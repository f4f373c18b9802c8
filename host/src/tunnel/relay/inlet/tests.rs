//! Frames that come in pieces.

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
        let messages = vec![(Content::Text, false, "aé€".as_bytes().to_vec()), (Content::Binary, true, vec![7; 130])];
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
