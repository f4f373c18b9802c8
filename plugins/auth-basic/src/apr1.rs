//! Apache's MD5 form of a password, `$apr1$`: Poul-Henning Kamp's md5crypt with another
//! magic word.

use md5::{Digest, Md5};

const MAGIC: &[u8] = b"$apr1$";
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 22 characters that stand behind `$apr1$SALT$`.
pub(crate) fn digest(password: &[u8], salt: &[u8]) -> Vec<u8> {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(MAGIC).chain_update(salt);
    for byte in inner.iter().cycle().take(password.len()) {
        first.update([*byte]);
    }
    let mut length = password.len();
    while length > 0 {
        let byte = if length & 1 == 1 { 0 } else { password.first().copied().unwrap_or_default() };
        first.update([byte]);
        length >>= 1;
    }
    let mut state = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        if odd {
            next.update(password)
        } else {
            next.update(state)
        }
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        if odd {
            next.update(state)
        } else {
            next.update(password)
        }
        state = next.finalize();
    }
    let mut out = Vec::with_capacity(22);
    let byte = |index: usize| u32::from(state.get(index).copied().unwrap_or_default());
    for [high, middle, low] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        encode(byte(high) << 16 | byte(middle) << 8 | byte(low), 4, &mut out);
    }
    encode(byte(11), 2, &mut out);
    out
}

/// Six bits at a time, the lowest first.
fn encode(mut bits: u32, characters: usize, out: &mut Vec<u8>) {
    for _ in 0..characters {
        out.extend(ALPHABET.get((bits & 63) as usize));
        bits >>= 6;
    }
}
