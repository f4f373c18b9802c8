//! Bytes that look random and can be told again, to check large transfers on the fly.

/// A stream of pseudo-random bytes (xorshift64*); the same seed gives the same bytes.
#[derive(Debug, Clone)]
pub struct Noise {
    state: u64,
    word: [u8; 8],
    used: usize,
}

impl Noise {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, word: [0; 8], used: 8 }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Vec<u8> {
        let mut out = vec![0; n];
        self.fill(&mut out);
        out
    }

    /// Fill `out` with the next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.word.len() {
                self.state ^= self.state >> 12;
                self.state ^= self.state << 25;
                self.state ^= self.state >> 27;
                self.word = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
                self.used = 0;
            }
            *byte = self.word[self.used];
            self.used += 1;
        }
    }

    /// Fail unless `bytes` are the stream's next ones. `at` is where they stand, for the
    /// message.
    #[track_caller]
    pub fn expect(&mut self, bytes: &[u8], at: usize) {
        let wanted = self.take(bytes.len());
        if let Some(i) = (0..bytes.len()).find(|&i| bytes[i] != wanted[i]) {
            panic!("byte {} is {:#04x}, and {:#04x} was sent", at + i, bytes[i], wanted[i]);
        }
    }
}
