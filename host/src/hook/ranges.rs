//! Maps whose entries are not texts: networks, and shares of all that is looked up. nginx:
//! `geo`, `split_clients`.

use std::net::IpAddr;

use tidegate_cidr::Cidr;

use super::template::Template;

/// The shares of all texts together, in hundredths of a percent.
const WHOLE: u64 = 10_000;

/// The entries of such a map.
#[derive(Debug)]
pub enum Ranges {
    /// Networks, the smaller ones first.
    Networks(Vec<(Cidr, Template)>),
    /// The first hash that is not in a share any more.
    Shares(Vec<(u32, Template)>),
}

/// A share that is none: not a percentage with at most two decimals, or more than are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a share such as `10%` or `0.5%`, all of them together at most 100%")]
pub struct NotShare;

impl Ranges {
    /// A map of networks. Of equal ones the last counts, as in nginx.
    pub fn networks(mut entries: Vec<(Cidr, Template)>) -> Self {
        entries.reverse();
        entries.sort_by_key(|(network, _)| std::cmp::Reverse(bits(network)));
        Self::Networks(entries)
    }

    /// A map of shares, in order; the error has the number of the wrong one.
    ///
    /// # Errors
    /// [`NotShare`].
    pub fn shares(entries: Vec<(&str, Template)>) -> Result<Self, (usize, NotShare)> {
        let (mut sum, mut last, mut shares) = (0, 0_u64, Vec::with_capacity(entries.len()));
        for (number, (text, value)) in entries.into_iter().enumerate() {
            let share = share(text).filter(|share| sum + share <= WHOLE).ok_or((number, NotShare))?;
            sum += share;
            // nginx: `ngx_conf_split_clients_block`.
            last += share * u64::from(u32::MAX) / WHOLE;
            shares.push((u32::try_from(last).unwrap_or(u32::MAX), value));
        }
        Ok(Self::Shares(shares))
    }

    /// The value of what is looked up.
    pub(super) fn find(&self, text: &[u8]) -> Option<&Template> {
        match self {
            Self::Networks(networks) => {
                let address = std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok()?.to_canonical();
                networks.iter().find(|(network, _)| network.contains(address)).map(|(_, value)| value)
            }
            Self::Shares(shares) => {
                let hash = murmur2(text);
                shares.iter().find(|(end, _)| hash < *end).map(|(_, value)| value)
            }
        }
    }

    /// All values.
    pub(super) fn values(&self) -> impl Iterator<Item = &Template> {
        let (networks, shares) = match self {
            Self::Networks(networks) => (Some(networks.iter().map(|(_, value)| value)), None),
            Self::Shares(shares) => (None, Some(shares.iter().map(|(_, value)| value))),
        };
        networks.into_iter().flatten().chain(shares.into_iter().flatten())
    }
}

/// How many bits of an address a network fixes.
fn bits(network: &Cidr) -> u32 {
    match network {
        Cidr::V4(_, mask) => mask.count_ones(),
        Cidr::V6(_, mask) => mask.count_ones(),
    }
}

/// Hundredths of a percent.
fn share(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let share = whole.parse::<u64>().ok()?.checked_mul(100)? + format!("{decimals:0<2}").parse::<u64>().ok()?;
    (share > 0).then_some(share)
}

/// MurmurHash2 with the seed 0, as nginx has it.
fn murmur2(text: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut words = text.chunks_exact(4);
    for word in &mut words {
        let mut word = word.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        word = word.wrapping_mul(M);
        word ^= word >> 24;
        word = word.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    #[test]
    fn the_smallest_network_counts() {
        let entry = |network: &str| (Cidr::parse(network).unwrap(), template(network));
        let ranges = Ranges::networks(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32"].map(entry).into());
        let find = |address: &str| ranges.find(address.as_bytes()).and_then(Template::as_text).map(str::to_owned);
        for (address, network) in [
            ("10.9.9.9", Some("10.0.0.0/8")),
            ("10.1.9.9", Some("10.1.0.0/16")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("::ffff:10.1.2.3", Some("10.1.2.3")),
            ("2001:db8::1", Some("2001:db8::/32")),
            ("192.0.2.1", None),
            ("not an address", None),
        ] {
            assert_eq!(find(address).as_deref(), network, "{address}");
        }
    }

    #[test]
    fn shares_are_parts_of_all_texts() {
        let ranges = Ranges::shares(vec![("0.5%", template("a")), ("20%", template("b"))]).unwrap();
        let find = |number: u32| ranges.find(number.to_string().as_bytes()).and_then(Template::as_text);
        let of = |value: &str| (0..20_000).filter(|number| find(*number) == Some(value)).count();
        assert!((50..150).contains(&of("a")) && (3800..4200).contains(&of("b")), "{} {}", of("a"), of("b"));
        for (texts, wrong) in
            [(vec!["10"], 0), (vec!["1.234%"], 0), (vec!["60%", "50%"], 1), (vec!["0%"], 0), (vec!["x%"], 0)]
        {
            let entries = texts.iter().map(|text| (*text, Template::default())).collect();
            assert_eq!(Ranges::shares(entries).unwrap_err().0, wrong, "{texts:?}");
        }
    }

    #[test]
    fn the_hash_is_nginxs() {
        // From MurmurHash2's own reference, seed 0.
        assert_eq!(murmur2(b""), 0);
        assert_eq!(murmur2(b"test"), 403_862_830);
    }
}
