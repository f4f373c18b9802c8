//! What plugins are told, and where it stands.

use std::time::Duration;

use super::*;
use crate::hook::{Caps, Isolation, OnFailure};

#[test]
fn chains_are_stock_plugins_then_the_sites_then_the_routes() {
    let config = valid("every_key.toml");
    let names = |i| chain(&config, i).iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names(0), ["origin-check", "auth-basic", "header-map", "mine"]);
    assert_eq!(names(1), ["origin-check", "header-map", "mine"]);
    assert_eq!(names(2), ["origin-check", "auth-basic", "header-map", "mine"]);
    assert_eq!(names(3), ["auth-request"]);
    assert_eq!(names(4), ["cors", "access-list", "header-map"]);
}

#[test]
fn equal_plugins_are_one() {
    let config = valid("every_key.toml");
    let (first, third) = (&config.routes[0].plugins, &config.routes[2].plugins);
    // Another `missing_origin`, and all else equal.
    assert_ne!(first[0], third[0]);
    assert_eq!(first[1..], third[1..]);
    assert_eq!(config.routes[1].plugins[2], first[3]);
    // The router `mine` is the plugin `mine` of the chains.
    assert_eq!(config.routers[0], first[3]);
    assert_eq!(config.plugins.len(), 12);
}

#[test]
fn the_router_is_told_all_sites() {
    let config = valid("every_key.toml");
    let router = &config.plugins[config.routers[1]];
    assert_eq!((&*router.name, &router.source), ("router", &PluginSource::Stock("router".into())));
    assert_eq!(
        router.config.expose(),
        concat!(
            r#"{"sites":[{"names":["ws.example.com","*.example.com","mail.*","~^(?<tenant>[a-z]+)\\.example\\.net$"],"default":true,"route":"ws.example.com","routes":["#,
            r#"{"name":"chat","match":"/ws","replace_prefix":null,"rewrite":null},"#,
            r#"{"name":"ws.example.com ~ ^/api/(?<version>v[0-9])/(.*)$","match":"~ ^/api/(?<version>v[0-9])/(.*)$","replace_prefix":null,"rewrite":"/$version/$2?from=$1"},"#,
            r#"{"name":"ws.example.com ^~ /static/","match":"^~ /static/","replace_prefix":"/","rewrite":null}]},"#,
            r#"{"names":["bare.example.com"],"default":false,"routes":["#,
            r#"{"name":"bare.example.com = /","match":"= /","replace_prefix":null,"rewrite":null},"#,
            r#"{"name":"bare.example.com /responses","match":"/responses","replace_prefix":null,"rewrite":null}]},"#,
            r#"{"names":[],"default":false,"routes":[]}]}"#
        )
    );
}

#[test]
fn header_map_is_told_the_rules_of_route_and_site() {
    let config = valid("every_key.toml");
    assert_eq!(
        chain(&config, 0)[2].1,
        concat!(
            r#"{"request":{"defaults":true,"set":[["X-Tenant","$tenant"],["X-Upgrade","$connection_upgrade"]],"append":[["Via","1.1 tidegate"]],"remove":["X-Debug"]},"#,
            r#""response":{"set":[["X-Frame-Options","DENY"]],"append":[["Link","</a>"]],"remove":["Server"]}}"#
        )
    );
    let second = chain(&config, 1)[1].1;
    assert!(second.contains(r#""set":[["X-Upgrade","$connection_upgrade"],["x-tenant","none"]]"#), "{second}");
    assert!(second.contains(r#""append":[],"remove":["Server","Link"]}"#), "{second}");
}

#[test]
fn header_map_serves_only_the_hooks_that_have_rules() {
    let hooks = |keys: &str| {
        let config =
            sites(&format!("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n{keys}\n"));
        config.routes[0].plugins.first().map(|i| hook_names(&config.plugins[*i]).unwrap())
    };
    assert_eq!(hooks(""), Some(vec!["request-headers"]));
    assert_eq!(hooks("default_headers = false"), None);
    assert_eq!(hooks("default_headers = false\nremove_headers = [\"X-A\"]"), Some(vec!["request-headers"]));
    assert_eq!(
        hooks("default_headers = false\nset_response_headers = { X-A = \"1\" }"),
        Some(vec!["response-headers"])
    );
    assert_eq!(hooks("remove_response_headers = [\"X-A\"]"), Some(vec!["request-headers", "response-headers"]));
}

#[test]
fn origin_check_and_auth_basic_are_told_the_routes_keys() {
    let config = valid("every_key.toml");
    let [origin, basic] = [chain(&config, 0)[0].1, chain(&config, 0)[1].1];
    assert_eq!(
        origin,
        r#"{"allow":["https://app.example.com","https://*.example.com","~^https://x[0-9]+\\.y$","null"],"missing":"allow"}"#
    );
    assert_eq!(basic, r#"{"realm":"Private","users":"alice:{PLAIN}secret"}"#);
    assert_eq!(chain(&config, 1)[0].1, r#"{"allow":["*"],"missing":"allow"}"#);
    assert!(chain(&config, 2)[0].1.ends_with(r#""missing":"deny"}"#));
    let plugin = |i: usize| &config.plugins[config.routes[0].plugins[i]];
    assert_eq!((plugin(0).deadline, plugin(1).deadline), (Duration::from_millis(20), Duration::from_millis(10)));
    assert_eq!(plugin(0).quarantine, None);
    assert_eq!((plugin(1).quarantine.map(|rules| rules.row), plugin(1).caps.host_calls), (Some(8), 10_000));
    assert_eq!((plugin(0).on_failure, plugin(0).memory), (OnFailure::Closed, 16 << 20));
}

#[test]
fn a_plugins_config_is_json_in_the_order_of_the_text() {
    let config = valid("every_key.toml");
    let mine = &config.plugins[config.routers[0]];
    assert_eq!(
        mine.config.expose(),
        concat!(
            r#"{"zeta":"first","alpha":{"deep":[1,2.5,true,"2026-01-02T03:04:05Z"],"odd/key":"s3cret"},"#,
            r#""both":{"from_file":"kept","as":"it is"}}"#
        )
    );
    assert_eq!((mine.on_failure, mine.deadline, mine.memory), (OnFailure::Open, Duration::from_secs(1), 64 << 20));
    assert_eq!((mine.isolation, hook_names(mine)), (Isolation::Request, Some(vec!["router", "authorizer"])));
    assert_eq!(mine.caps, Caps { table: 1000, output: Some(64 << 10), host_calls: 100 });
    let rules = mine.quarantine.unwrap();
    assert_eq!((rules.row, rules.failures, rules.calls), (0, 20, 5));
    let seconds = [rules.window, rules.rest, rules.longest_rest].map(|time| time.as_secs());
    assert_eq!((seconds, config.server.plugin_stack), ([60, 1, 300], 1 << 20));
    let PluginSource::File(path) = &mine.source else { panic!("{:?}", mine.source) };
    assert!(path.ends_with("tests/config/valid/../files/plugin.wasm"), "{path:?}");
}

#[test]
fn secrets_are_not_in_debug_output() {
    let shown = format!("{:?}", valid("every_key.toml"));
    assert!(shown.contains("origin-check") && !shown.contains("s3cret") && !shown.contains("alice"), "{shown}");
}

#[test]
fn what_takes_a_stock_plugins_place_is_told() {
    let config = valid("own_plugins.toml");
    let router = &config.plugins[config.routers[0]];
    assert!(matches!(router.source, PluginSource::File(_)), "{:?}", router.source);
    assert_eq!(router.config.expose(), r#"{"extra":1}"#, "a file with a configuration of its own gets that alone");
    let names: Vec<_> = chain(&config, 0).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["auth-basic", "header-map", "second-lock"]);
    let plugin = |i: usize| &config.plugins[config.routes[0].plugins[i]];
    assert_eq!((plugin(0).memory, plugin(0).deadline), (1 << 20, Duration::from_secs(2)));
    assert_eq!(hook_names(plugin(1)), Some(vec!["request-headers"]));
    assert_eq!(
        (&plugin(2).source, plugin(2).deadline),
        (&PluginSource::Stock("auth-basic".into()), Duration::from_secs(2))
    );
    assert!(plugin(2).config.expose().contains(env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn a_plugins_complaint_is_shown_where_the_value_stands() {
    let config = valid("every_key.toml");
    let at = |plugin: usize, message: &str| {
        let problem = Problem::at_plugin(&config.plugins[plugin], message);
        (problem.line, problem.column, problem.key, problem.message)
    };
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config/valid/every_key.toml"));
    let text = text.unwrap();
    // Line and column of the first character after `before`.
    let place = |before: &str| {
        let head = &text[..text.find(before).unwrap() + before.len()];
        (head.lines().count(), head.lines().last().unwrap().chars().count() + 1)
    };
    let check = |found: (usize, usize, String, String), before: &str, key: &str, message: &str| {
        assert_eq!((found.0, found.1), place(before), "{key}");
        assert_eq!((found.2.as_str(), found.3.as_str()), (key, message));
    };
    let chain = &config.routes[0].plugins;
    let basic = |m: &str| at(chain[1], m);
    check(basic("/realm: is dull"), "realm = ", "sites[0].auth_basic.realm", "plugin `auth-basic`: is dull");
    check(basic("/users: line 1: bad"), ", users = ", "sites[0].auth_basic.users", "plugin `auth-basic`: line 1: bad");
    check(basic("no pointer"), "\nauth_basic = ", "sites[0].auth_basic", "plugin `auth-basic`: no pointer");
    check(at(chain[0], "/allow/1: odd"), "app.example.com\", ", "sites[0].origins[1]", "plugin `origin-check`: odd");
    check(
        at(chain[2], "/request/set/1/1: odd"),
        "X-Upgrade = ",
        "sites[0].set_headers.X-Upgrade",
        "plugin `header-map`: /1: odd",
    );
    check(at(chain[3], "/alpha/deep/1: odd"), "deep = [1, ", "plugins.mine.config.alpha.deep[1]", "plugin `mine`: odd");
    check(
        at(chain[3], "/alpha/odd~1key: odd"),
        "\"odd/key\" = ",
        "plugins.mine.config.alpha.\"odd/key\"",
        "plugin `mine`: odd",
    );
    check(
        at(config.routers[1], "/sites/0/routes/1/rewrite: odd"),
        "rewrite = ",
        "sites[0].routes[1].rewrite",
        "plugin `router`: odd",
    );
    check(
        at(config.routers[1], "/sites/0/names/2: odd"),
        "\"*.Example.com\", ",
        "sites[0].names[2]",
        "plugin `router`: odd",
    );
}

#[test]
fn auth_request_is_told_its_keys_and_granted_its_upstream() {
    let config = valid("every_key.toml");
    assert_eq!(
        chain(&config, 3)[0].1,
        concat!(
            r#"{"path":"/verify?x=1","timeout_ms":5000,"#,
            r#""set":[["X-Original-URI","$scheme://$host$request_uri"],["Cookie",""]],"#,
            r#""variables":[["auth_user","X-User"],["remote_user","X-User"]],"#,
            r#""copy":["X-User","X-Groups"],"deny":["Set-Cookie"],"destination":"upstream:chat"}"#
        )
    );
    let plugin = &config.plugins[config.routes[3].plugins[0]];
    assert_eq!(plugin.deadline, Duration::from_secs(60));
    let granted = |plugin: &Plugin| {
        let named = |grant: &Grant| (grant.destination.clone(), config.upstreams[grant.upstream].name.to_string());
        plugin.grants.iter().map(named).collect::<Vec<_>>()
    };
    assert_eq!(granted(plugin), [("upstream:chat".to_owned(), "chat".to_owned())]);
    assert_eq!(
        granted(&config.plugins[config.routers[0]]),
        [
            ("upstream:chat".to_owned(), "chat".to_owned()),
            ("http://127.0.0.1:9000".to_owned(), "127.0.0.1:9000".to_owned()),
            ("https://keys.example.com:443".to_owned(), "https://Keys.example.com:443".to_owned()),
        ]
    );
    let others = config.plugins.iter().filter(|plugin| !["auth-request", "mine"].contains(&&*plugin.name));
    assert!(others.clone().count() > 5 && others.clone().all(|plugin| plugin.grants.is_empty()));
}

/// A password must not make the question needless, as in nginx.
#[test]
fn with_auth_request_all_must_accept_unless_the_route_says_otherwise() {
    let satisfy = |keys: &str| {
        let text = format!(
            "[[sites]]\nupstream = \"127.0.0.1:1\"\nauth_request = {{ upstream = \"127.0.0.1:2\", path = \"/\" }}\n\
             [[sites.routes]]\nmatch = \"/\"\n{keys}\n"
        );
        sites(&text).routes[0].satisfy
    };
    assert_eq!(satisfy(""), Satisfy::All);
    assert_eq!(satisfy("auth_request = false"), Satisfy::First);
    assert_eq!(satisfy("satisfy = \"any\""), Satisfy::Any);
}

#[test]
fn auth_basic_has_time_for_hashes_that_are_slow() {
    for (users, deadline) in [("a:{SHA}x", 10), ("a:{SHA}x\\nb:$2y$05$x", 2000), ("a:$apr1$x$y", 2000)] {
        let config = sites(&format!(
            "[[sites]]\nauth_basic = {{ realm = \"r\", users = \"{users}\" }}\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n"
        ));
        let basic = &config.plugins[config.routes[0].plugins[0]];
        assert_eq!(basic.deadline, Duration::from_millis(deadline), "{users}");
    }
}

#[test]
fn grants_are_what_they_say_and_no_more() {
    let config = valid("every_key.toml");
    let plugin = &config.plugins[config.routers[0]];
    let places: Vec<_> = plugin.grants.iter().map(|grant| (grant.path.as_str(), grant.by_name)).collect();
    assert_eq!(places, [("/", false), ("/", false), ("/jwks", true)]);
    let Services { kv, secrets, environment, private, max_fetches } = &plugin.services;
    let stores: Vec<_> = kv.iter().map(|kv| (&*config.kv[kv.store].name, &*kv.name, &*kv.prefix)).collect();
    assert_eq!(stores, [("sessions", "sessions", "mine:"), ("counters", "counters", "shared:")]);
    assert_eq!(secrets.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["token"]);
    assert!(!secrets[0].1.expose().is_empty());
    assert_eq!(environment.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["PATH"]);
    assert_eq!((private.len(), *max_fetches), (1, 7));
    let KvPlace::Redis(redis) = &config.kv[1].place else { panic!("{:?}", config.kv[1]) };
    assert_eq!((redis.address.to_string().as_str(), redis.database), ("redis.example.com:6379", 4));
    assert_eq!((redis.user.as_deref(), redis.password.expose()), (Some("ann"), "s3 cret"));
    assert!(!format!("{config:?}").contains("s3 cret"));
    assert_eq!(config.kv[0].place, KvPlace::Memory(KvMemory { max_keys: 500, max_bytes: 1 << 20, refuse: true }));
}
