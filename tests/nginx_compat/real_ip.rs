//! `set_real_ip_from`, `real_ip_header`, `real_ip_recursive`: who the client is taken for.

use tidegate_tests::{Backend, Proxy, Subject, both};

both!(
    last_address,
    recursive,
    x_real_ip_is_the_default,
    strangers_are_not_believed,
    the_log_has_the_real_address,
    limits_count_the_real_address
);

fn believing(subject: Subject, backend: &Backend, nginx: &str, tidegate: &str) -> Proxy {
    let nginx = format!(
        "{nginx} access_log %dir%/access.log;
         location / {{ proxy_pass http://%backend%; %guide%
            proxy_set_header X-Port \"<$remote_port>\";
            proxy_set_header X-Peer $realip_remote_addr; }}"
    );
    let tidegate = format!(
        "[access_log]\npath = \"access.log\"\n[real_ip]\n{tidegate}\n[[sites]]\n[[sites.routes]]\nmatch = \"/\"\n\
         upstream = \"%backend%\"\nset_headers = {{ X-Port = \"<$remote_port>\", X-Peer = \"$realip_remote_addr\" }}\n"
    );
    subject.setup().nginx(&nginx).tidegate(&tidegate).var("backend", backend.address()).start()
}

/// The real address, and `<port>` where it has one that the header gave.
fn seen(proxy: &Proxy, backend: &Backend, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"));
    let head = backend.heads().pop().unwrap();
    assert_eq!(head.get("x-peer"), Some("127.0.0.1"));
    let address = head.get("x-real-ip").unwrap();
    match head.get("x-port").unwrap() {
        "<>" => address.to_owned(),
        _ if address == "127.0.0.1" => address.to_owned(),
        port => format!("{address}{port}"),
    }
}

const TRUSTED: &str = "trusted = [\"127.0.0.1\", \"10.0.0.0/8\", \"2001:db8:1::/48\"]\nheader = \"X-Forwarded-For\"\n";
const FROM: &str = "set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; set_real_ip_from 2001:db8:1::/48;
    real_ip_header X-Forwarded-For;";

fn last_address(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = believing(subject, &backend, FROM, TRUSTED);
    for (lines, wanted) in [
        (&["X-Forwarded-For: 192.0.2.1"][..], "192.0.2.1"),
        (&["X-Forwarded-For: 192.0.2.1, 192.0.2.2"], "192.0.2.2"),
        (&["X-Forwarded-For: 192.0.2.1,192.0.2.2 ,"], "192.0.2.2"),
        (&["X-Forwarded-For: 192.0.2.1, 10.0.0.7"], "10.0.0.7"),
        (&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"], "192.0.2.2"),
        (&["X-Forwarded-For: 192.0.2.1:8080"], "192.0.2.1<8080>"),
        (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
        (&["X-Forwarded-For: [2001:db8::1]:81"], "2001:db8::1<81>"),
        (&["X-Forwarded-For: [2001:db8::1]"], "127.0.0.1"),
        (&["X-Forwarded-For: unknown"], "127.0.0.1"),
        (&["X-Forwarded-For: 192.0.2.1, unknown"], "127.0.0.1"),
        (&["X-Forwarded-For: 192.0.2.1:0"], "127.0.0.1"),
        (&["X-Real-IP: 192.0.2.1"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        assert_eq!(seen(&proxy, &backend, lines), wanted, "{lines:?}");
    }
}

fn recursive(subject: Subject) {
    let backend = Backend::named("hello");
    let nginx = format!("{FROM} real_ip_recursive on;");
    let proxy = believing(subject, &backend, &nginx, &format!("{TRUSTED}recursive = true\n"));
    for (lines, wanted) in [
        (&["X-Forwarded-For: 192.0.2.1, 192.0.2.2, 10.0.0.7"][..], "192.0.2.2"),
        (&["X-Forwarded-For: 192.0.2.1, 10.0.0.1,2001:db8:1::7"], "192.0.2.1"),
        (&["X-Forwarded-For: 10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        (&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.0.0.2"], "192.0.2.1"),
        (&["X-Forwarded-For: 192.0.2.1, 192.0.2.3", "X-Forwarded-For: 10.0.0.3, 10.0.0.2"], "192.0.2.3"),
        (&["X-Forwarded-For: unknown, 10.0.0.2"], "10.0.0.2"),
        (&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: unknown, 10.0.0.2"], "10.0.0.2"),
        (&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: unknown"], "127.0.0.1"),
        (&["X-Forwarded-For: 192.0.2.1:99, 10.0.0.1:98"], "192.0.2.1<99>"),
    ] {
        assert_eq!(seen(&proxy, &backend, lines), wanted, "{lines:?}");
    }
}

fn x_real_ip_is_the_default(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = believing(subject, &backend, "set_real_ip_from 127.0.0.0/8;", "trusted = [\"127.0.0.0/8\"]\n");
    for (lines, wanted) in [
        (&["X-Real-IP: 192.0.2.1"][..], "192.0.2.1"),
        (&["X-Real-IP: 192.0.2.1, 192.0.2.2"], "192.0.2.2"),
        (&["X-Forwarded-For: 192.0.2.1"], "127.0.0.1"),
    ] {
        assert_eq!(seen(&proxy, &backend, lines), wanted, "{lines:?}");
    }
}

fn strangers_are_not_believed(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = believing(subject, &backend, "set_real_ip_from 10.0.0.0/8;", "trusted = [\"10.0.0.0/8\"]\n");
    assert_eq!(seen(&proxy, &backend, &["X-Real-IP: 192.0.2.1"]), "127.0.0.1");
}

fn the_log_has_the_real_address(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = believing(subject, &backend, FROM, TRUSTED);
    seen(&proxy, &backend, &["X-Forwarded-For: 192.0.2.77"]);
    tidegate_tests::eventually("the line", || proxy.read_file("access.log").starts_with("192.0.2.77 - - ["));
    // And what goes on to the backend names it too, behind what the client sent.
    let forwarded = backend.heads().pop().unwrap().get("x-forwarded-for").unwrap().to_owned();
    assert_eq!(forwarded, "192.0.2.77, 192.0.2.77");
}

fn limits_count_the_real_address(subject: Subject) {
    let backend = Backend::named("hello");
    let proxy = subject
        .setup()
        .nginx(
            "limit_req_zone $remote_addr zone=client:1m rate=1r/m;
             server { listen %listen%; set_real_ip_from 127.0.0.1;
                location / { proxy_pass http://%backend%; limit_req zone=client; } }",
        )
        .tidegate(
            "[real_ip]\ntrusted = [\"127.0.0.1\"]\n[limits.client]\nkey = \"$remote_addr\"\nrate = \"1/m\"\n\
             [[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\nlimits = { rate = [\"client\"] }\n",
        )
        .var("backend", backend.address())
        .start();
    let statuses = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]
        .map(|address| proxy.ask(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Real-IP: {address}\r\n\r\n")).0.status());
    assert_eq!(statuses, [200, 200, 503, 503]);
}
