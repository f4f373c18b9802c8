//! Where frames begin and end in bytes that are passed on as they are (RFC 6455 §5.2).
//!
//! Only heads are looked at. What a head says besides its length is between client and upstream:
//! whatever they agreed on goes through.

/// The longest head: two bytes, eight of length, four of mask.
const LONGEST_HEAD: usize = 14;
const CLOSE: u8 = 8;

/// The frames of one direction.
#[derive(Debug)]
pub(super) struct Frames {
    /// The beginning of a head.
    head: [u8; LONGEST_HEAD],
    had: usize,
    /// Bytes of the frame's payload that are still to come.
    left: u64,
    /// Whether the frame is a close frame.
    is_close: bool,
    /// A close frame is through: nothing may follow.
    is_closed: bool,
    /// What came is no frame: where the next one begins nobody knows.
    is_lost: bool,
    /// Bytes of the message so far.
    message: u64,
    /// How many it may have.
    most: u64,
}

/// A message is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong {
    /// So many of the bytes come before the frame that makes it so; none where its head began in
    /// bytes before them.
    pub(super) before: Option<usize>,
    /// So many of them end with its head.
    pub(super) used: usize,
}

impl Frames {
    /// No byte has come. With `most`, messages have at most so many bytes on the wire.
    pub(super) fn new(most: Option<u64>) -> Self {
        Self {
            head: [0; LONGEST_HEAD],
            had: 0,
            left: 0,
            is_close: false,
            is_closed: false,
            is_lost: false,
            message: 0,
            most: most.unwrap_or(u64::MAX),
        }
    }

    /// Whether a frame of one's own may stand here.
    pub(super) fn is_between(&self) -> bool {
        self.had == 0 && self.left == 0 && !self.is_lost
    }

    /// Whether a close frame is through.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Bytes of payload that are still to come, which nobody needs to look at.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// So many bytes of payload have gone through, unseen.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
        self.end_frame();
    }

    /// Whether it is unknown where frames begin.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// From now on messages may be of any length.
    pub(super) fn allow_all(&mut self) {
        self.most = u64::MAX;
    }

    /// These bytes go through.
    ///
    /// # Errors
    /// [`TooLong`], at the first frame that makes its message so.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let mut at = 0;
        while at < bytes.len() {
            let start = (self.had == 0 && self.left == 0).then_some(at);
            match self.next(bytes.get(at..).unwrap_or_default()) {
                Ok(used) => at += used,
                Err(used) => return Err(TooLong { before: start, used: at + used }),
            }
        }
        Ok(())
    }

    /// The bytes up to the end of the frame that they are in, or all of them.
    ///
    /// # Errors
    /// The bytes up to the end of a head whose message is too long.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        if self.is_lost {
            return Ok(bytes.len());
        }
        let mut used = 0;
        if self.left == 0 {
            used = self.read_head(bytes);
            if self.had > 0 {
                return Ok(used);
            }
            if self.is_lost {
                return Ok(bytes.len());
            }
            if self.message > self.most {
                return Err(used);
            }
        }
        let rest = (bytes.len() - used) as u64;
        let part = self.left.min(rest);
        self.left -= part;
        self.end_frame();
        Ok(used + usize::try_from(part).unwrap_or(0))
    }

    fn end_frame(&mut self) {
        if self.left == 0 && self.had == 0 {
            self.is_closed |= std::mem::take(&mut self.is_close);
        }
    }

    /// Take bytes of a head; how many. Once it is whole, nothing is held of it.
    fn read_head(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        for byte in bytes {
            let Some(place) = self.head.get_mut(self.had) else { break };
            *place = *byte;
            self.had += 1;
            used += 1;
            if self.had == self.head_length() {
                self.head_is_whole();
                break;
            }
        }
        used
    }

    /// The length of the head whose beginning is here.
    fn head_length(&self) -> usize {
        let second = self.head[1];
        let length = match (self.had, second & 0x7F) {
            (0 | 1, _) => return 2,
            (_, 126) => 4,
            (_, 127) => 10,
            _ => 2,
        };
        length + if second & 0x80 == 0 { 0 } else { 4 }
    }

    fn head_is_whole(&mut self) {
        self.had = 0;
        let [first, second, a, b, c, d, e, f, g, h, ..] = self.head;
        self.left = match second & 0x7F {
            126 => u16::from_be_bytes([a, b]).into(),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => short.into(),
        };
        let opcode = first & 0x0F;
        // The highest bit of a length is 0.
        self.is_lost = self.left >> 63 != 0;
        self.is_close = opcode == CLOSE;
        if opcode < CLOSE {
            let before = if opcode == 0 { self.message } else { 0 };
            self.message = before.saturating_add(self.left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, masked: bool, payload: usize) -> Vec<u8> {
        let mask = u8::from(masked) << 7;
        let mut out = vec![first];
        match payload {
            0..126 => out.push(mask | payload as u8),
            126..0x1_0000 => {
                out.push(mask | 126);
                out.extend((payload as u16).to_be_bytes());
            }
            _ => {
                out.push(mask | 127);
                out.extend((payload as u64).to_be_bytes());
            }
        }
        if masked {
            out.extend([1, 2, 3, 4]);
        }
        // What looks like a close frame, if one were to look for it in the wrong place.
        out.resize(out.len() + payload, 0x88);
        out
    }

    #[test]
    fn the_ends_of_frames_are_found_however_bytes_are_cut() {
        let sizes = [0, 1, 125, 126, 300, 0xFFFF, 0x1_0000, 70_000];
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for (n, size) in sizes.into_iter().enumerate() {
            // Reserved bits and opcodes are none of our business.
            bytes.extend(frame(if n % 2 == 0 { 0xC2 } else { 0x7B }, n % 3 != 0, size));
            ends.push(bytes.len());
        }
        for piece in [1, 2, 3, 5, 7, 13, 127, 4096, bytes.len()] {
            let mut frames = Frames::new(None);
            let (mut at, mut found) = (0, Vec::new());
            for part in bytes.chunks(piece) {
                let mut from = 0;
                while from < part.len() {
                    let used = frames.next(&part[from..]).unwrap();
                    (from, at) = (from + used, at + used);
                    if frames.is_between() {
                        found.push(at);
                    }
                }
            }
            assert_eq!(found, ends, "pieces of {piece}");
            assert!(!frames.is_closed());
        }
    }

    #[test]
    fn a_close_frame_is_noticed_when_it_is_whole() {
        let mut bytes = frame(0x82, true, 3);
        bytes.extend(frame(0x88, true, 2));
        let mut frames = Frames::new(None);
        frames.follow(&bytes[..bytes.len() - 1]).unwrap();
        assert!(!frames.is_closed() && !frames.is_between());
        frames.follow(&bytes[bytes.len() - 1..]).unwrap();
        assert!(frames.is_closed() && frames.is_between());
        let mut frames = Frames::new(None);
        frames.follow(&frame(0x88, false, 0)).unwrap();
        assert!(frames.is_closed());
    }

    #[test]
    fn payload_can_pass_unseen() {
        let bytes = frame(0x82, false, 70_000);
        let mut frames = Frames::new(None);
        frames.follow(&bytes[..100]).unwrap();
        assert_eq!(frames.left(), 70_010 - 100);
        frames.skip(frames.left());
        assert!(frames.is_between());
    }

    #[test]
    fn what_is_no_frame_is_let_through_and_never_ends() {
        let mut frames = Frames::new(None);
        frames.follow(&[0x82, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]).unwrap();
        frames.follow(&[0x88, 0]).unwrap();
        assert!(!frames.is_between() && !frames.is_closed());
    }

    #[test]
    fn a_message_has_no_more_bytes_than_it_may_in_all_its_frames() {
        let mut frames = Frames::new(Some(10));
        frames.follow(&frame(0x82, true, 10)).unwrap();
        frames.follow(&frame(0x01, true, 6)).unwrap();
        // Control frames are none of it.
        frames.follow(&frame(0x89, true, 100)).unwrap();
        frames.follow(&frame(0x00, true, 4)).unwrap();
        let mut bytes = frame(0x89, true, 3);
        let before = bytes.len();
        bytes.extend(frame(0x80, true, 1));
        assert_eq!(frames.follow(&bytes), Err(TooLong { before: Some(before), used: before + 6 }));
        let mut frames = Frames::new(Some(10));
        let bytes = frame(0x82, true, 11);
        frames.follow(&bytes[..5]).unwrap();
        assert_eq!(frames.follow(&bytes[5..]), Err(TooLong { before: None, used: 1 }));
    }
}
