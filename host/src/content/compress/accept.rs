//! Which coding a client is sent (RFC 9110 §12.5.3).

use crate::config::{Coding, Compress};
use crate::message::Fields;

/// The coding that the client likes best of those that the route has; among equals, the
/// route's order decides. None where it accepts none of them, or does not say.
pub fn choose(settings: &Compress, asked: &Fields) -> Option<Coding> {
    if !asked.contains("accept-encoding") {
        return None;
    }
    let mut best: Option<(Coding, u16)> = None;
    for coding in &settings.codings {
        let weight = weight(asked, coding.name());
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// What a coding weighs, in thousandths; 0 where it is not acceptable.
fn weight(asked: &Fields, name: &str) -> u16 {
    let mut any = 0;
    let lines = asked.get_all("accept-encoding").filter_map(|line| std::str::from_utf8(line).ok());
    for item in lines.flat_map(|line| line.split(',')) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let coding = coding.trim();
        if coding.eq_ignore_ascii_case(name) || (name == "gzip" && coding.eq_ignore_ascii_case("x-gzip")) {
            return quality(parameters);
        }
        if coding == "*" {
            any = quality(parameters);
        }
    }
    any
}

/// `q=0.5` in thousandths; 1000 where there is none, 0 where it is not a weight.
fn quality(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(weight) = weight else { return 1000 };
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" if part.bytes().all(|byte| byte == b'0') => 1000,
        "0" => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn the_client_decides_and_then_the_route() {
        use Coding::{Br, Gzip, Zstd};
        for (header, wanted) in [
            ("gzip", Some(Gzip)),
            ("GZIP", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, br, zstd", Some(Br)),
            ("gzip, zstd", Some(Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip)),
            ("gzip; q=0.8 , br ; Q=0.9", Some(Br)),
            ("gzip;q=0", None),
            ("gzip;q=0.000, br;q=0", None),
            ("gzip;q=2", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=", None),
            ("gzip;q=-1", None),
            ("*", Some(Br)),
            ("*;q=0.1, gzip;q=0.5", Some(Gzip)),
            ("*;q=0, gzip", Some(Gzip)),
            ("br;q=0, *", Some(Zstd)),
            ("identity", None),
            ("deflate", None),
            ("", None),
        ] {
            assert_eq!(choose(&settings(), &[("Accept-Encoding", header)].into_iter().collect()), wanted, "{header}");
        }
        let lines = [("accept-encoding", "deflate"), ("accept-encoding", "gzip")].into_iter().collect();
        assert_eq!(choose(&settings(), &lines), Some(Gzip));
        assert_eq!(choose(&settings(), &Fields::new()), None);
    }
}
