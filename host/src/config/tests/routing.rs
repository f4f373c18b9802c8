//! Routes within routes, rewrites, answers, and what upstreams' values become.

use super::*;

#[test]
fn the_router_is_told_rules_answers_and_routes_within() {
    let config = valid("routing.toml");
    let router = &config.plugins[config.routers[0]];
    let expected = concat!(
        r#"{"sites":[{"names":["a.test"],"listen":["127.0.0.1:8081"],"default":true,"route":"a.test","#,
        r#""rewrites":[{"match":"^/old/(?<rest>.*)$","to":"/new/$rest","flag":"last"}],"#,
        r#""redirects":{"absolute":true,"site_name":true,"port":false},"#,
        r#""routes":[{"name":"outer","match":"/a/","replace_prefix":"/x$/","rewrite":null,"#,
        r#""redirects":{"absolute":true,"site_name":true,"port":false},"#,
        r#""routes":[{"name":"a.test = /a/health","match":"= /a/health","replace_prefix":null,"rewrite":null,"#,
        r#""respond":{"body":"ok $rest\n","content_type":"text/x","status":200},"#,
        r#""redirects":{"absolute":true,"site_name":true,"port":false}},"#,
        r#"{"name":"inner","match":"~ /b/(.)","replace_prefix":null,"rewrite":null,"#,
        r#""rewrites":[{"match":"^/a","to":"https://$host$uri?"}],"#,
        r#""redirects":{"absolute":true,"site_name":true,"port":false}}]},"#,
        r#"{"name":"a.test /plain/","match":"/plain/","replace_prefix":null,"rewrite":null,"#,
        r#""redirects":{"absolute":true,"site_name":true,"port":false}}]},"#,
        r#"{"names":["a.test"],"listen":["[::]:8082"],"default":true,"route":"a.test (2)","respond":{"location":"https://$host$request_uri","status":301},"#,
        r#""redirects":{"absolute":false,"site_name":false,"port":true},"routes":[]}]}"#,
    );
    assert_eq!(router.config.expose(), expected);
    let names: Vec<_> = config.routes.iter().map(|r| (&*r.name, r.upstream.is_some())).collect();
    assert_eq!(
        names,
        [
            ("outer", true),
            ("a.test = /a/health", true),
            ("inner", true),
            ("a.test /plain/", true),
            ("a.test", false),
            ("a.test (2)", false)
        ]
    );
    assert_eq!(config.server.server_header.as_ref().unwrap(), "edge");
    assert_eq!(config.routes[2].pass_headers, [http::header::SERVER]);
}

#[test]
fn header_map_is_told_what_the_upstreams_values_become() {
    let config = valid("routing.toml");
    let told = |route: usize| {
        let chain = chain(&config, route);
        let (_, config) = chain.iter().find(|(name, _)| *name == "header-map").unwrap();
        config.to_string()
    };
    let absolute = r#""absolute":{"host":"a.test","port":false}"#;
    let added = r#""response":{"set":[],"append":[],"add":[["X-Some","$host"]],"remove":[]}"#;
    // nginx's default, since the upstream is told another Host.
    let outer = format!(
        r#"{added},"upstream":{{"location":[["http://app/x$$/","/a/"]],{absolute},"cookie_paths":[["/two/","/"]]}}}}"#
    );
    assert!(told(0).ends_with(&outer), "{}", told(0));
    let inner = format!(
        concat!(
            r#"{},"upstream":{{"location":[["~^http://(?<h>[^/]+)/(.*)","https://$h/$2"],["/","/a/"]],{},"#,
            r#""cookie_domains":[["inside",".$host"]],"cookie_paths":[["/two/","/"]],"cookie_flags":[["~","secure"]]}}}}"#
        ),
        added, absolute
    );
    assert!(told(2).ends_with(&inner), "{}", told(2));
    assert!(told(3).ends_with(&format!("{added}}}")), "{}", told(3));
}

/// A route without rules for all answers is asked only for those with such values.
#[test]
fn hooks_are_spared_answers_that_have_no_such_values() {
    let with = |keys: &str| {
        let config =
            sites(&format!("[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n{keys}\n"));
        let plugin = &config.plugins[*config.routes[0].plugins.first().unwrap()];
        let hooks = plugin.hooks.unwrap().contains(crate::hook::Hook::ResponseHeaders);
        (hooks, plugin.response_with.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(with(""), (false, String::new()));
    assert_eq!(with("set_headers = { Host = \"$http_host\" }"), (false, String::new()));
    assert_eq!(with("set_headers = { Host = \"b\" }"), (true, "location refresh".into()));
    assert_eq!(with("set_headers = { Host = \"b\" }\nrewrite_location = {}"), (false, String::new()));
    assert_eq!(with("cookie_flags = { \"~\" = \"secure\" }"), (true, "set-cookie".into()));
    assert_eq!(with("set_response_headers = { A = \"b\" }\ncookie_paths = { \"/\" = \"/a\" }"), (true, String::new()));
}
