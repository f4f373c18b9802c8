use http::{Method, Version};

use super::*;
use crate::config::{OpenLimit, RateLimit};
use crate::hook::{Arrival, Builtins, Outcome};
use crate::message::Fields;

#[derive(Debug)]
struct NoBuiltins;

impl Builtins for NoBuiltins {
    fn resolve(&self, _: &View, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn outcome(&self, _: &Outcome, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn header(&self, _: &Fields, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// A request with these variables.
fn view(variables: &[(&str, &str)]) -> View {
    View {
        serial: 1,
        method: Method::GET,
        version: Version::HTTP_11,
        path_with_query: "/".into(),
        original: None,
        path: "/".into(),
        authority: String::new(),
        host: String::new(),
        scheme: "http",
        is_websocket: false,
        headers: Default::default(),
        client: "192.0.2.1:1".parse().unwrap(),
        peer: "192.0.2.1:1".parse().unwrap(),
        local: "192.0.2.2:80".parse().unwrap(),
        variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        route: "".into(),
        site: "".into(),
        arrival: Arrival::default(),
        upstream: "".into(),
        outcome: Outcome::default(),
        maps: Arc::default(),
        kept: Default::default(),
        limit_req_status: "",
        limit_conn_status: "",
        own: Default::default(),
        is_renewal: false,
        builtins: &NoBuiltins,
    }
}

fn zone(name: &str, key: &str, rate: Option<u64>) -> config::Zone {
    config::Zone { name: name.into(), key: key.into(), rate, size: 1 << 20 }
}

fn zones(before: Option<&Zones>, list: &[config::Zone]) -> Zones {
    let made = |zone: &config::Zone| {
        let before = before.and_then(|zones| zones.get(&zone.name)).map(|zone| &**zone);
        (Arc::clone(&zone.name), Arc::new(Zone::new(zone, before)))
    };
    list.iter().map(made).collect()
}

fn refusal() -> config::Refusal {
    config::Refusal { status: 503, dry_run: false, level: Level::Error }
}

fn limits(zones: &Zones, rates: &[(&str, u32, Option<u32>)], open: &[(&str, u32)]) -> Limits {
    let rates =
        rates.iter().map(|(zone, burst, delay)| RateLimit { zone: (*zone).into(), burst: *burst, delay: *delay });
    let open = open.iter().map(|(zone, total)| OpenLimit {
        zone: (*zone).into(),
        total: Some(*total),
        requests: None,
        tunnels: None,
    });
    let config = config::Limits {
        max_body: None,
        rates: rates.collect(),
        rate_refusal: refusal(),
        open: open.collect(),
        open_refusal: refusal(),
    };
    Limits::new(&config, zones)
}

fn said(rated: &Rated<'_>) -> String {
    match rated {
        Rated::NotCounted => "-".into(),
        Rated::Passed => "pass".into(),
        Rated::Delayed(ms, excess, zone) => format!("wait {ms} {excess} {}", zone.name),
        Rated::Refused(excess, zone) => format!("refuse {excess} {}", zone.name),
    }
}

#[test]
fn burst_waits_and_delay_goes_first() {
    let zones = zones(None, &[zone("a", "$k", Some(10_000))]);
    let k = view(&[("k", "1")]);
    let limits = limits(&zones, &[("a", 3, Some(1))], &[]);
    let found: Vec<String> = (0..5).map(|_| said(&limits.rate(&k, 0))).collect();
    assert_eq!(found, ["pass", "pass", "wait 100 2000 a", "wait 200 3000 a", "refuse 4000 a"]);
    assert_eq!(said(&limits.rate(&k, 100)), "wait 200 3000 a");
    assert_eq!(said(&limits.rate(&view(&[("k", "2")]), 100)), "pass");
}

#[test]
fn nodelay_never_waits() {
    let zones = zones(None, &[zone("a", "$k", Some(1000))]);
    let limits = limits(&zones, &[("a", 2, None)], &[]);
    let k = view(&[("k", "1")]);
    let found: Vec<String> = (0..4).map(|_| said(&limits.rate(&k, 7))).collect();
    assert_eq!(found, ["pass", "pass", "pass", "refuse 3000 a"]);
}

#[test]
fn an_empty_key_is_not_counted() {
    let zones = zones(None, &[zone("a", "$k", Some(1000)), zone("b", "$l", Some(1000))]);
    let both = limits(&zones, &[("a", 0, None), ("b", 0, None)], &[]);
    let none = view(&[]);
    for _ in 0..3 {
        assert_eq!(said(&both.rate(&none, 0)), "-");
    }
    // The last zone has no key: the first one counts all the same.
    let k = view(&[("k", "1")]);
    assert_eq!([said(&both.rate(&k, 0)), said(&both.rate(&k, 0))], ["pass", "refuse 1000 a"]);
}

#[test]
fn what_one_zone_refuses_costs_nothing_in_the_others() {
    let zones = zones(None, &[zone("wide", "$k", Some(1000)), zone("narrow", "$l", Some(1000))]);
    let both = limits(&zones, &[("wide", 2, None), ("narrow", 0, None)], &[]);
    let request = view(&[("k", "1"), ("l", "1")]);
    assert_eq!(said(&both.rate(&request, 0)), "pass");
    for _ in 0..5 {
        assert_eq!(said(&both.rate(&request, 0)), "refuse 1000 narrow");
    }
    let wide = limits(&zones, &[("wide", 2, None)], &[]);
    let found: Vec<String> = (0..3).map(|_| said(&wide.rate(&request, 0))).collect();
    assert_eq!(found, ["pass", "pass", "refuse 3000 wide"]);
}

#[test]
fn the_longest_wait_counts() {
    let zones = zones(None, &[zone("slow", "$k", Some(1000)), zone("fast", "$k", Some(10_000))]);
    let k = view(&[("k", "1")]);
    let both = limits(&zones, &[("slow", 5, Some(0)), ("fast", 5, Some(0))], &[]);
    assert_eq!([said(&both.rate(&k, 0)), said(&both.rate(&k, 0))], ["pass", "wait 1000 1000 slow"]);
}

#[test]
fn a_place_in_every_zone_or_in_none() {
    let zones = zones(None, &[zone("a", "$k", None), zone("b", "server", None)]);
    let both = limits(&zones, &[], &[("a", 5), ("b", 1)]);
    let k = view(&[("k", "1")]);
    let held = both.enter(&k, Class::Tunnel).ok().unwrap();
    assert_eq!(held.len(), 2);
    for _ in 0..10 {
        let refused = both.enter(&k, Class::Request);
        assert!(matches!(refused, Err(Full(zone)) if *zone.name == *"b"));
    }
    drop(held);
    // Refused ones have left nothing behind in the first zone.
    let only_a = limits(&zones, &[], &[("a", 1)]);
    assert!(only_a.enter(&k, Class::Request).is_ok());
    assert!(both.enter(&view(&[]), Class::Request).is_ok_and(|slots| slots.len() == 1), "no key in `a`");
}

#[test]
fn counts_go_on_over_a_reload_that_keeps_key_and_size() {
    let first = zones(None, &[zone("a", "$k", Some(1000))]);
    let k = view(&[("k", "1")]);
    assert_eq!(said(&limits(&first, &[("a", 0, None)], &[]).rate(&k, 0)), "pass");
    let _held = limits(&first, &[], &[("a", 1)]).enter(&k, Class::Tunnel).ok().unwrap();
    let faster = zones(Some(&first), &[zone("a", "$k", Some(2000))]);
    assert_eq!(said(&limits(&faster, &[("a", 0, None)], &[]).rate(&k, 250)), "refuse 500 a");
    assert!(limits(&faster, &[], &[("a", 1)]).enter(&k, Class::Tunnel).is_err());
    let other = zones(Some(&first), &[zone("a", "x$k", Some(1000))]);
    assert_eq!(said(&limits(&other, &[("a", 0, None)], &[]).rate(&k, 250)), "pass");
}
