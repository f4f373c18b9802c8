//! Values, defaults and what routes inherit.

use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::hook::Template;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_minimal_file_has_nginxs_defaults() {
    let config = valid("minimal.toml");
    let server = &config.server;
    assert_eq!(server.drain_timeout, Duration::from_secs(30));
    assert_eq!((server.header_timeout, server.keepalive_timeout), (MINUTE, Duration::from_secs(75)));
    assert_eq!((server.max_head, server.log_level.as_str(), &server.pid_file), (65_536, "info", &None));
    assert!(server.workers >= 1);
    assert!(config.access_logs.is_empty());
    assert_eq!(config.admin.as_ref(), None);
    let [listener] = &config.listeners[..] else { panic!("{:?}", config.listeners) };
    assert_eq!((listener.address, listener.backlog), ("127.0.0.1:0".parse().unwrap(), 511));
    assert!(listener.tls.is_none());
    assert_eq!(listener.proxy_protocol, None);
    let upstream = &config.upstreams[0];
    assert_eq!((&*upstream.name, upstream.keepalive, upstream.keepalive_timeout), ("127.0.0.1:9000", 32, MINUTE));
    let address = "127.0.0.1:9000".parse().unwrap();
    assert_eq!(upstream.peers, [Peer::new("127.0.0.1:9000", Address::Tcp(address))]);
    let route = &config.routes[0];
    assert_eq!((&*route.name, &*route.site, route.pattern.as_str(), route.upstream), ("/", "", "/", Some(0)));
    assert_eq!(route.timeouts, Timeouts { connect: MINUTE, read: MINUTE, send: MINUTE });
    assert_eq!((route.upgrade.as_slice(), route.half_close), (&["websocket".to_owned()][..], false));
    assert_eq!(config.sites[0].routes, [0]);
    assert!(!config.sites[0].default);
}

#[test]
fn every_key_is_read() {
    let config = valid("every_key.toml");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config/valid");
    let server = &config.server;
    assert_eq!((server.workers, server.max_head), (2, 32 << 10));
    assert_eq!(server.pid_file.as_deref(), Some(folder.join("run/tidegate.pid").as_path()));
    assert_eq!(server.cache_dir.as_deref(), Some(folder.join("cache").as_path()));
    assert_eq!((server.header_timeout, server.keepalive_timeout), (Duration::from_secs(90), Duration::ZERO));
    assert_eq!(server.log_level, "info,tidegate::plugin=debug");
    assert_eq!(config.access_logs[0].target, LogTarget::File(folder.join("access.log")));
    assert_eq!(Some(&*config.access_logs[0].format), crate::observe::Format::builtin("upgrade").as_ref());
    let admin = config.admin.unwrap();
    assert_eq!((admin.address, admin.allow.len()), ("127.0.0.1:9901".parse().unwrap(), 3));
    assert_eq!(config.listeners.iter().map(|l| l.backlog).collect::<Vec<_>>(), [1024, 511]);
    let chat = &config.upstreams[0];
    assert_eq!((&*chat.name, chat.keepalive, chat.keepalive_timeout), ("chat", 64, 5 * MINUTE));
    let peers: Vec<_> = chat.peers.iter().map(|p| (&*p.name, p.weight, p.down)).collect();
    assert_eq!(peers, [("10.0.0.1:8080", 3, false), ("10.0.0.2:8080", 1, false), ("[::1]:8080", 1, true)]);
    let tags = &chat.peers[0].tags;
    assert_eq!(tags, &[("rack", "7"), ("zone", "eu")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(chat.balancer.map(|index| &*config.plugins[index].name), Some("mine"));
    let site = &config.sites[0];
    let names = ["ws.example.com", "*.example.com", "mail.*", r"~^(?<tenant>[a-z]+)\.example\.net$"];
    assert_eq!(
        (site.names.as_slice(), site.default, site.routes.as_slice()),
        (&names.map(String::from)[..], true, &[0, 1, 2][..])
    );
    assert_eq!((config.sites[1].routes.as_slice(), config.sites[2].routes.as_slice()), (&[3, 4][..], &[][..]));
}

#[test]
fn routes_inherit_from_their_site() {
    let config = valid("every_key.toml");
    let route = |i: usize| &config.routes[i];
    let timeouts =
        |i: usize| [route(i).timeouts.connect, route(i).timeouts.read, route(i).timeouts.send].map(|t| t.as_secs());
    assert_eq!(timeouts(0), [5, 3600, 60]);
    assert_eq!(timeouts(1), [5, 2, 3]);
    assert_eq!((route(0).half_close, route(1).half_close), (true, false));
    assert_eq!(route(0).upgrade, ["websocket", "tls/1.3"]);
    assert!(route(1).upgrade.is_empty());
    let names: Vec<&str> = config.routes.iter().map(|r| &*r.name).collect();
    assert_eq!(
        names,
        [
            "chat",
            "ws.example.com ~ ^/api/(?<version>v[0-9])/(.*)$",
            "ws.example.com ^~ /static/",
            "bare.example.com = /",
            "bare.example.com /responses",
            // What the first site answers itself.
            "ws.example.com"
        ]
    );
    // The same address is the same upstream, however it is written.
    let upstreams: Vec<&str> =
        config.routes.iter().filter_map(|r| Some(&*config.upstreams[r.upstream?].name)).collect();
    assert_eq!(upstreams, ["chat", "127.0.0.1:9000", "127.0.0.1:9000", "localhost:9000", "localhost:9000"]);
    // And what its own requests go to.
    assert_eq!(config.upstreams.len(), 5);
}

#[test]
fn limits_are_nginxs_where_nothing_is_said() {
    let config = valid("minimal.toml");
    let limits = &config.routes[0].limits;
    let refusal = Refusal { status: 503, dry_run: false, level: Level::Error };
    assert_eq!(
        *limits,
        Limits {
            max_body: Some(1 << 20),
            rates: vec![],
            rate_refusal: refusal.clone(),
            open: vec![],
            open_refusal: refusal
        }
    );
    assert_eq!((config.real_ip, config.zones.len(), config.routes[0].satisfy), (None, 0, Satisfy::First));
    assert_eq!((config.server.max_connections, config.server.max_client_connections), (None, None));
}

#[test]
fn limits_are_read_and_inherited_key_by_key() {
    let config = valid("every_key.toml");
    let zone = |name: &str, key: &str, rate, size| Zone { name: name.into(), key: key.into(), rate, size };
    assert_eq!(
        config.zones,
        [zone("per_client", "$remote_addr", Some(10_000), 1 << 20), zone("whole", "all", None, 10 << 20)]
    );
    let (site, route) = (&config.routes[3].limits, &config.routes[4].limits);
    assert_eq!((site.max_body, route.max_body), (Some(10 << 20), None));
    assert_eq!(site.rates, [RateLimit { zone: "per_client".into(), burst: 0, delay: Some(0) }]);
    assert_eq!(route.rates, [RateLimit { zone: "per_client".into(), burst: 20, delay: Some(5) }]);
    assert_eq!(route.rate_refusal, Refusal { status: 429, dry_run: true, level: Level::Warn });
    assert_eq!(route.open_refusal, Refusal { status: 429, dry_run: false, level: Level::Info });
    assert_eq!(site.open, route.open);
    let per_client = OpenLimit { zone: "per_client".into(), total: Some(20), requests: Some(10), tunnels: Some(15) };
    assert_eq!(site.open[0], per_client);
    assert_eq!((config.server.max_connections, config.server.max_client_connections), (Some(10_000), Some(100)));
    let real_ip = config.real_ip.unwrap();
    assert_eq!((real_ip.trusted.len(), real_ip.header.as_str(), real_ip.recursive), (3, "x-forwarded-for", true));
    assert_eq!([config.routes[3].satisfy, config.routes[4].satisfy], [Satisfy::All, Satisfy::Any]);
    let messages = config.routes[0].messages;
    assert_eq!((messages.max_size, messages.max_ratio, messages.deflate), (64 << 10, 100, DeflatePolicy::Refuse));
    let access = config.routes[0].access;
    assert_eq!((access.reauthorize, access.close_code), (Some(Duration::from_secs(30)), 4001));
    assert!(config.admin.is_some_and(|admin| admin.revoke));
    assert!(config.plugins.iter().any(|plugin| &*plugin.name == "mine" && plugin.restart_tunnels));
    let bodies = |route: usize| config.routes[route].bodies;
    assert_eq!(bodies(0), Bodies { max_size: 2 << 20, too_large: TooLarge::Pass, plain: false });
    assert_eq!(bodies(3), Bodies { max_size: 1 << 20, too_large: TooLarge::Refuse, plain: true });
}

#[test]
fn a_handler_takes_the_place_of_files_and_upstream() {
    let text = "[[listeners]]\naddress = \"127.0.0.1:0\"\n[plugins.mine]\ncomponent = \"wasi-handler.wasm\"\n\
                [[sites]]\nroot = \"www\"\n[[sites.routes]]\nmatch = \"/\"\nhandler = \"mine\"\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/dist");
    let config = load_str(text, &folder, "t.toml").unwrap();
    let route = &config.routes[0];
    let handler = route.handler.map(|index| &*config.plugins[index].name);
    assert_eq!((handler, route.upstream, route.content.files.is_some()), (Some("mine"), None, false));
    for (more, wrong) in [
        ("upstream = \"127.0.0.1:1\"", "does not go with `handler`"),
        ("respond = { status = 200 }", "does not go with `handler`"),
        ("[[sites.routes]]\nmatch = \"/x\"\nhandler = \"nine\"", "did you mean \"mine\"?"),
    ] {
        let problems = load_str(&format!("{text}{more}\n"), &folder, "t.toml").unwrap_err();
        assert!(problems.to_string().contains(wrong), "{problems}");
    }
}

#[test]
fn names_of_peers_are_questions() {
    let config = valid("every_key.toml");
    let local = config.upstreams.iter().find(|upstream| &*upstream.name == "localhost:9000").unwrap();
    let peer = &local.peers[0];
    let Source::Name(lookup) = &peer.source else { panic!("{:?}", peer.source) };
    assert_eq!((&*peer.name, &lookup.question), ("localhost:9000", &Question::Host("localhost".into())));
    assert_eq!((lookup.port, lookup.resolve), (Some(9000), Resolve::Ttl));
    let peer = &config.upstreams[1].peers[1];
    let Source::Name(lookup) = &peer.source else { panic!("{:?}", peer.source) };
    assert_eq!(lookup.question, Question::Service("_ws._tcp.example.com".into()));
    assert_eq!((lookup.port, lookup.resolve, peer.weight), (None, Resolve::Lazy, 2));
    let resolver = &config.resolver;
    assert_eq!(resolver.addresses, ["10.0.0.2:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
    assert_eq!((resolver.valid, resolver.ipv6), (Some(Duration::from_secs(30)), Some(false)));
    assert_eq!(resolver.timeout, Duration::from_secs(5));
    assert_eq!((resolver.min_ttl, resolver.max_ttl), (Duration::from_millis(500), Duration::from_secs(600)));
}

#[test]
fn made_names_of_routes_are_unique() {
    let text = "[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"127.0.0.1:1\"\n";
    let config = sites(&text.repeat(3));
    let names: Vec<&str> = config.routes.iter().map(|r| &*r.name).collect();
    assert_eq!(names, ["/", "/ (2)", "/ (3)"]);
}

#[test]
fn a_cache_may_be_switched_off() {
    let config = sites("[server]\ncache_dir = \"off\"\n[[sites]]\n");
    assert_eq!(config.server.cache_dir, None);
}

#[test]
fn problems_are_shown_with_file_line_column_key_and_hint() {
    let text = "[[sites]]\n  [[sites.routes]]\n  match = \"/\"\n  upstream = \"chta\"\n[upstreams.chat]\npeers = [\"127.0.0.1:1\"]\n";
    let problems = load_str(text, Path::new("."), "tidegate.toml").unwrap_err();
    assert_eq!(
        problems.to_string(),
        "tidegate.toml:1:1: listeners: no listeners (add [[listeners]] with address = \"127.0.0.1:8080\")\n\
         tidegate.toml:4:14: sites[0].routes[0].upstream: no upstream named \"chta\" (did you mean \"chat\"?)"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let problems = load(Path::new("/no/such/tidegate.toml")).unwrap_err().to_string();
    assert!(problems.starts_with("/no/such/tidegate.toml: cannot be read: "), "{problems}");
}

#[test]
fn no_cut_or_missing_line_makes_the_reader_fail_otherwise_than_with_problems() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config/valid/every_key.toml"));
    // Without a name to resolve, so that only the reader's own work is done.
    let text = text.unwrap().replace("localhost:9000", "127.0.0.1:9000");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/config/valid");
    let check = |text: &str| {
        let Err(problems) = load_str(text, &folder, "cut.toml") else { return };
        for problem in &problems {
            let line = text.split('\n').nth(problem.line - 1).unwrap_or_else(|| panic!("{problem}"));
            assert!((1..=line.chars().count() + 1).contains(&problem.column), "{problem}");
        }
    };
    for end in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
        check(&text[..end]);
    }
    let lines: Vec<&str> = text.lines().collect();
    for i in 0..lines.len() {
        check(&[&lines[..i], &lines[i + 1..]].concat().join("\n"));
    }
}

#[test]
fn content_is_read_and_the_nearest_decides_between_files_and_upstream() {
    let config = valid("content.toml");
    let route = |pattern: &str| {
        let found = |r: &&Route| &*r.site == "files.example.com" && r.pattern == pattern;
        config.routes.iter().find(found).unwrap()
    };
    let root = route("/");
    let files = root.content.files.as_ref().unwrap();
    assert_eq!((root.upstream, files.symlinks, &files.mapping), (None, Symlinks::Never, &Mapping::Root));
    assert!(files.folder.ends_with("valid/www"), "{}", files.folder.display());
    assert_eq!(files.index, ["index.php", "index.html"]);
    let tries = files.tries.as_ref().unwrap();
    assert_eq!(tries.list.iter().map(|t| t.is_folder).collect::<Vec<_>>(), [false, true]);
    assert_eq!(tries.fallback, Goal::Route("files.example.com @app".into()));
    assert_eq!(files.types["mine"], "text/mine");
    let pages = &root.content.error_pages;
    let status = |code| StatusCode::from_u16(code).unwrap();
    assert!(matches!(pages.of(status(502)).unwrap().page, Page::Goal(Goal::Path(_))));
    assert_eq!(pages.of(status(404)).unwrap().status, PageStatus::Is(status(200)));
    assert_eq!(pages.of(status(403)).unwrap().status, PageStatus::Pages);
    assert!(matches!(pages.of(status(403)).unwrap().page, Page::Redirect(_)));
    assert!(matches!(pages.of(status(429)).unwrap().page, Page::Text(..)));
    assert!(pages.intercept && pages.of(status(401)).is_none());
    let compress = root.content.compress.as_ref().unwrap();
    assert_eq!((&*compress.codings, compress.min_length), (&[Coding::Gzip, Coding::Br][..], 1024));
    assert_eq!(compress.types, ["text/html", "application/json"]);
    assert_eq!((root.content.buffer_responses, root.content.buffer_requests), (8 << 20, 1 << 20));
    let app = route("@app");
    assert!(app.upstream.is_some() && app.content.files.is_none() && app.content.compress.is_none());
    assert!(app.content.error_pages.pages.is_empty());
    let alias = route("/alias/").content.files.as_ref().unwrap();
    assert_eq!(alias.mapping, Mapping::Alias("/alias/".into()));
    assert_eq!(alias.tries.as_ref().unwrap().fallback, Goal::Status(status(418)));
    let named = route("~ ^/(?<name>[a-z]+)$").content.files.as_ref().unwrap();
    assert!(named.folder.ends_with("valid/files"), "{}", named.folder.display());
    assert_eq!(named.mapping, Mapping::Named(Template::parse("$name.txt").unwrap()));
    // Nothing is said of content elsewhere.
    assert_eq!(valid("minimal.toml").routes[0].content, Content::default());
}
