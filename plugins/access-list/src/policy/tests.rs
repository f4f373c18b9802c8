#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use tidegate_plugin::testing::{Request, configure, with};
use tidegate_plugin::{Authorizer, Verdict};

use super::*;
use crate::AccessList;

fn policy(rules: &[&str], grant: bool) -> Result<Policy, ConfigError> {
    Policy::new(&Config { rules: rules.iter().map(|rule| (*rule).to_owned()).collect(), grant })
}

fn judge(rules: &[&str], address: &str) -> Answer {
    policy(rules, true).unwrap().judge(address.parse().unwrap())
}

#[test]
fn the_first_rule_that_fits_decides() {
    // The example of nginx's documentation.
    let rules = ["deny 192.168.1.1", "allow 192.168.1.0/24", "allow 10.1.1.0/16", "allow 2001:0db8::/32", "deny all"];
    for (address, answer) in [
        ("192.168.1.1", Answer::No),
        ("192.168.1.2", Answer::Yes),
        ("10.1.200.3", Answer::Yes),
        ("10.2.0.1", Answer::No),
        ("2001:db8::7", Answer::Yes),
        ("2001:db9::7", Answer::No),
        ("::ffff:192.168.1.9", Answer::Yes),
    ] {
        assert_eq!(judge(&rules, address), answer, "{address}");
    }
    assert_eq!(judge(&["allow all", "deny all"], "::1"), Answer::Yes);
}

#[test]
fn where_no_rule_fits_there_is_no_objection() {
    assert_eq!(judge(&["deny 10.0.0.0/8"], "192.0.2.1"), Answer::None);
    assert_eq!(judge(&[], "192.0.2.1"), Answer::None);
}

#[test]
fn without_grant_an_allowed_address_is_only_no_objection() {
    let policy = policy(&["allow 10.0.0.0/8", "deny all"], false).unwrap();
    assert_eq!(policy.judge("10.0.0.1".parse().unwrap()), Answer::None);
    assert_eq!(policy.judge("11.0.0.1".parse().unwrap()), Answer::No);
}

#[test]
fn a_wrong_rule_is_named() {
    for (rules, wanted) in [
        (&["allow all", "permit all"][..], "/rules/1: `permit all` does not begin with `allow` or `deny`"),
        (&["allow"], "/rules/0: `allow` is not `allow RANGE` or `deny RANGE`"),
        (&["deny 1.2.3.4 5.6.7.8"], "/rules/0: `deny 1.2.3.4 5.6.7.8` is not `allow RANGE` or `deny RANGE`"),
        (&["deny example.com"], "/rules/0: `deny example.com` is not an IP address or range"),
        (&["deny 10.0.0.0/40"], "/rules/0: `deny 10.0.0.0/40` has a prefix that is not 0 to 32"),
    ] {
        assert_eq!(policy(rules, false).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn the_plugin_asks_for_the_clients_address() {
    let mut plugin: AccessList =
        configure(r#"{"rules": ["deny 192.0.2.7", "allow 192.0.2.0/24"], "grant": true}"#).unwrap();
    let mut ask = |client: &str| {
        with(&Request::get("/").client(client.parse().unwrap()), || match plugin.authorize() {
            Verdict::Next => 0,
            Verdict::Grant(_) => 200,
            Verdict::Deny(reply) => reply.status,
        })
    };
    assert_eq!([ask("192.0.2.7:1"), ask("192.0.2.8:1"), ask("198.51.100.1:1")], [403, 200, 0]);
}
