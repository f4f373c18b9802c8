//! `limit_req_zone`, `limit_req` and its like: the same sequence of requests is let pass,
//! refused and delayed. Slow rates, so that the time between two requests does not matter.

use std::time::{Duration, Instant};

use tidegate_tests::{Backend, Proxy, Subject, Wire, both, wait_for};

both!(
    burst_and_status,
    keys,
    a_key_by_map,
    several_zones,
    a_burst_waits,
    some_of_a_burst_do_not_wait,
    dry_run,
    inheritance,
    the_log_has_the_status,
    a_client_that_leaves_while_it_waits,
);

const ZONES: &str = "limit_req_zone $arg_k zone=slow:1m rate=1r/m;
    limit_req_zone $arg_l zone=other:1m rate=1r/m;
    limit_req_zone $server_port zone=all:1m rate=2r/s;
    map $arg_vip $counted { default $remote_addr; yes ''; }
    limit_req_zone $counted zone=mapped:1m rate=1r/m;";

const TIDEGATE_ZONES: &str = "
    [limits.slow]
    key = \"$arg_k\"
    rate = \"1/m\"
    size = \"1m\"
    [limits.other]
    key = \"$arg_l\"
    rate = \"1r/m\"
    [limits.all]
    key = \"$server_port\"
    rate = \"2/s\"
    [maps.counted]
    from = \"$arg_vip\"
    default = \"$remote_addr\"
    values = { yes = \"\" }
    [limits.mapped]
    key = \"$counted\"
    rate = \"1/m\"
";

/// The zones above, `nginx` in the server and `limits` on the site; the backend sees the
/// status of the limit.
fn limited(subject: Subject, backend: &Backend, nginx: &str, limits: &str) -> Proxy {
    let nginx = format!(
        "{ZONES} server {{ listen %listen%; access_log %dir%/access.log; {nginx}
            location / {{ proxy_pass http://%backend%; %guide% proxy_set_header X-Limit $limit_req_status; }} }}"
    );
    let tidegate = format!(
        "[access_log]\npath = \"access.log\"\n{TIDEGATE_ZONES}\n[[sites]]\nlimits = {limits}\n\
         [[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nset_headers = {{ X-Limit = \"$limit_req_status\" }}\n"
    );
    subject.setup().nginx(&nginx).tidegate(&tidegate).var("backend", backend.address()).start()
}

fn statuses(proxy: &Proxy, paths: &[&str]) -> Vec<u16> {
    paths.iter().map(|path| proxy.get(path).0.status()).collect()
}

/// What the backend was told of the limit, request by request.
fn told(backend: &Backend) -> Vec<String> {
    backend.heads().iter().map(|head| head.get("x-limit").unwrap_or("-").to_owned()).collect()
}

/// Requests of as many connections, at once; how long after that each was answered.
fn at_once(proxy: &Proxy, count: usize) -> Vec<Duration> {
    let mut clients: Vec<_> = (0..count).map(|_| proxy.connect()).collect();
    let since = Instant::now();
    for client in &mut clients {
        client.send("GET /?k=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    // A reader for each: which of them waits is for the workers to say, and one that waits must
    // not hold up the clock of the next.
    let mut answered: Vec<Duration> = std::thread::scope(|scope| {
        let read = |client: &mut Wire| {
            assert_eq!(client.read_response().0.status(), 200);
            since.elapsed()
        };
        let readers: Vec<_> = clients.iter_mut().map(|client| scope.spawn(move || read(client))).collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader")).collect()
    });
    answered.sort_unstable();
    answered
}

fn burst_and_status(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(
        subject,
        &backend,
        "limit_req zone=slow burst=2 nodelay; limit_req_status 429;",
        "{ rate = [{ zone = \"slow\", burst = 2, nodelay = true }], rate_status = 429 }",
    );
    assert_eq!(statuses(&proxy, &["/?k=1"; 5]), [200, 200, 200, 429, 429]);
    assert_eq!(told(&backend), ["PASSED"; 3]);
}

fn keys(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(subject, &backend, "limit_req zone=slow;", "{ rate = [\"slow\"] }");
    let found = statuses(&proxy, &["/?k=1", "/?k=1", "/?k=2", "/?k=2", "/", "/", "/?k=", "/?k="]);
    assert_eq!(found, [200, 503, 200, 503, 200, 200, 200, 200]);
    assert_eq!(told(&backend), ["PASSED", "PASSED", "-", "-", "-", "-"]);
}

/// The usual way to except some: a map that makes their key empty.
fn a_key_by_map(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(subject, &backend, "limit_req zone=mapped;", "{ rate = [\"mapped\"] }");
    let found = statuses(&proxy, &["/", "/", "/?vip=yes", "/?vip=yes", "/?vip=no"]);
    assert_eq!(found, [200, 503, 200, 200, 503]);
}

fn several_zones(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(
        subject,
        &backend,
        "limit_req zone=slow burst=2 nodelay; limit_req zone=other nodelay;",
        "{ rate = [{ zone = \"slow\", burst = 2, nodelay = true }, { zone = \"other\", nodelay = true }] }",
    );
    // What `other` refuses takes nothing from `slow`.
    let found =
        statuses(&proxy, &["/?k=1&l=1", "/?k=1&l=1", "/?k=1&l=1", "/?k=1&l=2", "/?k=1&l=3", "/?k=1&l=4", "/?l=5"]);
    assert_eq!(found, [200, 503, 503, 200, 200, 503, 200]);
    // Without a key in the last zone the first one counts all the same.
    assert_eq!(statuses(&proxy, &["/?k=2"; 4]), [200, 200, 200, 503]);
}

fn a_burst_waits(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(subject, &backend, "limit_req zone=all burst=2;", "{ rate = [{ zone = \"all\", burst = 2 }] }");
    let answered = at_once(&proxy, 3);
    assert!(answered[0] < Duration::from_millis(450), "{answered:?}");
    assert!(answered[1] > Duration::from_millis(450) && answered[2] > Duration::from_millis(950), "{answered:?}");
    assert!(answered[2] < Duration::from_secs(3), "{answered:?}");
    assert_eq!(told(&backend), ["PASSED", "DELAYED", "DELAYED"]);
}

fn some_of_a_burst_do_not_wait(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(
        subject,
        &backend,
        "limit_req zone=all burst=5 delay=2;",
        "{ rate = [{ zone = \"all\", burst = 5, delay = 2 }] }",
    );
    let answered = at_once(&proxy, 4);
    assert!(answered[2] < Duration::from_millis(450), "{answered:?}");
    assert!(answered[3] > Duration::from_millis(450), "{answered:?}");
    assert_eq!(told(&backend), ["PASSED", "PASSED", "PASSED", "DELAYED"]);
}

fn dry_run(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = limited(
        subject,
        &backend,
        "limit_req zone=slow burst=1; limit_req_dry_run on;",
        "{ rate = [{ zone = \"slow\", burst = 1 }], rate_dry_run = true }",
    );
    assert_eq!(statuses(&proxy, &["/?k=1"; 4]), [200; 4]);
    assert_eq!(told(&backend), ["PASSED", "DELAYED_DRY_RUN", "REJECTED_DRY_RUN", "REJECTED_DRY_RUN"]);
}

/// A location's own `limit_req` takes the place of the server's; statuses are inherited.
fn inheritance(subject: Subject) {
    let backend = Backend::named("hello");
    let nginx = format!(
        "{ZONES} server {{ listen %listen%; limit_req zone=slow; limit_req_status 429;
            location / {{ proxy_pass http://%backend%; }}
            location /own {{ proxy_pass http://%backend%; limit_req zone=other burst=1 nodelay; }}
            location /status {{ proxy_pass http://%backend%; limit_req_status 418; }} }}"
    );
    let tidegate = format!(
        "{TIDEGATE_ZONES}\n[[sites]]\nupstream = \"%backend%\"\nlimits = {{ rate = [\"slow\"], rate_status = 429 }}\n\
         [[sites.routes]]\nmatch = \"/\"\n\
         [[sites.routes]]\nmatch = \"/own\"\nlimits = {{ rate = [{{ zone = \"other\", burst = 1, nodelay = true }}] }}\n\
         [[sites.routes]]\nmatch = \"/status\"\nlimits = {{ rate_status = 418 }}\n"
    );
    let proxy = subject.setup().nginx(&nginx).tidegate(&tidegate).var("backend", backend.address()).start();
    assert_eq!(statuses(&proxy, &["/?k=1", "/?k=1", "/status?k=1"]), [200, 429, 418]);
    assert_eq!(statuses(&proxy, &["/own?k=1&l=1", "/own?k=1&l=1", "/own?k=1&l=1"]), [200, 200, 429]);
}

fn a_client_that_leaves_while_it_waits(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy =
        limited(subject, &backend, "limit_req zone=slow burst=5;", "{ rate = [{ zone = \"slow\", burst = 5 }] }");
    assert_eq!(proxy.get("/?k=1").0.status(), 200);
    let mut client = proxy.connect();
    client.send("GET /left?k=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    // Once the wait has begun a minute would pass before anything else happens.
    client.expect_silence(Duration::from_millis(50));
    drop(client);
    let line = wait_for("the line about the client that left", || {
        let text = proxy.read_file("access.log");
        text.lines().find(|line| line.contains("/left")).map(str::to_owned)
    });
    assert!(line.contains(" 499 0 "), "{line}");
    assert_eq!(backend.connections(), 1);
}

fn the_log_has_the_status(subject: Subject) {
    let backend = Backend::named("hello");
    let nginx = format!(
        "{ZONES} log_format said '$status <$limit_req_status>'; server {{ listen %listen%;
            access_log %dir%/access.log said; limit_req zone=slow nodelay;
            location / {{ proxy_pass http://%backend%; }} }}"
    );
    let tidegate = format!(
        "access_log = {{ path = \"access.log\", format = \"said\" }}\n\
         log_formats.said.template = \"$status <$limit_req_status>\"\n{TIDEGATE_ZONES}\n\
         [[sites]]\nlimits = {{ rate = [{{ zone = \"slow\", nodelay = true }}] }}\n\
         [[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n"
    );
    let proxy = subject.setup().nginx(&nginx).tidegate(&tidegate).var("backend", backend.address()).start();
    statuses(&proxy, &["/?k=1", "/?k=1", "/"]);
    let log = wait_for("three lines", || {
        Some(proxy.read_file("access.log")).filter(|text| text.lines().count() == 3 && text.ends_with('\n'))
    });
    assert_eq!(log.lines().collect::<Vec<_>>(), ["200 <PASSED>", "503 <REJECTED>", "200 <->"]);
}
