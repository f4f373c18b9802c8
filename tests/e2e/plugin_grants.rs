//! What plugins may use: nothing that is not granted, and then no more than that.

use tidegate_tests::guests::guest;
use tidegate_tests::{Backend, Dns, tidegate};

fn config(guest: &str, plugin: &str, rest: &str) -> String {
    let guest = self::guest(guest);
    format!(
        "{rest}\n[plugins.p]\ncomponent = \"{guest}\"\n{plugin}\n\
         [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\nplugins = [\"p\"]\n"
    )
}

/// What the operator is told: which grant is missing, and at which line.
#[test]
fn a_missing_grant_is_told_at_load() {
    for (plugin, rest, told) in [
        ("config = { store = \"s\" }", "[kv.s]", "no store \"s\": grant it with `grants = [\"kv:s\"]` in [plugins.p]"),
        (
            "config = { secret = \"key\" }",
            "[secrets]\nkey = \"x\"",
            "no secret \"key\": grant it with `grants = [\"secret:key\"]` in [plugins.p]",
        ),
        ("grants = [\"kv:s\"]", "", "no store named \"s\" (define it in [kv.s])"),
        ("grants = [\"kv:sessoin\"]", "[kv.session]", "no store named \"sessoin\" (did you mean \"session\"?)"),
        ("grants = [\"kv:s\", \"kv:s/x\"]", "[kv.s]", "the store \"s\" is granted already"),
        ("grants = [\"secret:key\"]", "", "no secret named \"key\""),
        ("grants = [\"env:TIDEGATE_TEST_NOT_SET\"]", "", "the environment variable TIDEGATE_TEST_NOT_SET is not set"),
        ("grants = [\"private:10.0.0.0/33\"]", "", "has a prefix that is not 0 to 32"),
        ("grants = [\"files:/etc\"]", "", "\"files:/etc\" is not a grant"),
        ("grants = [\"kv\"]", "", "\"kv\" is not a grant (such as \"kv:STORE\""),
    ] {
        let problems = tidegate(&config("keeper", plugin, rest)).try_start().map(drop).unwrap_err();
        assert!(problems.contains(told), "{plugin}: {problems}");
    }
}

#[test]
fn secrets_are_read_by_name_and_stand_nowhere_else() {
    let rest = "[secrets]\nkey = { from_file = \"key.txt\" }\nother = \"0ther\"\n[log]\nlevel = \"trace\"";
    let proxy = tidegate(&config("keeper", "grants = [\"secret:key\"]", rest)).file("key.txt", "hunter2\n").start();
    let ask = |name: &str| proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Do: secret {name}\r\n\r\n")).1.text();
    assert_eq!(ask("key"), "hunter2");
    assert_eq!(ask("other"), "no secret \"other\": grant it with `grants = [\"secret:other\"]` in [plugins.p]");
    assert!(ask("none").starts_with("no secret \"none\""));
    let read = |text: &str| tidegate::config::load_str(text, std::path::Path::new("."), "x").unwrap();
    let shown = format!(
        "{:?}",
        read(&config(
            "keeper",
            "grants = [\"secret:key\"]",
            "[secrets]\nkey = \"hunter2\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[kv.s]\nurl = \"redis://:hunter2@h\""
        ))
    );
    assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
}

/// WASI 0.2 is linked for what language runtimes need, with nothing behind it.
#[test]
fn nothing_leads_out_of_wasi() {
    let listener = Backend::named("never asked");
    let ask = |grants: &str| {
        let proxy = tidegate(&config("wasi-probe", grants, "")).start();
        let port = listener.address().port();
        proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Port: {port}\r\n\r\n")).1.text()
    };
    let denied = "ErrorCode { code: 1, name: \"access-denied\", message: \"\" }";
    let nothing = format!(
        "environment []\narguments []\nfolder None\nfolders 0\nstdin closed\n\
         name ErrorCode {{ code: 20, name: \"permanent-resolver-failure\", message: \"\" }}\n\
         connect {denied}\nbind {denied}"
    );
    assert_eq!(ask(""), nothing);
    // But for a variable of the environment, by its name.
    let value = std::env::var("PATH").unwrap();
    let granted = nothing.replace("environment []", &format!("environment [(\"PATH\", {value:?})]"));
    assert_eq!(ask("grants = [\"env:PATH\"]"), granted);
    assert_eq!(listener.connections(), 0);
}

/// The plugin fetches this URL, by these grants.
#[track_caller]
fn fetched(url: &str, grants: &str, rest: &str) -> String {
    let plugin = format!(
        "deadline = \"20s\"\ngrants = [{grants}]\nconfig = {{ method = \"GET\", url = \"{url}\", max_body = 100 }}"
    );
    tidegate(&config("fetcher", &plugin, rest)).start().get("/").1.text()
}

#[test]
fn requests_stay_within_the_path_that_is_granted() {
    let peer = Backend::named("ok");
    let at = format!("http://{}", peer.address());
    let grant = format!("\"http-client:{at}/keys\", \"http-client:{at}/more/\"");
    for path in ["/keys", "/keys/1", "/keys?x=/..", "/more/x"] {
        assert_eq!(fetched(&format!("{at}{path}"), &grant, ""), "200 ok", "{path}");
    }
    let asked = peer.heads().len();
    for path in ["/", "/keysx", "/keys/../admin", "/keys/%2e%2e/admin", "/keys/..%2fadmin", "/more", "/KEYS"] {
        let said = fetched(&format!("{at}{path}"), &grant, "");
        assert!(said.starts_with("denied: the plugin has no grant for http://127.0.0.1:"), "{path}: {said}");
    }
    assert_eq!(peer.heads().len(), asked);
    // An upstream's own TLS, policy and checks are the operator's; the path holds there too.
    let rest = format!("[upstreams.keys]\npeers = [\"{}\"]", peer.address());
    assert_eq!(fetched("upstream:keys/keys/1", "\"http-client:upstream:keys/keys\"", &rest), "200 ok");
    assert!(fetched("upstream:keys/", "\"http-client:upstream:keys/keys\"", &rest).starts_with("denied: "));
}

/// A name that others control must not lead inside: it is the address that is connected to
/// which is judged, whenever it was looked up.
#[test]
fn a_name_leads_inside_only_where_that_is_granted() {
    let peer = Backend::named("inside");
    let dns = Dns::new();
    dns.host("rebound.test", 60, &["127.0.0.1"]);
    let resolver = format!("[resolver]\naddresses = [\"{}\"]", dns.address());
    let at = format!("http://rebound.test:{}", peer.address().port());
    let grant = format!("\"http-client:{at}\"");
    let said = fetched(&at, &grant, &resolver);
    assert!(said.starts_with("denied: ") && said.contains("127.0.0.1") && said.contains("private:"), "{said}");
    assert_eq!(peer.connections(), 0);
    assert_eq!(fetched(&at, &format!("{grant}, \"private:127.0.0.0/8\""), &resolver), "200 inside");
    assert!(fetched(&at, &format!("{grant}, \"private:10.0.0.0/8\""), &resolver).starts_with("denied: "));
    // An address that is written was meant.
    let written = format!("http://{}", peer.address());
    assert_eq!(fetched(&written, &format!("\"http-client:{written}\""), ""), "200 inside");
}

/// More than `max_fetches` wait for their turn.
#[test]
fn a_plugins_requests_are_so_many_at_once() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    let (now, most) =
        (std::sync::atomic::AtomicUsize::new(0), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let seen = std::sync::Arc::clone(&most);
    let peer = Backend::http(move |_| {
        use std::sync::atomic::Ordering::SeqCst;
        seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        gate.lock().recv().unwrap();
        now.fetch_sub(1, SeqCst);
        tidegate_tests::Response::text("ok")
    });
    let plugin = format!(
        "deadline = \"20s\"\nmax_fetches = 2\ngrants = [\"http-client:http://{0}\"]\n\
         config = {{ method = \"GET\", url = \"http://{0}/\", max_body = 100 }}",
        peer.address()
    );
    let proxy = tidegate(&config("fetcher", &plugin, "")).start();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(|| proxy.get("/").1.text())).collect();
        for _ in 0..6 {
            release.send(()).unwrap();
        }
        for client in clients {
            assert_eq!(client.join().unwrap(), "200 ok");
        }
    });
    assert!(most.load(std::sync::atomic::Ordering::SeqCst) <= 2);
}
