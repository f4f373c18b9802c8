//! `listen` of a server: names and the default are chosen among the servers at an address.

use tidegate_tests::subject::HeldPort;
use tidegate_tests::{Subject, Wire, both};

both!(servers_by_address_and_name);

fn servers_by_address_and_name(subject: Subject) {
    let (one, two) = (HeldPort::new(), HeldPort::new());
    let proxy = subject
        .setup()
        .nginx(
            "server { listen %one% reuseport; server_name a.test; return 200 one; }
             server { listen %one%; listen %two% reuseport; server_name b.test; return 200 both; }
             server { listen %two%; server_name a.test; return 200 two; }
             server { listen %two% default_server; server_name c.test; return 200 'default $server_port'; }
             server { listen %listen%; return 200 unused; }",
        )
        .tidegate(
            r#"
            [[listeners]]
            address = "%one%"
            [[listeners]]
            address = "%two%"
            [[sites]]
            names = ["a.test"]
            listen = ["%one%"]
            respond = { body = "one" }
            [[sites]]
            names = ["b.test"]
            respond = { body = "both" }
            [[sites]]
            names = ["a.test"]
            listen = ["%two%"]
            respond = { body = "two" }
            [[sites]]
            names = ["c.test"]
            listen = ["%two%"]
            default = true
            respond = { body = "default $server_port" }
            "#,
        )
        .var("one", one.address())
        .var("two", two.address())
        .start();
    let last = format!("default {}", two.address().port());
    for (port, host, wanted) in [
        (&one, "a.test", "one"),
        (&one, "b.test", "both"),
        (&one, "c.test", "one"),
        (&one, "x.test", "one"),
        (&two, "a.test", "two"),
        (&two, "b.test", "both"),
        (&two, "c.test", last.as_str()),
        (&two, "x.test", last.as_str()),
    ] {
        let mut wire = Wire::connect(port.address());
        wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(wire.read_response().1.text(), wanted, "{} {host}", port.address());
    }
    drop(proxy);
}
