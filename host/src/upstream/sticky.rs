//! Requests of one session go to one peer, whatever the policy would say. nginx: `sticky`.
//!
//! A session is known by a cookie that is set here, by the name of a route in the request, or by
//! what a peer's answer began it with. A peer that cannot serve is left: the policy chooses then,
//! and the session is stuck to that one from now on.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::hmac;

use super::sessions::Sessions;
use super::set::Set;
use super::{Ask, Known, Lease, Peer, Tick};
use crate::config::{self, StickyCookie};
use crate::hook::{Template, Values};
use crate::message::Fields;

/// Bytes of a peer's token: what is left of the code is as hard to guess as 128 bits are.
const TOKEN: usize = 16;

/// How sessions are known.
#[derive(Debug)]
pub(super) struct Sticky {
    upstream: Arc<str>,
    how: config::Sticky,
    /// The variable that has the cookie.
    variable: String,
    /// Those that were learnt; none otherwise.
    sessions: Option<Arc<Sessions>>,
}

impl Sticky {
    /// Make it ready. Sessions that were learnt before go on.
    pub(super) fn new(how: &config::Sticky, upstream: &Arc<str>, known: &Known) -> Self {
        let variable = match how {
            config::Sticky::Cookie(cookie) => format!("cookie_{}", cookie.name),
            _ => String::new(),
        };
        let sessions = match how {
            config::Sticky::Learn(learn) => Some(known.sessions(upstream, learn.sessions, learn.timeout)),
            _ => None,
        };
        Self { upstream: Arc::clone(upstream), how: how.clone(), variable, sessions }
    }

    /// What stands for a peer: its route, or a code of its route or address that only who knows
    /// the secret can make. None where nothing does.
    pub(super) fn token(&self, peer: &Peer) -> Option<Arc<str>> {
        let secret = match &self.how {
            config::Sticky::Route(_) => return peer.route.clone(),
            config::Sticky::Cookie(cookie) => cookie.secret.expose(),
            // These never leave the process.
            config::Sticky::Learn(_) => "",
        };
        Some(Arc::clone(peer.token.get_or_init(|| {
            let mut code = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
            let identity = peer.route.as_ref().map_or_else(|| peer.address.to_string(), |route| format!("={route}"));
            for part in [self.upstream.as_bytes(), b"\0", identity.as_bytes()] {
                code.update(part);
            }
            let mut text = String::with_capacity(TOKEN * 2);
            for byte in code.sign().as_ref().iter().take(TOKEN) {
                // Writing to memory does not fail.
                let _infallible = write!(text, "{byte:02x}");
            }
            text.into()
        })))
    }

    /// The peer that a request is stuck to, if it can serve.
    pub(super) fn pick(&self, set: &Set, ask: &Ask<'_>) -> Option<Lease> {
        let values = ask.values?;
        with_buffer(|buffer| {
            match &self.how {
                config::Sticky::Cookie(_) => {
                    let _or_empty = values.value(&self.variable, buffer);
                }
                config::Sticky::Route(texts) => first(texts, values, buffer),
                config::Sticky::Learn(learn) => {
                    first(&learn.lookup, values, buffer);
                    let token = self.sessions.as_ref()?.find(buffer, ask.now)?;
                    return set.pick_stuck(&token, ask);
                }
            }
            set.pick_stuck(std::str::from_utf8(buffer).ok()?, ask)
        })
    }

    /// The peer has answered: note the session where it is to be learnt, or give the Set-Cookie
    /// line's value that the client must get.
    pub(super) fn answered(&self, peer: &Peer, values: &dyn Values, answer: &Fields) -> Option<Vec<u8>> {
        let token = self.token(peer)?;
        match &self.how {
            config::Sticky::Cookie(cookie) => Some(set_cookie(cookie, &token, values)),
            config::Sticky::Route(_) => None,
            config::Sticky::Learn(learn) => {
                let sessions = self.sessions.as_ref()?;
                with_buffer(|buffer| {
                    first(&learn.create, &WithAnswer { values, answer }, buffer);
                    if !buffer.is_empty() {
                        sessions.put(buffer, &token, Tick::now());
                        return;
                    }
                    first(&learn.lookup, values, buffer);
                    if !buffer.is_empty() {
                        sessions.touch(buffer, &token, Tick::now());
                    }
                });
                None
            }
        }
    }
}

/// The value of the first text that has one.
fn first(texts: &[Template], values: &dyn Values, buffer: &mut Vec<u8>) {
    for text in texts {
        text.render_from(values, buffer);
        if !buffer.is_empty() {
            return;
        }
    }
}

fn with_buffer<T>(use_it: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        use_it(buffer)
    })
}

/// In nginx's order and words.
fn set_cookie(cookie: &StickyCookie, token: &str, values: &dyn Values) -> Vec<u8> {
    let mut line = format!("{}={token}", cookie.name);
    // Writing to memory does not fail.
    if let Some(expires) = cookie.expires {
        let at = httpdate::fmt_http_date(SystemTime::now() + expires);
        let _infallible = write!(line, "; expires={at}; max-age={}", expires.as_secs());
    }
    let mut domain = Vec::new();
    cookie.domain.render_from(values, &mut domain);
    let mut line = line.into_bytes();
    // A client's Host may be part of it.
    if !domain.is_empty() && domain.iter().all(|b| b.is_ascii_graphic() && *b != b';') {
        line.extend_from_slice(b"; domain=");
        line.extend_from_slice(&domain);
    }
    if cookie.http_only {
        line.extend_from_slice(b"; httponly");
    }
    if cookie.secure {
        line.extend_from_slice(b"; secure");
    }
    for (name, value) in [("samesite", &cookie.same_site), ("path", &cookie.path)] {
        if let Some(value) = value {
            line.extend_from_slice(format!("; {name}={value}").as_bytes());
        }
    }
    line
}

/// A request's variables, and those of its answer: `$upstream_cookie_NAME`, `$upstream_http_NAME`.
struct WithAnswer<'a> {
    values: &'a dyn Values,
    answer: &'a Fields,
}

impl Values for WithAnswer<'_> {
    fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let found = if let Some(cookie) = name.strip_prefix("upstream_cookie_") {
            self.answer.get_all("set-cookie").find_map(|line| value_of(line, cookie))
        } else if let Some(header) = name.strip_prefix("upstream_http_") {
            self.answer.get(&header.replace('_', "-"))
        } else {
            return self.values.value(name, out);
        };
        out.extend_from_slice(found.unwrap_or_default());
        found.is_some()
    }
}

/// The cookie's value, where a Set-Cookie line sets this one.
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let pair = line.split(|b| *b == b';').next()?.trim_ascii();
    let (key, value) = pair.split_at_checked(name.len())?;
    value.strip_prefix(b"=").filter(|_| key.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Policy, StickyLearn};
    use crate::upstream::tests::{number, peers, set_with};

    /// Variables by name.
    struct Request(&'static [(&'static str, String)]);

    struct Sent(Vec<(String, String)>);

    impl Values for Sent {
        fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
            let found = self.0.iter().find(|(n, _)| n == name);
            out.extend_from_slice(found.map_or(b"", |(_, value)| value.as_bytes()));
            found.is_some()
        }
    }

    impl Request {
        fn none() -> Sent {
            let Self(values) = Self(&[]);
            Sent(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        }
    }

    fn sent(name: &str, value: &str) -> Sent {
        Sent(vec![(name.to_owned(), value.to_owned())])
    }

    fn cookie(secret: &str) -> config::Sticky {
        config::Sticky::Cookie(StickyCookie {
            name: "srv".into(),
            secret: secret.into(),
            expires: Some(Duration::from_secs(3600)),
            domain: Template::parse("$zone").unwrap(),
            path: Some("/".into()),
            http_only: true,
            secure: true,
            same_site: Some("lax".into()),
        })
    }

    fn token_of(line: &[u8]) -> String {
        let line = std::str::from_utf8(line).unwrap();
        line.split(';').next().unwrap().strip_prefix("srv=").unwrap().to_owned()
    }

    #[test]
    fn a_cookie_keeps_a_client_with_its_peer() {
        let peers = peers(4, |number, peer| peer.drain = number == 3);
        let sticky = Sticky::new(&cookie("s3cret"), &"u".into(), &Known::default());
        let set = set_with(&peers, &Policy::RoundRobin, Some(&sticky));
        let line = sticky.answered(&peers[2], &sent("zone", ".example.com"), &Fields::new()).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.contains("; max-age=3600; domain=.example.com; httponly; secure; samesite=lax; path=/"), "{text}");
        assert!(text.contains("; expires=") && text.contains(" GMT"), "{text}");
        let back = sent("cookie_srv", &token_of(&line));
        for _ in 0..10 {
            let lease = sticky.pick(&set, &Ask { values: Some(&back), ..Ask::default() }).unwrap();
            assert_eq!(number(&set, &lease), 2);
        }
        // One that drains keeps who has it.
        let line = sticky.answered(&peers[3], &Request::none(), &Fields::new()).unwrap();
        assert!(!String::from_utf8(line.clone()).unwrap().contains("domain"), "no domain where it is empty");
        let back = sent("cookie_srv", &token_of(&line));
        assert!(sticky.pick(&set, &Ask { values: Some(&back), ..Ask::default() }).is_some());
    }

    #[test]
    fn a_client_cannot_choose_its_peer() {
        let peers = peers(2, |_, _| {});
        let (ours, theirs) = (cookie("ours"), cookie("theirs"));
        let sticky = Sticky::new(&ours, &"u".into(), &Known::default());
        let set = set_with(&peers, &Policy::RoundRobin, Some(&sticky));
        let token = sticky.token(&peers[0]).unwrap();
        assert_eq!(token.len(), 32);
        let made = Sticky::new(&theirs, &"u".into(), &Known::default());
        let copy = crate::upstream::tests::peers(2, |_, _| {});
        let forged = made.token(&copy[0]).unwrap();
        assert_ne!(token, forged);
        for value in [&*forged, "10.0.0.1:1", "", "0", &token[..31]] {
            let ask = sent("cookie_srv", value);
            assert!(sticky.pick(&set, &Ask { values: Some(&ask), ..Ask::default() }).is_none(), "{value}");
        }
        // After a reload the same.
        let again = Sticky::new(&ours, &"u".into(), &Known::default());
        assert_eq!(again.token(&copy[1]), sticky.token(&peers[1]));
    }

    #[test]
    fn a_peer_that_cannot_serve_is_left() {
        let peers = peers(2, |number, peer| peer.max_conns = u32::from(number == 0));
        let sticky = Sticky::new(&cookie("s"), &"u".into(), &Known::default());
        let set = set_with(&peers, &Policy::RoundRobin, Some(&sticky));
        let back = sent("cookie_srv", &sticky.token(&peers[0]).unwrap());
        let ask = Ask { values: Some(&back), ..Ask::default() };
        let held = sticky.pick(&set, &ask).unwrap();
        assert!(sticky.pick(&set, &ask).is_none(), "it is full");
        drop(held);
        let tried = [Arc::clone(&peers[0])];
        assert!(sticky.pick(&set, &Ask { tried: &tried, ..ask }).is_none(), "it was tried");
    }

    #[test]
    fn a_route_in_the_request_names_the_peer() {
        let peers = peers(3, |number, peer| peer.route = Some(["a", "b", "c"][number].into()));
        let texts = ["$cookie_route", "$arg_route"].map(|text| Template::parse(text).unwrap());
        let sticky = Sticky::new(&config::Sticky::Route(texts.into()), &"u".into(), &Known::default());
        let set = set_with(&peers, &Policy::RoundRobin, Some(&sticky));
        let chosen = |values: &Sent| sticky.pick(&set, &Ask { values: Some(values), ..Ask::default() });
        assert_eq!(number(&set, &chosen(&sent("arg_route", "b")).unwrap()), 1);
        let both = Sent(vec![("cookie_route".into(), "c".into()), ("arg_route".into(), "b".into())]);
        assert_eq!(number(&set, &chosen(&both).unwrap()), 2);
        assert!(chosen(&sent("arg_route", "z")).is_none());
        assert!(chosen(&Request::none()).is_none());
    }

    #[test]
    fn a_session_is_learnt_from_the_answer_that_begins_it() {
        let peers = peers(3, |_, _| {});
        let learn = config::Sticky::Learn(StickyLearn {
            create: vec![Template::parse("$upstream_cookie_sid").unwrap()],
            lookup: vec![Template::parse("$cookie_sid").unwrap()],
            sessions: 100,
            timeout: Duration::from_secs(60),
        });
        let known = Known::default();
        let sticky = Sticky::new(&learn, &"u".into(), &known);
        let set = set_with(&peers, &Policy::RoundRobin, Some(&sticky));
        let answer: Fields = [("set-cookie", "theme=dark"), ("Set-Cookie", "SID=x1; Path=/")].into_iter().collect();
        assert!(sticky.answered(&peers[1], &Request::none(), &answer).is_none());
        let (back, now) = (sent("cookie_sid", "x1"), Tick::now());
        let chosen = |sticky: &Sticky, now| sticky.pick(&set, &Ask { values: Some(&back), now, ..Ask::default() });
        assert_eq!(number(&set, &chosen(&sticky, now).unwrap()), 1);
        // A reload goes on with it; it ends when nobody has asked for it for a while.
        let again = Sticky::new(&learn, &"u".into(), &known);
        assert!(chosen(&again, now.after(Duration::from_secs(50))).is_some());
        assert!(chosen(&again, now.after(Duration::from_secs(70))).is_none());
        // One whose peer had to change is stuck to the new one.
        sticky.answered(&peers[2], &back, &Fields::new());
        assert_eq!(number(&set, &chosen(&sticky, now).unwrap()), 2);
    }
}
