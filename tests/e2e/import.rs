//! nginx configurations on the command line: `tidegate import`, `tidegate run --nginx`.

use rustix::process::Signal;
use tidegate_tests::subject::{Binary, HeldPort};
use tidegate_tests::{Backend, TempDir, Wire, eventually};

fn conf(listen: &HeldPort, backend: &Backend, more: &str) -> String {
    format!(
        "events {{}} http {{ server {{ listen {}; location / {{ proxy_pass http://{}; }}\n {more} }} }}",
        listen.address(),
        backend.address()
    )
}

fn status(address: std::net::SocketAddr, path: &str) -> u16 {
    let mut wire = Wire::connect(address);
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"));
    wire.read_response().0.status()
}

#[test]
fn it_runs_an_nginx_configuration_and_imports_it_anew() {
    let (held, backend, dir) = (HeldPort::new(), Backend::named("ok"), TempDir::new());
    let file = dir.write("nginx.conf", conf(&held, &backend, ""));
    let path = file.to_str().unwrap();
    let tested = Binary::output(&["run", "--nginx", path, "-t"]);
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let running =
        Binary::start(Binary::command().args(["run", "--nginx", path, "-g", "worker_processes 1;"]), None, 1).unwrap();
    assert_eq!(status(held.address(), "/new"), 200);
    // What cannot be imported changes nothing.
    dir.write("nginx.conf", conf(&held, &backend, "location /new { fastcgi_pass 127.0.0.1:9; }"));
    running.signal(Signal::HUP);
    eventually("the reload to be refused", || running.stderr().contains("fastcgi_pass"));
    assert_eq!(status(held.address(), "/new"), 200);
    dir.write("nginx.conf", conf(&held, &backend, "location /new { return 418; }"));
    running.signal(Signal::HUP);
    eventually("the reload", || status(held.address(), "/new") == 418);
}

#[test]
fn it_ends_with_0_only_where_everything_kept_its_meaning() {
    let (held, backend, dir) = (HeldPort::new(), Backend::named("ok"), TempDir::new());
    let whole = dir.write("whole.conf", conf(&held, &backend, "location = /x { return 204; }"));
    let output = Binary::output(&["import", whole.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("match = \"= /x\""), "{text}");
    let lacking = dir.write("lacking.conf", conf(&held, &backend, "sub_filter a b;"));
    let output = Binary::output(&["import", lacking.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("lacking.conf:2:2: sub_filter: bodies are not changed (do it in the backend)"), "{said}");
    let output = Binary::output(&["import", "--lenient", lacking.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("# not imported: "));
}
