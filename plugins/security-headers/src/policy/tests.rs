#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use tidegate_plugin::{Edit, ResponseHeaders as _, testing};

use crate::SecurityHeaders;

fn edits(plugin: &mut SecurityHeaders, request: &testing::Request, response: &testing::Response) -> Vec<Edit> {
    testing::with_response(request, response, || plugin.on_response()).unwrap()
}

#[test]
fn lines_are_added_where_nobody_said_them() {
    let mut plugin: SecurityHeaders = testing::configure(
        r#"{"headers":[["X-Frame-Options","SAMEORIGIN"],["X-Host","$host"],["X-Empty","$nothing"]],
            "over_tls":[["Strict-Transport-Security","max-age=1"]]}"#,
    )
    .unwrap();
    let plain = testing::Request::get("/").header("Host", "a.test");
    let secure = plain.clone().variable("scheme", "https");
    let bare = testing::Response::new(404);
    let said = testing::Response::new(200).header("x-frame-options", "DENY").header("strict-transport-security", "x");
    let (frame, host) = (Edit::append("X-Frame-Options", "SAMEORIGIN"), Edit::append("X-Host", "a.test"));
    assert_eq!(edits(&mut plugin, &plain, &bare), [frame.clone(), host.clone()]);
    let all = [frame, host.clone(), Edit::append("Strict-Transport-Security", "max-age=1")];
    assert_eq!(edits(&mut plugin, &secure, &bare), all);
    assert_eq!(edits(&mut plugin, &secure, &said), [host]);
}

#[test]
fn by_itself_it_says_what_the_guides_say() {
    let mut plugin: SecurityHeaders = testing::configure("{}").unwrap();
    let request = testing::Request::get("/").variable("scheme", "https");
    let usual = [
        Edit::append("X-Frame-Options", "SAMEORIGIN"),
        Edit::append("X-Content-Type-Options", "nosniff"),
        Edit::append("X-XSS-Protection", "1; mode=block"),
        Edit::append("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ];
    assert_eq!(edits(&mut plugin, &request, &testing::Response::new(200)), usual);
    let mut silent: SecurityHeaders = testing::configure(r#"{"headers":[]}"#).unwrap();
    assert_eq!(edits(&mut silent, &request, &testing::Response::new(200)), []);
}

#[test]
fn a_decoded_variable_makes_no_second_line() {
    let mut plugin: SecurityHeaders = testing::configure(r#"{"headers":[["X-Path","$uri"]]}"#).unwrap();
    let request = testing::Request::get("/").variable("uri", "/a\r\nX-Evil: 1");
    let wanted = [Edit::append("X-Path", "/a  X-Evil: 1")];
    assert_eq!(edits(&mut plugin, &request, &testing::Response::new(200)), wanted);
}

#[test]
fn what_cannot_be_is_refused() {
    for (document, error) in [
        (r#"{"headers":[["X Y","v"]]}"#, "/headers/0/0: `X Y` is not a header name"),
        (r#"{"headers":[["X","a"],["X","$"]]}"#, "/headers/1/1: `$`: a `$` begins"),
        (r#"{"over_tls":[["Upgrade","v"]]}"#, "/over_tls/0/0: `Upgrade` is the proxy's"),
        ("{\"headers\":[[\"X\",\"a\\nb\"]]}", "/headers/0/1: "),
    ] {
        let message = testing::configure::<SecurityHeaders>(document).unwrap_err().to_string();
        assert!(message.starts_with(error), "{message}");
    }
}
