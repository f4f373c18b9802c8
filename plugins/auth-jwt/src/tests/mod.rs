#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[allow(unreachable_pub, reason = "the end-to-end tests take this file in as a public module")]
mod signer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_plugin::http_client::{FetchError, Response};
use tidegate_plugin::testing::{self, Access, Request};
use tidegate_plugin::{Authorizer, Edit, Grant, ResponseHeaders, Verdict};

use crate::AuthJwt;
use signer::{ALGORITHMS, Signer, encode, key_set};

const NOW: u64 = 1_700_000_000;

fn made(config: &Value) -> AuthJwt {
    testing::set_clock(Duration::ZERO, Duration::from_secs(NOW));
    testing::configure(&config.to_string()).unwrap()
}

fn with_keys(signers: &[&Signer], more: Value) -> AuthJwt {
    let mut config = json!({ "algorithms": ALGORITHMS, "jwks": key_set(signers) });
    let Value::Object(more) = more else { panic!("more members") };
    config.as_object_mut().unwrap().extend(more);
    made(&config)
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": NOW + 60 })
}

fn bearer(token: &str) -> Request {
    Request::websocket("/ws").header("Authorization", format!("Bearer {token}"))
}

fn ask(plugin: &mut AuthJwt, request: &Request) -> (Verdict, Access) {
    testing::with_access(request, || plugin.authorize())
}

#[track_caller]
fn granted(plugin: &mut AuthJwt, request: &Request) -> (Grant, Access) {
    match ask(plugin, request) {
        (Verdict::Grant(grant), access) => (grant, access),
        (other, _) => panic!("{other:?}"),
    }
}

/// The status, the challenge and the text of a refusal.
#[track_caller]
fn denied(plugin: &mut AuthJwt, request: &Request) -> (u16, String, String) {
    let (Verdict::Deny(reply), access) = ask(plugin, request) else { panic!("let in") };
    assert_eq!(access, Access::default());
    let challenge = reply.fields.iter().find(|field| field.name == "www-authenticate");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (reply.status, challenge.map(|field| text(&field.value)).unwrap_or_default(), text(&reply.body))
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
    for algorithm in ALGORITHMS {
        let (signer, other) = (Signer::new(algorithm, "k"), Signer::new(algorithm, "k"));
        let mut plugin = with_keys(&[&signer], json!({}));
        let token = signer.token(&claims());
        let (_, access) = granted(&mut plugin, &bearer(&token));
        assert_eq!(access.subject.as_deref(), Some("ann"), "{algorithm}");
        assert_eq!(access.expires_at, Some(Duration::from_secs(NOW + 60 + 30)), "{algorithm}");
        let bad = "the token's signature is not good";
        assert_eq!(denied(&mut plugin, &bearer(&other.token(&claims()))).2, bad, "{algorithm}");
        // The claims of another, and a signature that is cut, is another one's, or is nothing.
        let parts: Vec<_> = token.split('.').collect();
        let forged = encode(json!({ "sub": "root", "exp": NOW + 60 }).to_string());
        assert_eq!(denied(&mut plugin, &bearer(&format!("{}.{forged}.{}", parts[0], parts[2]))).2, bad);
        let mut signature = signer.sign(format!("{}.{}", parts[0], parts[1]).as_bytes());
        for signature in [&signature[1..], &signature[..signature.len() - 1], &[][..], &vec![0; signature.len()][..]] {
            let text = format!("{}.{}.{}", parts[0], parts[1], encode(signature));
            assert_eq!(denied(&mut plugin, &bearer(&text)).2, bad, "{algorithm}");
        }
        let last = signature.len() - 1;
        signature[last] ^= 1;
        assert_eq!(denied(&mut plugin, &bearer(&format!("{}.{}.{}", parts[0], parts[1], encode(&signature)))).2, bad);
    }
}

/// RFC 8725 §3.1: what verifies is decided here, never by the token.
#[test]
fn a_token_does_not_choose_how_it_is_verified() {
    let rsa = Signer::new("RS256", "k");
    let mut plugin = with_keys(&[&rsa], json!({}));
    let claims_text = claims().to_string();
    // A public key is no secret, in whatever form somebody would sign with it.
    let jwk = rsa.jwk();
    for secret in [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned(), key_set(&[&rsa])] {
        let token = Signer::secret("HS256", "k", secret.as_bytes()).token(&claims());
        assert_eq!(denied(&mut plugin, &bearer(&token)).2, "the token's signature is not good");
    }
    for none in ["none", "None", "NONE", "nOnE", "", "HS1", "PS256", "RS1"] {
        for signature in ["", "AAAA"] {
            let header = encode(json!({ "alg": none, "kid": "k" }).to_string());
            let token = format!("{header}.{}.{signature}", encode(&claims_text));
            assert_eq!(denied(&mut plugin, &bearer(&token)).2, "the token's algorithm is not allowed", "{none}");
        }
    }
    // Good, and not allowed.
    let mut narrow = with_keys(&[&rsa], json!({ "algorithms": ["RS512"] }));
    assert_eq!(denied(&mut narrow, &bearer(&rsa.token(&claims()))).2, "the token's algorithm is not allowed");
    // A key that it brings along is not looked at, and what is critical is not ignored.
    let own = Signer::new("ES256", "k");
    let header = json!({ "alg": "ES256", "kid": "k", "jwk": own.jwk(), "jku": "https://evil.example/" });
    assert_eq!(denied(&mut plugin, &bearer(&own.token_with(&header, &claims_text))).0, 401);
    let header = json!({ "alg": "RS256", "kid": "k", "crit": ["b64"], "b64": false });
    assert!(denied(&mut plugin, &bearer(&rsa.token_with(&header, &claims_text))).2.contains("critical"));
}

#[test]
fn a_key_is_for_what_it_says() {
    let signer = Signer::new("RS256", "k");
    let token = signer.token(&claims());
    let with = |member: &str, value: Value| {
        let mut key = signer.jwk();
        key[member] = value;
        let other = Signer::new("HS256", "other");
        let set = json!({ "keys": [key, other.jwk()] }).to_string();
        let mut plugin = made(&json!({ "algorithms": ALGORITHMS, "jwks": set }));
        matches!(ask(&mut plugin, &bearer(&token)).0, Verdict::Grant(_))
    };
    assert!(with("use", json!("sig")) && with("alg", json!("RS256")) && with("key_ops", json!(["verify"])));
    assert!(!with("use", json!("enc")) && !with("alg", json!("RS512")) && !with("key_ops", json!(["sign"])));
    assert!(!with("alg", json!("HS256")) && !with("kid", json!("k2")) && !with("n", json!("AQAB")));
}

#[test]
fn what_is_no_token_is_refused() {
    let signer = Signer::new("HS256", "k");
    let mut plugin = with_keys(&[&signer], json!({}));
    let good = signer.token(&claims());
    let header = json!({ "alg": "HS256", "kid": "k" });
    for bad in [
        "x".to_owned(),
        "a.b".to_owned(),
        "..".to_owned(),
        format!("{good}="),
        format!("{good}.x"),
        format!(".{good}"),
        good.replace('.', "!"),
        format!("{good}{}", "A".repeat(20_000)),
        signer.token_with(&header, "[]"),
        signer.token_with(&header, "{"),
        signer.token_with(&header, b"\xff"),
        signer.token_with(&json!([]), claims().to_string()),
        signer.token_with(&json!({ "alg": 5 }), claims().to_string()),
        signer.token_with(&header, r#"{"sub":"a","exp":"1900000000"}"#),
        signer.token_with(&header, r#"{"sub":"a","exp":-5}"#),
        signer.token_with(&header, r#"{"sub":"a","exp":1e300}"#),
        signer.token_with(&header, format!(r#"{{"sub":"{}","exp":1900000000}}"#, "x".repeat(257))),
        signer.token_with(&header, r#"{"sub":"a\nb","exp":1900000000}"#),
    ] {
        let (status, challenge, text) = denied(&mut plugin, &bearer(&bad));
        assert_eq!((status, challenge.as_str()), (401, "Bearer realm=\"tidegate\", error=\"invalid_token\""), "{text}");
    }
}

#[test]
fn claims_must_be_as_asked_for() {
    let signer = Signer::new("HS256", "k");
    let mut plugin = with_keys(
        &[&signer],
        json!({ "issuer": "https://id.example", "audience": ["a", "b"], "required": ["exp", "jti"], "leeway": 10 }),
    );
    let base = json!({ "iss": "https://id.example", "aud": "a", "jti": "1", "exp": NOW + 5 });
    let mut with = |member: &str, value: Value| {
        let mut claims = base.clone();
        claims[member] = value;
        match ask(&mut plugin, &bearer(&signer.token(&claims))).0 {
            Verdict::Grant(_) => String::new(),
            Verdict::Deny(reply) => String::from_utf8(reply.body).unwrap().trim().to_owned(),
            Verdict::Next => panic!(),
        }
    };
    for good in [json!("a"), json!("b"), json!(["x", "b"])] {
        assert_eq!(with("aud", good), "");
    }
    for bad in [json!("c"), json!([]), json!(null), json!({ "a": "a" }), json!("A")] {
        assert_eq!(with("aud", bad), "the token is for another audience");
    }
    assert_eq!(with("iss", json!("https://id.example/")), "the token is of another issuer");
    assert_eq!(with("jti", Value::Null), "the token has no `jti`");
    for (exp, what) in [(NOW - 9, ""), (NOW - 10, "the token has expired")] {
        assert_eq!(with("exp", json!(exp)), what);
    }
    assert_eq!(with("exp", json!(1_700_000_000.5)), "");
    for (nbf, what) in [(NOW + 10, ""), (NOW + 11, "the token is not valid yet")] {
        assert_eq!(with("nbf", json!(nbf)), what);
    }
    assert_eq!(with("exp", Value::Null), "the token has no `exp`");
}

#[test]
fn claims_become_headers_variables_and_tags() {
    let signer = Signer::new("EdDSA", "k");
    let mut plugin = with_keys(
        &[&signer],
        json!({
            "headers": { "X-User": "sub", "X-Roles": "/realm/roles", "X-None": "nothing", "X-Odd": "odd" },
            "variables": { "remote_user": "sub", "level": "level" },
            "tags": ["jti", "groups", "nothing"],
        }),
    );
    let claims = json!({
        "sub": "ann", "exp": NOW + 60, "jti": "7", "groups": ["a", "b", "a"], "level": 3,
        "realm": { "roles": ["x", "y"] }, "odd": "a\r\nX-Forged: 1",
    });
    let (grant, access) = granted(&mut plugin, &bearer(&signer.token(&claims)));
    assert_eq!(access.tags, ["jti:7", "groups:a", "groups:b"]);
    let mut edits = grant.edits;
    assert_eq!(edits.remove(0), Edit::remove("authorization"));
    let wanted = [
        Edit::remove("X-None"),
        Edit::set("X-Odd", "a  X-Forged: 1"),
        Edit::set("X-Roles", "x,y"),
        Edit::set("X-User", "ann"),
    ];
    assert_eq!(edits, wanted);
    let variables: Vec<_> = grant.variables.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
    assert_eq!(variables, [("level", "3"), ("remote_user", "ann")]);
    let many: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    let token = signer.token(&json!({ "exp": NOW + 60, "groups": many }));
    assert_eq!(denied(&mut plugin, &bearer(&token)).2, "the token has more than 32 tags");
    let mut unbound = with_keys(&[&signer], json!({ "expire": false, "subject": "", "keep": true }));
    let (grant, access) = granted(&mut unbound, &bearer(&signer.token(&self::claims())));
    assert_eq!((grant, access), (Grant::new(), Access::default()));
}

#[test]
fn tokens_are_found_and_taken_out() {
    let signer = Signer::new("HS256", "k");
    let token = signer.token(&claims());
    let mut plugin = with_keys(
        &[&signer],
        json!({ "from": ["header", "header:X-Token", "query:token", "cookie:jwt", "subprotocol", "subprotocol:auth.jwt"] }),
    );
    let open = || Request::websocket("/ws");
    let protocol = "Sec-WebSocket-Protocol";
    for (request, edits) in [
        (open().header("authorization", format!("bEARER  {token}")), vec![Edit::remove("authorization")]),
        (open().header("X-Token", &token), vec![Edit::remove("X-Token")]),
        (Request::websocket(&format!("/ws?a=b&token={token}")), vec![]),
        (open().header("Cookie", format!("jwt={token}")), vec![Edit::remove("cookie")]),
        (
            open().header("Cookie", format!("a=b; jwt=\"{token}\";c=d")).header("cookie", "e=f"),
            vec![Edit::set("cookie", "a=b; c=d; e=f")],
        ),
        (open().header(protocol, format!("bearer, {token}")), vec![Edit::remove(protocol)]),
        (open().header(protocol, format!("v2, bearer,{token}, v1")), vec![Edit::set(protocol, "v2, v1")]),
        (
            open().header(protocol, "v1").header(protocol, format!("auth.jwt , {token}")),
            vec![Edit::set(protocol, "v1")],
        ),
    ] {
        assert_eq!(granted(&mut plugin, &request).0.edits, edits, "{request:?}");
    }
    for two in [
        open().header("Authorization", format!("Bearer {token}")).header("Authorization", "Bearer x"),
        Request::websocket(&format!("/ws?token={token}&token=x")),
        open().header("Cookie", format!("jwt={token}; jwt=x")),
        open().header(protocol, format!("bearer, {token}, bearer, x")),
        open().header("X-Token", b"\xff"),
    ] {
        let (status, challenge, _) = denied(&mut plugin, &two);
        assert_eq!((status, challenge.as_str()), (400, "Bearer realm=\"tidegate\", error=\"invalid_request\""));
    }
    let none = [open(), open().header("Authorization", "Basic YTpi"), open().header(protocol, "bearer")];
    for request in &none {
        assert_eq!(denied(&mut plugin, request).1, "Bearer realm=\"tidegate\"");
    }
    let mut optional = with_keys(&[&signer], json!({ "optional": true }));
    for request in &none {
        assert!(matches!(ask(&mut optional, request).0, Verdict::Next));
    }
    assert_eq!(denied(&mut optional, &bearer("x")).0, 401, "a bad token is not none");
}

/// A browser that offered only the token is answered with its subprotocol; others with what the
/// upstream chose.
#[test]
fn the_subprotocol_is_answered() {
    let signer = Signer::new("HS256", "k");
    let mut plugin = with_keys(&[&signer], json!({ "from": ["subprotocol"] }));
    let protocol = "Sec-WebSocket-Protocol";
    let mut edits = |request: Request, status: u16, chosen: Option<&str>| {
        let mut response = testing::Response::new(status);
        if let Some(chosen) = chosen {
            response = response.header(protocol, chosen);
        }
        testing::with_response(&request, &response, || plugin.on_response()).unwrap()
    };
    let only = || Request::websocket("/").variable("auth_jwt_subprotocol", "bearer");
    assert_eq!(edits(only(), 101, None), [Edit::set(protocol, "bearer")]);
    assert_eq!(edits(only(), 403, None), []);
    assert_eq!(edits(only().header(protocol, "v1"), 101, Some("v1")), []);
    assert_eq!(edits(only().header(protocol, "v1"), 101, None), [], "the upstream chose none of them");
    assert_eq!(edits(Request::websocket("/"), 101, None), []);
}

#[test]
fn keys_are_fetched_kept_and_fetched_again() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let mut plugin = made(&json!({ "algorithms": ["ES256"], "jwks_url": "upstream:keys/jwks", "jwks_floor": 10 }));
    let at = |seconds: u64| testing::set_clock(Duration::from_secs(seconds), Duration::from_secs(NOW));
    let state = Rc::new(Cell::new(0));
    let (sets, shown) = ([key_set(&[&old]), key_set(&[&old, &new])], Rc::clone(&state));
    testing::answer_fetches(move |request| {
        assert_eq!(request.url, "upstream:keys/jwks");
        let answer = |set: &str| Ok(Response::new(200).with_header("cache-control", "max-age=100").text(set));
        match shown.get() {
            0 => Err(FetchError::Timeout),
            1 => answer(&sets[0]),
            2 => Ok(Response::new(500)),
            3 => answer("{}"),
            _ => answer(&sets[1]),
        }
    });
    let old_token = bearer(&old.token(&claims()));
    let new_token = bearer(&new.token(&claims()));
    let fetched = || testing::take_fetches().len();
    at(0);
    assert_eq!(denied(&mut plugin, &old_token).0, 503);
    assert_eq!(denied(&mut plugin, &old_token).0, 503);
    assert_eq!(fetched(), 1, "not for each request");
    state.set(1);
    at(10);
    for _ in 0..3 {
        granted(&mut plugin, &old_token);
    }
    assert_eq!(fetched(), 1);
    // An unknown key: asked for, but not all the time.
    at(15);
    assert_eq!(denied(&mut plugin, &new_token).2, "the token's key is not known");
    assert_eq!(fetched(), 0);
    state.set(2);
    at(20);
    for _ in 0..3 {
        assert_eq!(denied(&mut plugin, &new_token).2, "the token's key is not known");
    }
    assert_eq!(fetched(), 1);
    // They are old, and there are no others: the last good ones stay.
    state.set(3);
    at(200);
    granted(&mut plugin, &old_token);
    assert_eq!(fetched(), 1);
    state.set(4);
    at(210);
    granted(&mut plugin, &new_token);
    granted(&mut plugin, &old_token);
    assert_eq!(fetched(), 1);
    let log = testing::take_log();
    assert_eq!(log.iter().filter(|(_, line)| line.contains("cannot be fetched")).count(), 3, "{log:?}");
    assert!(log.iter().all(|(_, line)| !line.contains("eyJ")), "no token in the log");
}

#[test]
fn configurations_that_cannot_be() {
    let keys = key_set(&[&Signer::new("RS256", "k")]);
    let short = key_set(&[&Signer::secret("HS256", "k", b"too short")]);
    let base = json!({ "algorithms": ["RS256"], "jwks": keys });
    for (member, value, pointer) in [
        ("algorithms", json!([]), "/algorithms"),
        ("algorithms", json!(["none"]), "/algorithms"),
        ("algorithms", json!(["ES256"]), "/jwks"),
        ("jwks", json!("{}"), "/jwks"),
        ("jwks", json!(r#"{"keys":[{"kty":"oct"}]}"#), "/jwks"),
        ("jwks_url", json!("upstream:x/"), "/jwks_url"),
        ("leeway", json!(301), "/leeway"),
        ("from", json!([]), "/from"),
        ("from", json!(["header", "body"]), "/from/1"),
        ("from", json!(["query:"]), "/from/0"),
        ("realm", json!("a\"b"), "/realm"),
        ("headers", json!({ "a b": "sub" }), "/headers/a b"),
        ("oops", json!(1), ""),
    ] {
        let mut config = base.clone();
        config[member] = value;
        let Err(error) = testing::configure::<AuthJwt>(&config.to_string()) else { panic!("{config} is taken") };
        assert!(error.pointer().starts_with(pointer), "{error} for {member}");
    }
    let config = json!({ "algorithms": ["HS256"], "jwks": short });
    assert!(testing::configure::<AuthJwt>(&config.to_string()).is_err());
    assert!(testing::configure::<AuthJwt>(r#"{"algorithms":["RS256"]}"#).is_err());
    assert!(testing::configure::<AuthJwt>(&base.to_string()).is_ok());
}
