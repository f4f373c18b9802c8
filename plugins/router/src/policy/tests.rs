use std::net::SocketAddr;

use tidegate_plugin::{Reply, Router as _, testing};

use super::*;
use crate::Router;

mod https;

fn policy(config: serde_json::Value) -> Policy {
    Policy::new(&serde_json::from_value(config).unwrap()).unwrap()
}

/// One site with routes named by their match.
fn routes(patterns: &[&str]) -> Policy {
    let routes: Vec<_> = patterns.iter().map(|p| serde_json::json!({"name": p, "match": p})).collect();
    policy(serde_json::json!({"sites": [{"routes": routes}]}))
}

fn site(names: &[&str]) -> serde_json::Value {
    let name = names.first().copied().unwrap_or("-");
    serde_json::json!({"names": names, "routes": [{"name": name, "match": "/"}]})
}

/// The listener that has TLS.
const TLS: &str = "192.0.2.1:443";

/// A request made by hand.
struct Asks<'a> {
    host: &'a str,
    path: &'a str,
    raw: Option<&'a str>,
    local: Option<&'a str>,
}

impl Asked for Asks<'_> {
    fn host(&self) -> String {
        self.host.to_owned()
    }

    fn local(&self) -> SocketAddr {
        self.local.expect("the listener is not needed").parse().unwrap()
    }

    fn path(&self) -> String {
        self.path.to_owned()
    }

    fn target(&self) -> String {
        self.raw.expect("the raw target is not needed").to_owned()
    }

    fn base_url(&self, host: Option<&str>, with_port: bool) -> String {
        format!("http://{}{}", host.unwrap_or(self.host), if with_port { ":8080" } else { "" })
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "request_uri" => self.raw.map(str::to_owned),
            "scheme" => Some(if self.local == Some(TLS) { "https" } else { "http" }.to_owned()),
            _ => None,
        }
    }
}

fn chosen(policy: &Policy, host: &str, path: &str) -> String {
    match policy.choose(&Asks { host, path, raw: None, local: None }) {
        Choice::Route { name, .. } => name.to_owned(),
        Choice::Reply { reply, .. } if reply.status == 404 => "NoRoute".to_owned(),
        other => format!("{other:?}"),
    }
}

fn sent(policy: &Policy, path: &str, raw: &str) -> String {
    match policy.choose(&Asks { host: "a.test", path, raw: Some(raw), local: None }) {
        Choice::Route { path_with_query, .. } => path_with_query.unwrap_or_else(|| "as sent".to_owned()),
        Choice::Reply { reply, .. } => shown(&reply),
    }
}

/// A reply as `STATUS LOCATION` or `STATUS BODY`.
fn shown(reply: &Reply) -> String {
    let location = reply.fields.iter().find(|field| field.name == "location");
    let text = location.map_or(&reply.body, |field| &field.value);
    format!("{} {}", reply.status, String::from_utf8_lossy(text)).trim().to_owned()
}

fn rewriting(pattern: &str, key: &str, value: &str) -> Policy {
    policy(serde_json::json!({"sites": [{"routes": [{"name": "r", "match": pattern, key: value}]}]}))
}

fn refused(config: serde_json::Value) -> String {
    Policy::new(&serde_json::from_value(config).unwrap()).unwrap_err().to_string()
}

#[test]
fn exact_wins_over_all() {
    let policy = routes(&["~ ^/a", "^~ /a", "= /a", "/"]);
    assert_eq!(chosen(&policy, "", "/a"), "= /a");
    assert_eq!(chosen(&policy, "", "/ab"), "^~ /a");
}

#[test]
fn longest_prefix_wins_whatever_the_order() {
    for order in [["/", "/a", "/a/b", "/a/bc"], ["/a/bc", "/a/b", "/a", "/"], ["/a", "/a/bc", "/", "/a/b"]] {
        let policy = routes(&order);
        for (path, route) in [
            ("/", "/"),
            ("/b", "/"),
            ("/a", "/a"),
            ("/ax", "/a"),
            ("/a/", "/a"),
            ("/a/b", "/a/b"),
            ("/a/b/c", "/a/b"),
            ("/a/bc", "/a/bc"),
            ("/a/bb", "/a/b"),
            ("/a/c", "/a"),
        ] {
            assert_eq!(chosen(&policy, "", path), route, "{path}");
        }
    }
}

#[test]
fn patterns_come_in_file_order_after_the_prefix() {
    let policy = routes(&["/", "/img/", r"~ \.PNG$", r"~* \.png$", r"~ ^/img"]);
    assert_eq!(chosen(&policy, "", "/img/x.PNG"), r"~ \.PNG$");
    assert_eq!(chosen(&policy, "", "/img/x.png"), r"~* \.png$");
    assert_eq!(chosen(&policy, "", "/img/x.gif"), "~ ^/img");
    assert_eq!(chosen(&policy, "", "/x.gif"), "/");
}

#[test]
fn only_the_longest_prefix_can_stop_patterns() {
    let policy = routes(&["^~ /img/", "/img/raw/", r"~ \.png$", "/"]);
    assert_eq!(chosen(&policy, "", "/img/x.png"), "^~ /img/");
    assert_eq!(chosen(&policy, "", "/img/raw/x.png"), r"~ \.png$");
    assert_eq!(chosen(&policy, "", "/img/raw/x.gif"), "/img/raw/");
}

#[test]
fn nothing_matches() {
    let policy = routes(&["/a", "= /b"]);
    for path in ["/", "/b/", "/c", ""] {
        assert_eq!(chosen(&policy, "", path), "NoRoute", "{path}");
    }
    let none = self::policy(serde_json::json!({"sites": []}));
    assert_eq!(chosen(&none, "", "/"), "NoRoute");
}

#[test]
fn matching_minds_case_except_where_asked() {
    let policy = routes(&["/Chat", "~* ^/room"]);
    assert_eq!(chosen(&policy, "", "/chat"), "NoRoute");
    assert_eq!(chosen(&policy, "", "/ROOM"), "~* ^/room");
}

#[test]
fn a_missing_slash_is_redirected() {
    let redirect = |policy: &Policy, path: &str, raw: &str| {
        let sent = sent(policy, path, raw);
        sent.strip_prefix("301 http://a.test:8080").map(str::to_owned).unwrap_or(sent)
    };
    let policy = routes(&["/", "/chat/", "= /exact/", "/a b/", "~ ^/chat"]);
    assert_eq!(redirect(&policy, "/chat", "/chat"), "/chat/");
    assert_eq!(redirect(&policy, "/chat", "/chat?x=1"), "/chat/?x=1");
    assert_eq!(redirect(&policy, "/exact", "/exact?"), "/exact/");
    assert_eq!(redirect(&policy, "/a b", "/a%20b"), "/a%20b/");
    // Not where a route has the path itself.
    for other in ["/chat", "= /chat", "^~ /chat"] {
        assert_eq!(chosen(&routes(&["/chat/", other, "/"]), "", "/chat"), other);
    }
    assert_eq!(chosen(&routes(&["/chat/"]), "", "/cha"), "NoRoute");
}

#[test]
fn sites_are_chosen_as_server_names() {
    let policy = policy(serde_json::json!({"sites": [
        site(&["~^re[0-9]+\\.example\\.org$"]),
        site(&["*.example.com"]),
        site(&["*.b.example.com"]),
        site(&["www.example.*"]),
        site(&["www.*"]),
        site(&["WS.Example.com", "other.test"]),
        site(&[".dot.test"]),
        {"names": ["default"], "default": true, "routes": [{"name": "default", "match": "/"}]},
        site(&["~^re"]),
    ]}));
    for (host, name) in [
        ("ws.example.com", "WS.Example.com"),
        ("other.test", "WS.Example.com"),
        ("a.example.com", "*.example.com"),
        ("a.a.example.com", "*.example.com"),
        ("a.b.example.com", "*.b.example.com"),
        ("www.example.com", "*.example.com"),
        ("www.example.org", "www.example.*"),
        ("www.example.co.uk", "www.example.*"),
        ("www.test", "www.*"),
        ("dot.test", ".dot.test"),
        ("x.dot.test", ".dot.test"),
        ("re12.example.org", "~^re[0-9]+\\.example\\.org$"),
        ("rex.example.org", "~^re"),
        ("example.com", "default"),
        (".example.com", "default"),
        ("www.", "default"),
        ("", "default"),
        ("192.0.2.1", "default"),
    ] {
        assert_eq!(chosen(&policy, host, "/"), name, "{host}");
    }
}

#[test]
fn without_a_default_the_first_site_is() {
    let policy = policy(serde_json::json!({"sites": [site(&["a.test"]), site(&["b.test"])]}));
    assert_eq!(chosen(&policy, "b.test", "/"), "b.test");
    assert_eq!(chosen(&policy, "c.test", "/"), "a.test");
}

#[test]
fn one_site_takes_every_host_unread() {
    let policy = policy(serde_json::json!({"sites": [site(&["a.test"])]}));
    assert!(!policy.needs_host());
    assert_eq!(chosen(&policy, "", "/"), "a.test");
}

#[test]
fn a_host_of_many_labels_is_cheap() {
    let policy = policy(serde_json::json!({"sites": [site(&["*.x.test"]), site(&["mail.*"])]}));
    let host = format!("{}x.test", "a.".repeat(4000));
    assert_eq!(chosen(&policy, &host, "/"), "*.x.test");
    assert_eq!(chosen(&policy, &format!("mail{}", ".a".repeat(4000)), "/"), "mail.*");
}

#[test]
fn many_routes_and_sites() {
    let sites: Vec<_> = (0..500).map(|n| site(&[&format!("s{n}.test"), &format!("*.w{n}.test")])).collect();
    let many = policy(serde_json::json!({"sites": sites}));
    assert_eq!(chosen(&many, "s499.test", "/x"), "s499.test");
    assert_eq!(chosen(&many, "x.w37.test", "/x"), "s37.test");
    let patterns: Vec<String> = (0..2000).map(|n| format!("/p{n}")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let policy = routes(&patterns);
    for (path, route) in
        [("/p1", "/p1"), ("/p19", "/p19"), ("/p199/x", "/p199"), ("/p1999", "/p1999"), ("/p2000", "/p200")]
    {
        assert_eq!(chosen(&policy, "", path), route);
    }
}

#[test]
fn prefixes_are_replaced_as_by_proxy_pass() {
    for (pattern, new, path, raw, expected) in [
        ("/api/", "/", "/api/v1/x", "/api/v1/x", "/v1/x"),
        ("/api/", "/", "/api/v1", "/api/v1?a=%20b", "/v1?a=%20b"),
        ("/api/", "/", "/api/v1", "/api/v1?", "/v1"),
        ("/api", "/", "/api/v1", "/api/v1", "//v1"),
        ("/api/", "/new", "/api/v1", "/api/v1", "/newv1"),
        ("^~ /a/", "/b/", "/a/", "/a/", "/b/"),
        ("= /one", "/two", "/one", "/one?q=1", "/two?q=1"),
        // The normalised path goes on, not what was sent.
        ("/a/", "/b/", "/a/d", "/a/./c/../d", "/b/d"),
        // Escaped again where the client escaped something.
        ("/a/", "/b/", "/a/x y#z", "/a/x%20y%23z", "/b/x%20y%23z"),
        ("/a/", "/b/", "/a/é?", "/a/%C3%A9%3f", "/b/%C3%A9%3F"),
        ("/a/", "/b/", "/a/100%", "/a/100%25", "/b/100%25"),
        ("/a/", "/b/", "/a/~!$&'()*+,;=:@", "/a/%7E!$&'()*+,;=:@", "/b/~!$&'()*+,;=:@"),
        ("/a/", "/b/", "/a/{x}", "/a/%7bx%7D", "/b/%7Bx%7D"),
        ("/a/", "/b/", "/a/{x}", "/a/{x}", "/b/{x}"),
        // A byte that is not UTF-8 stays escaped in the path.
        ("/a/", "/b/", "/a/%FF", "/a/%ff", "/b/%FF"),
    ] {
        assert_eq!(sent(&rewriting(pattern, "replace_prefix", new), path, raw), expected, "{pattern} {new} {raw}");
    }
    assert_eq!(chosen(&routes(&["/api/"]), "", "/api/x"), "/api/");
    assert_eq!(sent(&routes(&["/api/"]), "/api/x", "/api/x"), "as sent");
}

#[test]
fn captures_are_put_into_templates() {
    for (pattern, template, path, raw, expected) in [
        (r"~ ^/room/(\w+)$", "/api/$1", "/room/a", "/room/a", "/api/a"),
        (r"~ ^/room/(\w+)$", "/api/$1", "/room/a", "/room/a?x=1", "/api/a?x=1"),
        (r"~ ^/room/(\w+)$", "/api?v=$1", "/room/a", "/room/a?x=1", "/api?v=a"),
        (r"~ ^/room/(\w+)$", "/api/$1?", "/room/a", "/room/a?x=1", "/api/a"),
        (r"~ ^/(?<who>\w+)/(?<what>\w+)$", "/$what/${who}x/$1", "/ann/chat", "/ann/chat", "/chat/annx/ann"),
        (r"~ ^/(a)?(b)?$", "/[$1$2]", "/b", "/b", "/[b]"),
        (r"~ ^/(.*)$", "/$$1/$0", "/x", "/x", "/$1//x"),
        (r"~ ^/(.*)$", "/p/$1?q=$1", "/a b&c+d", "/a%20b&c+d", "/p/a%20b&c+d?q=a%20b%26c%2Bd"),
        (r"~ ^/(.*)$", "/p?q=$1", "/c+d", "/c+d", "/p?q=c%2Bd"),
        (r"~ ^/(.*)$", "/p?q=$1&s=1", "/é", "/é", "/p?q=é&s=1"),
    ] {
        assert_eq!(sent(&rewriting(pattern, "rewrite", template), path, raw), expected, "{pattern} {template}");
    }
}

#[test]
fn named_groups_become_variables() {
    let policy = policy(serde_json::json!({"sites": [{
        "names": [r"~^(?<tenant>[a-z]+)\.example\.com$"],
        "routes": [{"name": "room", "match": r"~ ^/room/(?<room>\w+)(?:/(?<part>\w+))?$"}, {"name": "rest", "match": "/"}],
    }]}));
    assert!(policy.needs_host());
    let variables = |host: &str, path: &str| match policy.choose(&Asks { host, path, raw: None, local: None }) {
        Choice::Route { variables, path_with_query: None, .. } => variables,
        other => panic!("{other:?}"),
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(variables("acme.example.com", "/room/x"), [pair("tenant", "acme"), pair("room", "x"), pair("part", "")]);
    assert_eq!(variables("acme.example.com", "/"), [pair("tenant", "acme")]);
    assert_eq!(variables("acme.example.org", "/room/x/y"), [pair("room", "x"), pair("part", "y")]);
}

#[test]
fn wrong_names_are_refused() {
    for (names, error) in [
        (["a.test", "a.test"], "/sites/1/names/1: `a.test` is a name of site 1 already"),
        (["a.test", ".A.test"], "/sites/1/names/1: `.A.test` is a name of site 1 already"),
        (["x", "~("], "/sites/1/names/1: `(` is not a pattern"),
        (["x", "a.*.b"], "/sites/1/names/1: `a.*.b`: a `*` stands for whole labels"),
        (["x", "*.a.*"], "/sites/1/names/1: `*.a.*`: a `*` stands for whole labels"),
        (["x", "*"], "/sites/1/names/1: `*`: a `*` stands for whole labels"),
        (["x", "*."], "/sites/1/names/1: `*.`: there is no name"),
        (["x", ".*"], "/sites/1/names/1: `.*`: there is no name"),
    ] {
        let message = refused(serde_json::json!({"sites": [site(&["other.test"]), site(&names)]}));
        assert!(message.starts_with(error), "{message}");
    }
    assert_eq!(
        refused(serde_json::json!({"sites": [{"default": true}, {}, {"default": true}]})),
        "/sites/2/default: site 0 is the default already"
    );
}

#[test]
fn wrong_routes_are_refused() {
    for (route, error) in [
        (serde_json::json!({"match": "chat"}), "/match: `chat`: a path begins with `/`"),
        (serde_json::json!({"match": "= chat"}), "/match: `= chat`: a path begins with `/`"),
        (serde_json::json!({"match": "@chat"}), "/match: `@chat`: a path begins with `/`"),
        (serde_json::json!({"match": "~ ("}), "/match: `(` is not a pattern"),
        (serde_json::json!({"match": "~ (?=x)"}), "/match: `(?=x)` is not a pattern"),
        (serde_json::json!({"match": "/first"}), "/match: route `first` of this site has the same"),
        (serde_json::json!({"match": "^~ /first"}), "/match: route `first` of this site has the same"),
        (serde_json::json!({"match": "/a", "replace_prefix": "b"}), "/replace_prefix: `b` does not begin with `/`"),
        (serde_json::json!({"match": "/a", "replace_prefix": "/b?c"}), "/replace_prefix: `/b?c`: a prefix has no `?`"),
        (serde_json::json!({"match": "/a", "replace_prefix": "/b c"}), "/replace_prefix: `/b c`: ` ` must be percent-"),
        (serde_json::json!({"match": "~ a", "replace_prefix": "/"}), "/replace_prefix: a pattern has no prefix"),
        (serde_json::json!({"match": "/a", "rewrite": "/"}), "/rewrite: only a route that matches by a pattern"),
        (serde_json::json!({"match": "~ (a)", "rewrite": "/$2"}), "/rewrite: `/$2`: the pattern has no group `2`"),
        (serde_json::json!({"match": "~ (a)", "rewrite": "/$x"}), "/rewrite: `/$x`: the pattern has no group `x`"),
        (serde_json::json!({"match": "~ (a)", "rewrite": "/$"}), "/rewrite: `/$`: a `$` without a group"),
        (serde_json::json!({"match": "~ (a)", "rewrite": "/${1"}), "/rewrite: `/${1`: a `$` without a group"),
    ] {
        let mut route = route;
        route["name"] = "second".into();
        let first = serde_json::json!({"name": "first", "match": "/first"});
        let message = refused(serde_json::json!({"sites": [{"routes": [first, route]}]}));
        assert!(message.starts_with(&format!("/sites/0/routes/1{error}")), "{message}");
    }
    let twice = serde_json::json!([{"name": "a", "match": "= /x"}, {"name": "b", "match": "=/x"}]);
    assert_eq!(
        refused(serde_json::json!({"sites": [{"routes": twice}]})),
        "/sites/0/routes/1/match: route `a` of this site has the same"
    );
}

#[test]
fn as_a_plugin() {
    let mut plugin: Router = testing::configure(
        r#"{"sites": [
            {"names": ["ws.test"], "routes": [
                {"name": "chat", "match": "/ws", "replace_prefix": null, "rewrite": null},
                {"name": "api", "match": "/api/", "replace_prefix": "/"}]},
            {"names": ["other.test"], "routes": []}]}"#,
    )
    .unwrap();
    let mut route = |host: &str, target: &str| {
        let request = testing::Request::get(target).header("Host", host);
        testing::with(&request, || plugin.route())
    };
    assert_eq!(route("ws.test:8080", "/ws?x"), Ok(Some(tidegate_plugin::Target::new("chat"))));
    assert_eq!(route("WS.test", "/api/%61?x"), Ok(Some(tidegate_plugin::Target::new("api").path_with_query("/a?x"))));
    let moved = route("ws.test", "/api?x").unwrap_err();
    assert_eq!((moved.status, moved.fields[0].value.as_slice()), (301, &b"http://ws.test/api/?x"[..]));
    assert_eq!(route("other.test", "/ws").unwrap_err().status, 404);
    let error = testing::configure::<Router>(r#"{"sites": [{"routes": [{"name": "x", "mtch": "/"}]}]}"#).unwrap_err();
    assert_eq!(error.pointer(), "/sites/0/routes/0/mtch");
}

fn scripted(site: &serde_json::Value) -> Policy {
    policy(serde_json::json!({"sites": [site]}))
}

#[test]
fn routes_stand_within_others() {
    let inner = |pattern: &str, routes: serde_json::Value| serde_json::json!({"name": pattern, "match": pattern, "routes": routes});
    let leaf = |pattern: &str| inner(pattern, serde_json::json!([]));
    let policy = scripted(&serde_json::json!({"routes": [
        leaf("/"),
        inner("/a/", serde_json::json!([leaf("/a/b/"), leaf("= /a/c"), leaf("~ \\.in$"), inner("/a/d/", serde_json::json!([leaf("/a/d/e/")]))])),
        inner("^~ /f/", serde_json::json!([leaf("~ \\.deep$")])),
        inner("~ ^/r", serde_json::json!([leaf("~ x$"), leaf("~* Y$")])),
        leaf("~ \\.(in|out|deep)$"),
    ]}));
    for (path, route) in [
        ("/a/x", "/a/"),
        ("/a/b/x", "/a/b/"),
        ("/a/c", "= /a/c"),
        ("/a/c/", "/a/"),
        ("/a/x.in", "~ \\.in$"),
        // No pattern within matched: those beside it are asked.
        ("/a/x.out", "~ \\.(in|out|deep)$"),
        ("/a/b/x.out", "~ \\.(in|out|deep)$"),
        ("/a/d/e/x", "/a/d/e/"),
        ("/f/x.out", "^~ /f/"),
        ("/f/x.deep", "~ \\.deep$"),
        ("/r", "~ ^/r"),
        ("/rx", "~ x$"),
        ("/ry", "~* Y$"),
        ("/z", "/"),
    ] {
        assert_eq!(chosen(&policy, "", path), route, "{path}");
    }
}

#[test]
fn what_cannot_stand_within_is_refused() {
    for (outer, inner, error) in [
        ("= /a", "/a/b", "no route stands in the exact `= /a`"),
        ("/a/", "/b/", "`/b/` is outside of `/a/`, in which it stands"),
        ("~ ^/a", "/a/", "only a pattern can stand in a pattern"),
        ("/a/", "~ (", "`(` is not a pattern"),
    ] {
        let inner = serde_json::json!({"name": "inner", "match": inner});
        let outer = serde_json::json!({"name": "outer", "match": outer, "routes": [inner]});
        let message = refused(serde_json::json!({"sites": [{"routes": [outer]}]}));
        assert!(message.starts_with(&format!("/sites/0/routes/0/routes/0/match: {error}")), "{message}");
    }
}

#[test]
fn rules_change_the_path() {
    let policy = scripted(&serde_json::json!({
        "names": ["a.test"],
        "rewrites": [
            {"match": "^/old/(.*)$", "to": "/new/$1"},
            {"match": "^/gone$", "to": "https://$host/x?from=$uri", "flag": "permanent"},
            {"match": "^/there/(?<rest>.*)", "to": "/here/$rest", "flag": "redirect"},
        ],
        "routes": [
            {"name": "rest", "match": "/"},
            {"name": "new", "match": "/new/", "replace_prefix": "/N/"},
            {"name": "last", "match": "/last/", "rewrites": [{"match": "^/last/(.*)$", "to": "/new/$1?l=1", "flag": "last"}]},
            {"name": "break", "match": "/break/", "replace_prefix": "/B/",
             "rewrites": [{"match": "^/break/(.*)$", "to": "/b/$1?", "flag": "break"}, {"match": ".", "to": "/no"}]},
            {"name": "loop", "match": "/loop", "rewrites": [{"match": "^", "to": "/loop"}]},
            {"name": "count", "match": "/count", "rewrites": [{"match": "^/countx(.*)", "to": "/count$1", "flag": "last"}]},
            {"name": "answer", "match": "~ ^/answer/(.*)$", "respond": {"status": 200, "body": "$1 $args $request_uri"}},
        ],
    }));
    let circles = "500 500 Internal Server Error: the rewrite rules go round in circles";
    for (path, raw, expected) in [
        ("/x", "/x?y", "as sent"),
        ("/old/a b", "/old/a%20b?q", "/N/a%20b?q"),
        ("/old/a\u{e9}", "/old/a\u{e9}", "/N/a%C3%A9"),
        ("/gone", "/gone?q=1", "301 https://a.test/x?from=/gone&q=1"),
        ("/there/a", "/there/a?q", "302 http://a.test:8080/here/a?q"),
        ("/last/x", "/last/x?q", "/N/x?l=1&q"),
        ("/break/x", "/break/x?q", "/b/x"),
        ("/loop", "/loop", circles),
        ("/countxxxxxxxxxx", "/countxxxxxxxxxx", "/count"),
        ("/answer/me", "/answer/me?a=1", "200 me a=1 /answer/me?a=1"),
    ] {
        assert_eq!(sent(&policy, path, raw), expected, "{path}");
    }
    // Ten changes are made, the eleventh is one too many.
    let many = |n: usize| format!("/count{}", "x".repeat(n));
    let one = scripted(&serde_json::json!({"routes": [
        {"name": "c", "match": "/count", "rewrites": [{"match": "^/countx(.*)", "to": "/count$1", "flag": "last"}]}]}));
    assert_eq!(sent(&one, &many(10), &many(10)), "/count");
    assert_eq!(sent(&one, &many(11), &many(11)), circles);
}

#[test]
fn a_changed_path_is_told_to_the_host() {
    let mut plugin: Router = testing::configure(
        r#"{"sites": [{"routes": [{"name": "r", "match": "/", "rewrites": [{"match": "^/a(?<n>.)", "to": "/b c$n", "flag": "break"}]}]}]}"#,
    )
    .unwrap();
    let request = testing::Request::get("/a%31");
    let target = testing::with(&request, || plugin.route()).unwrap().unwrap();
    let expected =
        tidegate_plugin::Target::new("r").path_with_query("/b%20c1").variable("n", "1").variable("uri", "/b c1");
    assert_eq!(target, expected);
}

#[test]
fn sites_and_routes_answer_themselves() {
    let policy = scripted(&serde_json::json!({
        "names": ["a.test"], "route": "own", "redirects": {"absolute": true, "site_name": true, "port": false},
        "routes": [
            {"name": "health", "match": "= /health", "respond": {"body": "healthy\n"}},
            {"name": "moved", "match": "/moved/", "respond": {"location": "/new$request_uri"},
             "redirects": {"absolute": false, "site_name": false, "port": true}},
            {"name": "no", "match": "/no", "respond": {"status": 403}},
            {"name": "close", "match": "/close", "respond": {"status": 444}},
            {"name": "slash", "match": "/slash/"},
        ],
    }));
    for (path, expected) in [
        ("/health", "200 healthy"),
        ("/moved/x", "302 /new/moved/x"),
        // It does not pass requests on, so there is nothing to redirect to.
        ("/moved", "404 no route"),
        ("/no", "403 403 Forbidden"),
        ("/close", "444"),
        ("/slash", "301 http://a.test:8080/slash/"),
    ] {
        assert_eq!(sent(&policy, path, path), expected, "{path}");
    }
    let site = scripted(&serde_json::json!({
        "names": ["b.test"], "redirects": {"absolute": true, "site_name": true, "port": false}, "route": "own",
        "respond": {"status": 308, "location": "/x"},
    }));
    let asks = Asks { host: "", path: "/", raw: Some("/"), local: None };
    let Choice::Reply { route: Some("own"), reply } = site.choose(&asks) else { panic!("no reply of the site's") };
    assert_eq!(shown(&reply), "308 http://b.test/x");
}

#[test]
fn wrong_answers_and_rules_are_refused() {
    for (key, value, error) in [
        ("respond", serde_json::json!({"status": 99}), "/respond/status: 99 is not a status"),
        ("respond", serde_json::json!({"status": 301}), "/respond/location: goes with 301"),
        ("respond", serde_json::json!({"status": 200, "location": "/"}), "/respond/location: goes with 301"),
        ("respond", serde_json::json!({"body": "$"}), "/respond/body: `$`: a `$` begins a variable"),
        ("respond", serde_json::json!({"content_type": "a\nb"}), "/respond/content_type: `a\\nb` is not a type"),
        ("rewrites", serde_json::json!([{"match": "(", "to": "/"}]), "/rewrites/0/match: `(` is not a pattern"),
        ("rewrites", serde_json::json!([{"match": "a", "to": "b"}]), "/rewrites/0/to: `b` begins neither"),
        (
            "rewrites",
            serde_json::json!([{"match": "a", "to": "/$1"}]),
            "/rewrites/0/to: `/$1`: the pattern has no group `1`",
        ),
        ("rewrites", serde_json::json!([{"match": "a", "to": "/$"}]), "/rewrites/0/to: `/$`: a `$` begins"),
    ] {
        let message = refused(serde_json::json!({"sites": [{(key): value}]}));
        assert!(message.starts_with(&format!("/sites/0{error}")), "{message}");
    }
}

#[test]
fn sites_are_chosen_by_listener_and_name() {
    let at = |name: &str, names: &[&str], listen: &[&str], default: bool| {
        serde_json::json!({"names": names, "listen": listen, "default": default,
                           "routes": [{"name": name, "match": "/"}]})
    };
    let policy = policy(serde_json::json!({"sites": [
        at("one", &["a.test"], &["192.0.2.1:80"], false),
        at("two", &["a.test", "b.test"], &["0.0.0.0:80"], false),
        at("three", &["c.test"], &["192.0.2.1:80", "0.0.0.0:80"], true),
        at("tls", &["a.test"], &["[::]:443"], false),
    ]}));
    let chosen = |local: &str, host: &str| match policy.choose(&Asks { host, path: "/", raw: None, local: Some(local) })
    {
        Choice::Route { name, .. } => name.to_owned(),
        Choice::Reply { reply, .. } => reply.status.to_string(),
    };
    for (local, host, site) in [
        ("192.0.2.1:80", "a.test", "one"),
        ("192.0.2.1:80", "b.test", "three"),
        ("192.0.2.1:80", "c.test", "three"),
        ("192.0.2.2:80", "a.test", "two"),
        ("192.0.2.2:80", "x.test", "three"),
        ("192.0.2.2:443", "x.test", "tls"),
        ("[2001:db8::1]:443", "x.test", "tls"),
        ("[2001:db8::1]:80", "a.test", "404"),
        ("192.0.2.1:8080", "a.test", "404"),
    ] {
        assert_eq!(chosen(local, host), site, "{local} {host}");
    }
    for (sites, error) in [
        (serde_json::json!([at("x", &[], &["a:80"], false)]), "/sites/0/listen/0: `a:80` is not an IP address"),
        (
            serde_json::json!([at("x", &["a"], &["[::]:1"], false), at("y", &["a"], &[], false)]),
            "/sites/1/names/0: `a` is a name of site 0 already",
        ),
    ] {
        let message = refused(serde_json::json!({"sites": sites}));
        assert!(message.starts_with(error), "{message}");
    }
}
