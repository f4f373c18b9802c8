//! `proxy_cookie_domain`, `proxy_cookie_path`, `proxy_cookie_flags`.

use tidegate_tests::{Backend, Response, Subject, both};

both!(cookies_are_rewritten);

fn cookies_are_rewritten(subject: Subject) {
    // The query is the cookies, with `,` between them and `+` for a space.
    let backend = Backend::http(|request| {
        let query = request.head.target().split_once('?').map_or("", |(_, query)| query).to_owned();
        query
            .split(',')
            .fold(Response::text("x"), |response, cookie| response.header("Set-Cookie", &cookie.replace('+', " ")))
    });
    let proxy = subject
        .setup()
        .nginx(
            r"location /d { proxy_cookie_domain b.test $host; proxy_cookie_domain .dot.test new.test; proxy_cookie_domain ~\.(?<sub>[a-z]+)\.re$ $sub.new; proxy_pass http://%backend%; }
             location /p { proxy_cookie_path /two/ /; proxy_cookie_path ~*^/USER/([^/]+) /u/$1; proxy_pass http://%backend%; }
             location /f { proxy_cookie_flags one httponly samesite=strict; proxy_cookie_flags bare nosecure nohttponly nosamesite; proxy_cookie_flags ~^s secure samesite=lax; proxy_pass http://%backend%; }
             location /all { proxy_cookie_domain b.test a.test; proxy_cookie_path / /x/; proxy_cookie_flags ~ secure; proxy_pass http://%backend%; }
             location /none { proxy_pass http://%backend%; }",
        )
        .tidegate(
            r#"
            [[sites]]
            upstream = "%backend%"
            routes = [
              { match = "/d", cookie_domains = { "b.test" = "$host", ".dot.test" = "new.test", '~\.(?<sub>[a-z]+)\.re$' = "$sub.new" } },
              { match = "/p", cookie_paths = { "/two/" = "/", "~*^/USER/([^/]+)" = "/u/$1" } },
              { match = "/f", cookie_flags = { "one" = "httponly samesite=strict", "bare" = "nosecure nohttponly nosamesite", "~^s" = "secure samesite=lax" } },
              { match = "/all", cookie_domains = { "b.test" = "a.test" }, cookie_paths = { "/" = "/x/" }, cookie_flags = { "~" = "secure" } },
              { match = "/none" },
            ]
            "#,
        )
        .var("backend", backend.address())
        .start();
    for (target, wanted) in [
        ("/none?a=1;Path=/two/", "a=1;Path=/two/"),
        ("/d?a=1;+Domain=b.test", "a=1; Domain=ws.example.com"),
        ("/d?a=1;+domain=B.TEST;+Secure", "a=1; domain=ws.example.com; Secure"),
        ("/d?a=1;+Domain=.b.test", "a=1; Domain=.ws.example.com"),
        ("/d?a=1;+Domain=x.b.test", "a=1; Domain=x.b.test"),
        ("/d?a=1;+Domain=dot.test", "a=1; Domain=new.test"),
        ("/d?a=1;+Domain=q.W.re", "a=1; Domain=W.new"),
        ("/d?Domain=b.test", "Domain=b.test"),
        ("/p?a=1;Path=/two/three;Max-Age=3", "a=1; Path=/three; Max-Age=3"),
        ("/p?a=1;+path=/two", "a=1; path=/two"),
        ("/p?a=1;+Path=/user/ann/x", "a=1; Path=/u/ann"),
        ("/p?a=1;+Path=/TWO/", "a=1; Path=/TWO/"),
        ("/f?one=1", "one=1; HttpOnly; SameSite=Strict"),
        ("/f?ONE=1", "ONE=1; HttpOnly; SameSite=Strict"),
        ("/f?one=1;+samesite=lax;+httponly", "one=1; SameSite=Strict; httponly"),
        ("/f?bare=1;+Secure;+HttpOnly;+SameSite=Lax;+Path=/", "bare=1; Path=/"),
        ("/f?sid=a=b;+secure", "sid=a=b; secure; SameSite=Lax"),
        ("/f?other=1", "other=1"),
        ("/all?a=1;+Domain=b.test;+Path=/", "a=1; Domain=a.test; Path=/x/; Secure"),
        ("/all?a=1,b=2;+Path=/y", "a=1; Secure | b=2; Path=/x/y; Secure"),
        ("/p?a=1,b=2;+Path=/two/", "a=1 | b=2; Path=/"),
        ("/all?noequals;+Path=/", "noequals; Path=/"),
    ] {
        let (head, _) = proxy.get(target);
        assert_eq!(head.all("set-cookie").join(" | "), wanted, "{target}");
    }
}
