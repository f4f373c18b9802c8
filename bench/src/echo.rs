//! The backend's echo: a client's frames come in at any cut, a server's go out.

use crate::ws::{self, FrameHead};

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    On,
    /// Close it.
    End,
}

/// Where in a frame an echo is. A payload goes out as it comes in; no message is gathered.
#[derive(Default)]
pub(crate) struct Echo {
    begun: Vec<u8>,
    left: u64,
    mask: [u8; 4],
}

impl Echo {
    /// Turn a client's bytes into the answer's; a close frame ends the connection.
    pub(crate) fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Flow {
        if !self.begun.is_empty() {
            let mut joined = std::mem::take(&mut self.begun);
            joined.extend_from_slice(bytes);
            return self.take(&joined, output);
        }
        let mut bytes = bytes;
        while !bytes.is_empty() {
            if self.left > 0 {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (payload, rest) = bytes.split_at(length);
                self.unmask(payload, output);
                self.left -= length as u64;
                bytes = rest;
                continue;
            }
            let Some(head) = FrameHead::read(bytes) else {
                self.begun.extend_from_slice(bytes);
                break;
            };
            if head.opcode == 8 {
                return Flow::End;
            }
            ws::header_into(output, head.length, false);
            self.left = head.length;
            self.mask = head.mask.unwrap_or_default();
            bytes = bytes.get(head.size..).unwrap_or_default();
        }
        Flow::On
    }

    fn unmask(&mut self, payload: &[u8], output: &mut Vec<u8>) {
        if self.mask == [0; 4] {
            output.extend_from_slice(payload);
            return;
        }
        output.extend(payload.iter().zip(self.mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.mask.rotate_left(payload.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_unmasked_at_every_cut() {
        let payload = ws::payload(300);
        let mut sent = ws::message(&payload, true);
        let key = [1, 2, 3, 4];
        let size = FrameHead::read(&sent).unwrap().size;
        sent[size - 4..size].copy_from_slice(&key);
        for (i, byte) in sent[size..].iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
        let expected = ws::message(&payload, false);
        for cut in 0..sent.len() {
            let (mut echo, mut output) = (Echo::default(), Vec::new());
            assert_eq!(echo.take(&sent[..cut], &mut output), Flow::On);
            assert_eq!(echo.take(&sent[cut..], &mut output), Flow::On);
            assert_eq!(output, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_close_frame_ends() {
        assert_eq!(Echo::default().take(&[0x88, 0x80, 0, 0, 0, 0], &mut Vec::new()), Flow::End);
    }
}
