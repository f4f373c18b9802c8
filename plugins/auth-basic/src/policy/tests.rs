use tidegate_plugin::{Authorizer as _, Grant, Verdict, testing};

use super::*;
use crate::AuthBasic;

/// Made by `openssl passwd -apr1`, glibc's crypt(3) and `openssl dgst -sha1`.
const USERS: &str = "\
# comment
ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a
long:$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i:with a comment
nobody:$2a$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq
umlaut:$2y$04$abcdefghijklmnopqrstuum174eFeoTj0DHmtuueFaS3Wde4P7wHG

apr:$apr1$abcdefgh$G8IsPsylW5ROvIKsQMRG61
aprempty:$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie.
aprlong:$apr1$abcdefgh$4cckBv1LNP0jnNieVwqn8.
aprshort:$apr1$xy$94JxxwMvxqQwA3Iid6OL9.\r
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
ssha:{SSHA}8bX4JQDfZqtTfvnQ4ssDmWb17/FTQUxU
plain:{PLAIN}se cret
plain:{PLAIN}second
";

fn policy() -> Policy {
    Policy::new(&Config { realm: "Private".into(), users: USERS.into() }).unwrap()
}

fn basic(credentials: impl AsRef<[u8]>) -> Vec<u8> {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials)).into_bytes()
}

#[test]
fn every_form_of_password() {
    let mut policy = policy();
    let hundred = "x".repeat(100);
    for (user, password) in [
        ("ann", "secret"),
        ("long", hundred.as_str()),
        ("long", &hundred[..72]),
        ("nobody", ""),
        ("umlaut", "pässword"),
        ("apr", "a"),
        ("aprempty", ""),
        ("aprlong", "a much longer password, over sixteen bytes"),
        ("aprshort", "secret"),
        ("sha", "secret"),
        ("ssha", "secret"),
        ("plain", "se cret"),
    ] {
        let right = basic(format!("{user}:{password}"));
        assert_eq!(policy.user(&right), Some(user), "{user}");
        assert_eq!(policy.user(&right), Some(user), "{user}, remembered");
        for wrong in [format!("{user}:{password}x"), format!("{user}:x{password}"), format!("{user}:wrong")] {
            // Of a long password only 72 bytes count: that is how bcrypt is.
            if user != "long" || !wrong.ends_with("xx") {
                assert_eq!(policy.user(&basic(&wrong)), None, "{wrong}");
            }
        }
    }
    assert_eq!(policy.user(&basic(format!("long:{}", &hundred[..71]))), None);
}

#[test]
fn of_two_lines_the_first_counts() {
    assert_eq!(policy().user(&basic("plain:second")), None);
}

#[test]
fn colons_belong_to_the_password() {
    let users = "a:{PLAIN}x".to_owned();
    let mut policy = Policy::new(&Config { realm: "r".into(), users }).unwrap();
    assert_eq!(policy.user(&basic("a:x")), Some("a"));
    assert_eq!(policy.user(&basic("a:x:y")), None);
}

#[test]
fn odd_headers_are_refused() {
    let mut policy = policy();
    for header in [
        &b""[..],
        b"Basic",
        b"Basic ",
        b"Basic !!!!",
        b"Bearer YW5uOnNlY3JldA==",
        b"YW5uOnNlY3JldA==",
        b"Basic YW5u",
        b"Basic OnNlY3JldA==",
        b"Basic \xff\xff",
        &basic(b"\xff\xfe:secret"),
        &basic("unknown:secret"),
        &basic("ANN:secret"),
        &basic(""),
        &basic(":"),
    ] {
        assert_eq!(policy.user(header), None, "{}", header.escape_ascii());
    }
    // Any case of the scheme, more spaces, no padding.
    for header in [&b"basic YW5uOnNlY3JldA=="[..], b"BASIC   YW5uOnNlY3JldA== ", b"Basic YW5uOnNlY3JldA"] {
        assert_eq!(policy.user(header), Some("ann"), "{}", header.escape_ascii());
    }
}

#[test]
fn only_right_credentials_are_remembered() {
    let mut policy = policy();
    policy.user(&basic("plain:wrong"));
    assert_eq!(policy.remembered.len(), 0);
    policy.user(&basic("plain:se cret"));
    policy.user(&basic("plain:se cret"));
    assert_eq!(policy.remembered.len(), 1);
}

#[test]
fn what_is_remembered_is_bounded() {
    let users: String = (0..REMEMBERED + 50).map(|n| format!("u{n}:{{PLAIN}}p{n}\n")).collect();
    let mut policy = Policy::new(&Config { realm: "r".into(), users }).unwrap();
    for n in 0..REMEMBERED + 50 {
        assert_eq!(policy.user(&basic(format!("u{n}:p{n}"))), Some(format!("u{n}").as_str()));
        assert!(policy.remembered.len() <= REMEMBERED);
    }
    assert_eq!(policy.remembered.len(), 50);
    assert_eq!(policy.user(&basic("u0:p0")), Some("u0"));
}

#[test]
fn wrong_files_are_refused_by_line_and_without_secrets() {
    for (line, error) in [
        ("ann", "/users: line 2: not `name:password`"),
        (":x", "/users: line 2: there is no name before the `:`"),
        ("bob:hunter2", "/users: line 2: user `bob`: the password is in no known form"),
        ("bob:$6$salt$abc", "/users: line 2: user `bob`: the password is in no known form"),
        ("bob:", "/users: line 2: user `bob`: the password is in no known form"),
        ("bob:$2y$05$short", "/users: line 2: user `bob`: `$2…$` needs a cost"),
        (
            "bob:$2y$03$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
            "/users: line 2: user `bob`: `$2…$` needs",
        ),
        (
            "bob:$2y$05$abcdefghijklmnopqrst!uOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
            "/users: line 2: user `bob`: `$2…$` needs",
        ),
        ("bob:$apr1$salt", "/users: line 2: user `bob`: `$apr1$` without"),
        ("bob:$apr1$salt$short", "/users: line 2: user `bob`: `$apr1$` needs"),
        ("bob:{SHA}abc", "/users: line 2: user `bob`: `{SHA}` needs"),
        ("bob:{SSHA}abc", "/users: line 2: user `bob`: `{SSHA}` needs"),
    ] {
        let users = format!("# first\n{line}\n");
        let message = Policy::new(&Config { realm: "r".into(), users }).unwrap_err().to_string();
        assert!(message.starts_with(error), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn realms() {
    let challenge = |realm: &str| Policy::new(&Config { realm: realm.into(), users: String::new() });
    assert_eq!(challenge("Private").unwrap().challenge(), r#"Basic realm="Private", charset="UTF-8""#);
    assert_eq!(challenge(r#"a "b" \c"#).unwrap().challenge(), r#"Basic realm="a \"b\" \\c", charset="UTF-8""#);
    assert_eq!(challenge("").unwrap_err().to_string(), "/realm: must not be empty");
    assert_eq!(challenge("a\nb").unwrap_err().to_string(), "/realm: must not have control characters");
}

#[test]
fn secrets_are_not_in_debug_output() {
    assert!(!format!("{:?}", policy()).contains("se cret"));
}

#[test]
fn as_a_plugin() {
    let config = serde_json::json!({"realm": "Private", "users": USERS});
    let mut plugin: AuthBasic = testing::configure(&config.to_string()).unwrap();
    let right = testing::Request::websocket("/ws").header("Authorization", basic("ann:secret"));
    let granted = Verdict::Grant(Grant::new().variable("remote_user", "ann"));
    assert_eq!(testing::with(&right, || plugin.authorize()), granted);
    for request in [testing::Request::get("/"), testing::Request::get("/").header("Authorization", basic("ann:wrong"))]
    {
        let Verdict::Deny(reply) = testing::with(&request, || plugin.authorize()) else { panic!("granted") };
        assert_eq!(reply.status, 401);
        assert_eq!(reply.fields[0].name, "www-authenticate");
        assert_eq!(reply.fields[0].value, br#"Basic realm="Private", charset="UTF-8""#);
    }
    let error = testing::configure::<AuthBasic>(r#"{"realm": "r", "user": ""}"#).unwrap_err();
    assert_eq!(error.to_string(), "/user: unknown field `user`, expected `realm` or `users`");
}
