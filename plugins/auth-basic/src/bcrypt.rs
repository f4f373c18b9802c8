//! bcrypt: Provos and Mazières, "A Future-Adaptable Password Scheme", 1999.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use blowfish::Blowfish;

use crate::password::same;

const BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);

/// "OrpheanBeholderScryDoubt", as the words that are encrypted.
const TEXT: [[u32; 2]; 3] = [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];

/// A hash in the modular form: `$2y$COST$` and 53 characters.
pub(crate) struct Hash {
    /// The power of two that is the number of rounds.
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

impl Hash {
    /// Read one; none where the text is no bcrypt hash at all.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, String>> {
        let rest = ["$2y$", "$2a$", "$2b$"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
        Some(
            Self::parse_rest(rest)
                .ok_or_else(|| "`$2…$` needs a cost of 04 to 31 and 53 characters of salt and digest".to_owned()),
        )
    }

    fn parse_rest(rest: &str) -> Option<Self> {
        let (cost, encoded) = rest.split_once('$')?;
        let cost = cost.parse().ok().filter(|cost| (4..=31).contains(cost) && rest.len() == 56)?;
        let (salt, digest) = encoded.split_at_checked(22)?;
        let decode = |text: &str| lenient(text).and_then(|text| BASE64.decode(text).ok());
        Some(Self { cost, salt: decode(salt)?.try_into().ok()?, digest: decode(digest)?.try_into().ok()? })
    }

    /// Whether this is the password.
    pub(crate) fn is(&self, password: &[u8]) -> bool {
        // A terminating zero belongs to the key, and of all that 72 bytes count.
        let mut key: Vec<u8> = password.iter().copied().chain([0]).collect();
        key.truncate(72);
        let mut state: Blowfish = Blowfish::bc_init_state();
        state.salted_expand_key(&self.salt, &key);
        for _ in 0..1_u64 << self.cost {
            state.bc_expand_key(&key);
            state.bc_expand_key(&self.salt);
        }
        let mut digest = Vec::with_capacity(24);
        for mut words in TEXT {
            for _ in 0..64 {
                words = state.bc_encrypt(words);
            }
            digest.extend(words.into_iter().flat_map(u32::to_be_bytes));
        }
        // By an accident of the first implementation the last byte is not kept.
        digest.truncate(23);
        same(&digest, &self.digest)
    }
}

/// The last character holds bits that no byte uses; implementations leave what they
/// like there, and the decoder wants zeros.
fn lenient(text: &str) -> Option<String> {
    const ALPHABET: &str = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let last = text.chars().next_back()?;
    let unused = match text.len() % 4 {
        2 => 0b1111,
        3 => 0b11,
        _ => 0,
    };
    let value = ALPHABET.find(last)? & !unused;
    let head = text.strip_suffix(last)?;
    Some(format!("{head}{}", ALPHABET.get(value..=value)?))
}
