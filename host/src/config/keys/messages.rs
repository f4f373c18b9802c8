//! The keys of what plugins see of WebSockets and of bodies.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Flag as B, Other, Size as Z, Text as S};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Count, Flag, Size, Table, Text};
use super::super::key::Section::{Bodies, Messages, Plugin, Route, Site};

keys! {
    MESSAGES = "messages" in [Site, Route]: Table(Messages), Other("all defaults"), "",
        "How plugins with hook `messages` see WebSockets; each key that is absent on a route is the site's.";
    MESSAGES_MAX_SIZE = "max_size" in [Messages]: Size { least: d::LEAST_MESSAGE, most: d::MOST_MESSAGE },
        Z(d::MAX_MESSAGE), "",
        "The longest message that is shown whole, after inflating; a longer one closes the tunnel with 1009. Messages \
         that no plugin wants to see, or only the beginning of, may be of any length.";
    MESSAGES_DEFLATE = "deflate" in [Messages]: Choice { now: &["inspect", "refuse"], later: &[] },
        S(d::MESSAGES_DEFLATE), "",
        "What becomes of a client's offer of permessage-deflate: it goes on, and messages are inflated for plugins; or \
         it is taken out of the handshake, so that nothing is compressed. Offers of other extensions are taken out in \
         either case.";
    MESSAGES_MAX_RATIO = "max_ratio" in [Messages]: Count { least: 1, most: d::MOST_RATIO }, N(d::MAX_RATIO), "",
        "How many times its compressed size a message of more than 256 KiB may have; one that has more closes the tunnel \
         with 1009.";
    HANDLER = "handler" in [Route]: Text, Other("none"), "",
        "A plugin that answers in an upstream's place: a component that exports `wasi:http/incoming-handler@0.2`. Its \
         `deadline` is for what it computes, and `timeouts.read` for what it waits for. docs/handlers.md has more.";
    BODIES = "bodies" in [Site, Route]: Table(Bodies), Other("all defaults"), "",
        "How plugins with hooks `request-body` and `response-body` see bodies; each key that is absent on a route is \
         the site's.";
    BODIES_MAX_SIZE = "max_size" in [Bodies]: Size { least: 1, most: d::MOST_BODY_SHOWN }, Z(d::BODY_SHOWN), "",
        "The longest body that is held in memory and shown whole, and the longest that a plugin may put in its place. \
         What is shown in pieces may be of any length.";
    BODIES_TOO_LARGE = "too_large" in [Bodies]: Choice { now: &["refuse", "pass"], later: &[] },
        S(d::BODIES_TOO_LARGE), "",
        "What becomes of a longer one that a plugin wants to see whole: the request is answered with 413, for a \
         response with 502; or it passes without being shown to that plugin.";
    BODIES_PLAIN = "plain" in [Bodies]: Flag, B(true), "",
        "Whether Accept-Encoding, Range and If-Range are taken out of requests that go to an upstream on routes with a \
         plugin of hook `response-body`, so that it sees all of the answer, and not compressed.";
    TUNNELS_ON_RELOAD = "tunnels_on_reload" in [Plugin]: Choice { now: &["keep", "restart"], later: &[] },
        S(d::TUNNELS_ON_RELOAD), "",
        "Whether open tunnels stay with the version of the plugin that opened them, or are opened anew in the one that \
         takes its place, at their next message.";
}

/// Every key of this file.
pub(super) fn message_keys() -> &'static [&'static Key] {
    PART
}
