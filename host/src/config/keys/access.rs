//! The keys of access that lasts: what becomes of tunnels whose grant ends.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Flag as B, Other};
use super::super::key::Key;
use super::super::key::Kind::{Count, Duration, Flag};
use super::super::key::Section::{Admin, Route, Site};

keys! {
    REAUTHORIZE = "reauthorize" in [Site, Route]: Duration { least: d::LEAST_REAUTHORIZE, most: d::MOST_TIME },
        Other("not asked again"), "",
        "How early before the end of a tunnel's grant the plugin that gave it is asked again, with the request that \
         opened it; a new grant goes on, a refusal closes. docs/access.md has more.";
    ACCESS_CLOSE_CODE = "access_close_code" in [Site, Route]: Count { least: 1000, most: 4999 },
        N(d::ACCESS_CLOSE_CODE), "",
        "The code of the close frame for a WebSocket whose grant ends. A revocation may say another.";
    ADMIN_REVOKE = "revoke" in [Admin]: Flag, B(false), "",
        "Whether `POST /tunnels/revoke` closes tunnels by the subject or a tag of their grants.";
}

/// Every key of this file.
pub(super) fn access_keys() -> &'static [&'static Key] {
    PART
}
