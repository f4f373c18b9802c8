//! The stock plugin auth-jwt, with tokens that another library has made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tidegate_tests::jwt::{Signer, encode, key_set};
use tidegate_tests::subject::HeldPort;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Head, Proxy, Response, Wire, eventually, tidegate};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(seconds: u64) -> Value {
    json!({ "sub": "ann", "iss": "me", "aud": ["chat"], "exp": now() + seconds, "groups": ["staff"], "sid": "s1" })
}

/// A route that is guarded with these lines of the plugin's config, and lines of the route.
fn guarded(backend: &Backend, config: &str, plugin: &str, more: &str) -> Proxy {
    let text = format!(
        "[server]\nworkers = 1\n{more}\n[plugins.jwt]\ncomponent = \"stock:auth-jwt\"\n{plugin}\n\
         [plugins.jwt.config]\nissuer = \"me\"\naudience = \"chat\"\nleeway = 0\n\
         headers = {{ X-User = \"sub\", X-Groups = \"groups\" }}\ntags = [\"sid\", \"groups\"]\n{config}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nplugins = [\"jwt\"]\n"
    );
    tidegate(&text).var("backend", backend.address()).start()
}

fn ask(proxy: &Proxy, lines: &str) -> (Wire, Head) {
    let mut wire = proxy.connect();
    wire.send(ws::handshake("/ws", lines));
    let head = wire.read_head();
    (wire, head)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\nX-User: root\r\nX-Groups: admin\r\n")
}

/// The order of RFC 7518 §3.1, one of each kind of key: a good token passes, a hostile one does not.
#[test]
fn tokens_of_every_kind_of_key() {
    for algorithm in ["HS512", "RS256", "ES256", "ES384", "EdDSA"] {
        let (signer, other) = (Signer::new(algorithm, "k"), Signer::new(algorithm, "k"));
        let backend = Backend::ws_echo();
        let config = format!("algorithms = [\"{algorithm}\", \"HS256\"]\njwks = '{}'", key_set(&[&signer]));
        let proxy = guarded(&backend, &config, "", "");
        let (mut client, head) = ask(&proxy, &bearer(&signer.token(&claims(600))));
        assert_eq!(head.status(), 101, "{algorithm}");
        client.echo(&Frame::text("hello"));
        let seen = backend.only_head();
        assert_eq!((seen.all("x-user"), seen.all("x-groups")), (vec!["ann"], vec!["staff"]));
        assert_eq!(seen.get("authorization"), None);
        let public = signer.jwk().to_string();
        let none = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims(600).to_string()));
        for hostile in [
            other.token(&claims(600)),
            Signer::secret("HS256", "k", public.as_bytes()).token(&claims(600)),
            signer.token(&json!({ "sub": "ann", "iss": "me", "aud": "chat", "exp": now() - 1 })),
            signer.token(&json!({ "sub": "ann", "iss": "you", "aud": "chat", "exp": now() + 600 })),
            none,
        ] {
            let (_, head) = ask(&proxy, &bearer(&hostile));
            assert_eq!(head.status(), 401, "{algorithm} {hostile}");
            assert_eq!(head.get("www-authenticate"), Some("Bearer realm=\"tidegate\", error=\"invalid_token\""));
        }
        assert_eq!(ask(&proxy, "").1.get("www-authenticate"), Some("Bearer realm=\"tidegate\""));
        assert_eq!(backend.heads().len(), 1);
    }
}

#[test]
fn a_tunnel_ends_with_its_token_or_when_it_is_revoked() {
    let signer = Signer::new("HS256", "k");
    let (backend, admin) = (Backend::ws_echo(), HeldPort::new());
    let config = format!("algorithms = [\"HS256\"]\njwks = '{}'", key_set(&[&signer]));
    let more = format!("[admin]\naddress = \"{}\"\nrevoke = true\n", admin.address());
    let proxy = guarded(&backend, &config, "", &more);
    let (mut long, _) = ask(&proxy, &bearer(&signer.token(&claims(600))));
    let (mut short, head) = ask(&proxy, &bearer(&signer.token(&claims(2))));
    assert_eq!(head.status(), 101);
    short.echo(&Frame::text("hello"));
    let end = short.read_frame();
    assert_eq!((end.opcode, &end.payload[..2]), (ws::CLOSE, &1008_u16.to_be_bytes()[..]));
    long.echo(&Frame::text("still here"));
    let mut operator = Wire::connect(admin.address());
    operator.send("POST /tunnels/revoke?tag=groups:staff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(operator.read_response().0.status(), 200);
    assert_eq!(long.read_frame(), Frame::close(1008));
}

#[test]
fn browsers_bring_tokens_as_subprotocols() {
    let signer = Signer::new("EdDSA", "k");
    let token = signer.token(&claims(600));
    let config = format!("algorithms = [\"EdDSA\"]\nfrom = [\"subprotocol\"]\njwks = '{}'", key_set(&[&signer]));
    let backend = Backend::ws_echo();
    let proxy = guarded(&backend, &config, "", "");
    let (mut client, head) = ask(&proxy, &format!("Sec-WebSocket-Protocol: bearer, {token}\r\n"));
    assert_eq!((head.status(), head.all("sec-websocket-protocol")), (101, vec!["bearer"]));
    client.echo(&Frame::text("hello"));
    assert_eq!(backend.only_head().get("sec-websocket-protocol"), None);
    let backend = Backend::ws_echo_with("Sec-WebSocket-Protocol: v1\r\n");
    let proxy = guarded(&backend, &config, "", "");
    let (_, head) = ask(&proxy, &format!("Sec-WebSocket-Protocol: v2, bearer, {token}, v1\r\n"));
    assert_eq!((head.status(), head.all("sec-websocket-protocol")), (101, vec!["v1"]));
    assert_eq!(backend.only_head().all("sec-websocket-protocol"), ["v2, v1"]);
}

/// Keys come from an authority, are kept, and are fetched again for a key that is new.
#[test]
fn keys_are_fetched() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let (set, asked) = (Arc::new(Mutex::new(key_set(&[&old]))), Arc::new(AtomicUsize::new(0)));
    let authority = {
        let (set, asked) = (Arc::clone(&set), Arc::clone(&asked));
        Backend::http(move |request| {
            asked.fetch_add(1, Ordering::SeqCst);
            assert!(request.head.get("authorization").is_none());
            Response::text(set.lock().clone()).header("Cache-Control", "max-age=600")
        })
    };
    let backend = Backend::ws_echo();
    let more = format!("[upstreams.keys]\npeers = [\"{}\"]\n", authority.address());
    let config = "algorithms = [\"ES256\"]\njwks_url = \"upstream:keys/jwks.json\"\njwks_floor = 1";
    let proxy = guarded(&backend, config, "grants = [\"http-client:upstream:keys\"]", &more);
    for _ in 0..5 {
        assert_eq!(ask(&proxy, &bearer(&old.token(&claims(600)))).1.status(), 101);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    *set.lock() = key_set(&[&old, &new]);
    // Within the floor it is not known, and after that it is.
    eventually("the new key", || ask(&proxy, &bearer(&new.token(&claims(600)))).1.status() == 101);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Who cannot reach an authority lets nobody in.
    let more = "[upstreams.keys]\npeers = [\"127.0.0.1:1\"]\n";
    let proxy = guarded(&backend, config, "grants = [\"http-client:upstream:keys\"]", more);
    assert_eq!(ask(&proxy, &bearer(&old.token(&claims(600)))).1.status(), 503);
}
