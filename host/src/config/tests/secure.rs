//! What `security_headers` and `redirect_https` come to.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::*;

fn told(config: &Config, route: usize) -> Json {
    let chain = chain(config, route);
    let told = chain.iter().find(|(name, _)| *name == "security-headers");
    told.map_or(Json::Null, |(_, config)| serde_json::from_str(config).unwrap())
}

#[test]
fn headers_are_joined_from_the_outside_inwards() {
    let config = valid("https.toml");
    let csp = json!(["Content-Security-Policy", "connect-src 'self' wss://$host"]);
    let hsts = "max-age=31536000; includeSubDomains";
    // Those of the routes, then of the sites' own answers.
    let wanted = |max_age: &str| {
        json!({
            "headers": [["x-frame-options", "DENY"], csp],
            "over_tls": [["Strict-Transport-Security", max_age]],
        })
    };
    assert_eq!(told(&config, 0), wanted("max-age=1"));
    assert_eq!(told(&config, 1), Json::Null);
    assert_eq!(told(&config, 2), wanted(hsts));
    assert_eq!(told(&config, 3), Json::Null);
    let own_answers = config.routes.iter().position(|route| &*route.name == "a.example.com").unwrap();
    assert_eq!(told(&config, own_answers), wanted(hsts));
}

#[test]
fn the_guides_values_are_the_default() {
    let config = sites("[[sites]]\nsecurity_headers = true\nroutes = [{ match = \"/\", respond = { status = 200 } }]");
    let expected = json!({
        "headers": [
            ["X-Frame-Options", "SAMEORIGIN"], ["X-Content-Type-Options", "nosniff"], ["X-XSS-Protection", "1; mode=block"],
        ],
        "over_tls": [["Strict-Transport-Security", "max-age=31536000; includeSubDomains"]],
    });
    assert_eq!(told(&config, 0), expected);
    // What nobody wants costs nothing.
    let config = sites("[[sites]]\nsecurity_headers = false\nroutes = [{ match = \"/\", respond = { status = 200 } }]");
    assert_eq!(told(&config, 0), Json::Null);
}

#[test]
fn the_router_is_told_where_clients_are_sent() {
    let config = valid("https.toml");
    let router: Json = serde_json::from_str(config.plugins[config.routers[0]].config.expose()).unwrap();
    let site = &router["sites"][0];
    let usual = json!({"status": 301, "port": 8443});
    assert_eq!((&site["https"], &site["routes"][0]["https"]), (&usual, &usual));
    assert_eq!(site["routes"][1]["https"], Json::Null);
    assert_eq!(site["routes"][2]["https"], json!({"status": 308, "port": 443}));
    assert_eq!(router["sites"][1]["https"], Json::Null);
}

#[test]
fn the_page_of_497_is_kept_apart() {
    let config = valid("https.toml");
    let misplaced = |route: usize| {
        let page = config.routes[route].content.error_pages.misplaced.clone()?;
        Some((page.status, matches!(page.page, Page::Redirect(_))))
    };
    let sent = |status| Some((PageStatus::Is(StatusCode::from_u16(status).unwrap()), true));
    assert_eq!([misplaced(0), misplaced(1), misplaced(2)], [sent(302), None, sent(308)]);
    let pages = &config.routes[0].content.error_pages.pages;
    let statuses: Vec<u16> = pages.iter().flat_map(|page| &page.statuses).map(|status| status.as_u16()).collect();
    assert_eq!(statuses, [404, 403]);
    // The site's, as in nginx, though the route has pages of its own.
    assert_eq!(misplaced(3), Some((PageStatus::Same, false)));
}
