//! Where a token is in a request, and how it is taken out of what the upstream sees.

use tidegate_plugin::{ConfigError, Edit};

/// The subprotocol behind which browsers send a token, where none is named.
const BEARER: &str = "bearer";
/// Names the subprotocols of a handshake.
pub const PROTOCOLS: &str = "Sec-WebSocket-Protocol";

/// A place where a token may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
    Bearer,
    /// A header that is the token.
    Header(String),
    /// An argument of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// `Sec-WebSocket-Protocol: NAME, TOKEN`
    Subprotocol(String),
}

/// A token that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// It.
    pub token: String,
    /// How it is taken out of the request.
    pub edits: Vec<Edit>,
    /// The subprotocol that the client is to be answered with if the upstream chooses none.
    pub subprotocol: Option<String>,
}

/// A token is where it must not be, or there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// What sources read.
pub struct Request<'a> {
    /// All values of a header.
    pub headers: &'a dyn Fn(&str) -> Vec<Vec<u8>>,
    /// The query as sent.
    pub query: Option<String>,
}

impl Source {
    /// From the configuration: `header`, `header:NAME`, `query:NAME`, `cookie:NAME`, `subprotocol`,
    /// `subprotocol:NAME`.
    ///
    /// # Errors
    /// What it is not.
    pub fn parse(text: &str, place: &str) -> Result<Self, ConfigError> {
        let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let wrong = |what: &str| Err(ConfigError::new(place, format!("`{text}` {what}")));
        match (kind, name) {
            ("header", None) => Ok(Self::Bearer),
            ("subprotocol", None) => Ok(Self::Subprotocol(BEARER.to_owned())),
            (_, Some(name)) if name.is_empty() || !name.bytes().all(is_token) => wrong("names nothing that can be"),
            ("header", Some(name)) => Ok(Self::Header(name.to_owned())),
            ("query", Some(name)) => Ok(Self::Query(name.to_owned())),
            ("cookie", Some(name)) => Ok(Self::Cookie(name.to_owned())),
            ("subprotocol", Some(name)) => Ok(Self::Subprotocol(name.to_owned())),
            _ => wrong("is none of `header`, `header:NAME`, `query:NAME`, `cookie:NAME`, `subprotocol`"),
        }
    }

    /// The token that is here; none where there is none.
    ///
    /// # Errors
    /// [`Ambiguous`]: two readers could take two tokens.
    pub fn find(&self, request: &Request<'_>) -> Result<Option<Found>, Ambiguous> {
        match self {
            Self::Bearer => bearer(request),
            Self::Header(name) => match &(request.headers)(name)[..] {
                [] => Ok(None),
                [value] => Ok(Some(found(text(value)?.trim(), vec![Edit::remove(name.as_str())]))),
                _ => Err(Ambiguous),
            },
            Self::Query(name) => {
                let pairs = request.query.as_deref().unwrap_or_default().split('&');
                let mut values = pairs.filter_map(|pair| pair.split_once('=')).filter(|(key, _)| key == name);
                match (values.next(), values.next()) {
                    (None, _) => Ok(None),
                    (Some((_, token)), None) => Ok(Some(found(token, Vec::new()))),
                    _ => Err(Ambiguous),
                }
            }
            Self::Cookie(name) => cookie(name, &(request.headers)("cookie")),
            Self::Subprotocol(name) => subprotocol(name, &(request.headers)(PROTOCOLS)),
        }
    }
}

fn found(token: &str, edits: Vec<Edit>) -> Found {
    Found { token: token.to_owned(), edits, subprotocol: None }
}

fn text(value: &[u8]) -> Result<&str, Ambiguous> {
    std::str::from_utf8(value).map_err(|_not_text| Ambiguous)
}

/// RFC 9110 §5.6.2
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn bearer(request: &Request<'_>) -> Result<Option<Found>, Ambiguous> {
    let values = (request.headers)("authorization");
    let [value] = &values[..] else { return if values.is_empty() { Ok(None) } else { Err(Ambiguous) } };
    let value = text(value)?.trim();
    // Another scheme is another plugin's business.
    let Some((scheme, token)) = value.split_once(' ') else { return Ok(None) };
    let is_bearer = scheme.eq_ignore_ascii_case(BEARER);
    Ok(is_bearer.then(|| found(token.trim_start(), vec![Edit::remove("authorization")])))
}

fn cookie(name: &str, lines: &[Vec<u8>]) -> Result<Option<Found>, Ambiguous> {
    let (mut token, mut rest) = (None, Vec::new());
    for line in lines {
        for pair in line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
            let value = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            match value {
                Some(_) if token.is_some() => return Err(Ambiguous),
                Some(value) => token = Some(text(value)?.trim_matches('"').to_owned()),
                None => rest.push(pair),
            }
        }
    }
    let Some(token) = token else { return Ok(None) };
    let rest = rest.join(&b"; "[..]);
    let edit = if rest.is_empty() { Edit::remove("cookie") } else { Edit::set("cookie", rest) };
    Ok(Some(found(&token, vec![edit])))
}

/// Whatever comes of the token, the upstream must not see it.
fn subprotocol(name: &str, lines: &[Vec<u8>]) -> Result<Option<Found>, Ambiguous> {
    let mut offered = Vec::new();
    for line in lines {
        offered.extend(text(line)?.split(',').map(str::trim).filter(|protocol| !protocol.is_empty()));
    }
    let Some(at) = offered.iter().position(|protocol| *protocol == name) else { return Ok(None) };
    if offered.iter().filter(|protocol| **protocol == name).count() > 1 {
        return Err(Ambiguous);
    }
    let Some(token) = offered.get(at + 1).map(|token| (*token).to_owned()) else { return Ok(None) };
    offered.drain(at..at + 2);
    let edit = if offered.is_empty() { Edit::remove(PROTOCOLS) } else { Edit::set(PROTOCOLS, offered.join(", ")) };
    // Browsers fail a handshake that is not answered with one of what they offered; who offers others
    // takes one of those, or what the upstream leaves it to.
    Ok(Some(Found { token, edits: vec![edit], subprotocol: Some(name.to_owned()) }))
}
