//! What breaks HTTP/3: it ends a stream or a connection with the code that RFC 9114 has for it,
//! and never more than that.

use tidegate::http3::frame;
use tidegate_tests::http3::{Client, Frames, code, framed, get, request, run, section};
use tidegate_tests::{Authority, Backend, Proxy, TlsClient};

use crate::http3::{before, client, set_up};

struct Subject {
    authority: Authority,
    proxy: Proxy,
    _backend: Backend,
}

fn subject() -> Subject {
    let (authority, backend) = (Authority::new(), Backend::reflect());
    let proxy = before(&authority, backend.address(), "");
    Subject { authority, proxy, _backend: backend }
}

impl Subject {
    async fn silent(&self) -> Client {
        let tls = TlsClient::new(&self.authority, "example.com");
        Client::silent(self.proxy.address(), &tls).await.unwrap()
    }

    async fn client(&self) -> Client {
        client(&self.proxy, &self.authority).await
    }
}

/// Bytes of a request stream that end the connection with a code.
#[test]
fn streams_that_end_the_connection() {
    let subject = subject();
    let head = framed(frame::HEADERS, &section(&request("POST", "/")));
    let trailers = framed(frame::HEADERS, &[0, 0]);
    let then = |bytes: &[u8]| [&head[..], bytes].concat();
    for (bytes, wanted) in [
        (framed(frame::DATA, b"x"), 0x105),
        (framed(frame::SETTINGS, &[]), 0x105),
        (framed(frame::GOAWAY, &[0]), 0x105),
        (framed(frame::CANCEL_PUSH, &[0]), 0x105),
        (framed(frame::PUSH_PROMISE, &[0, 0, 0]), 0x105),
        (framed(frame::MAX_PUSH_ID, &[0]), 0x105),
        (framed(0x02, &[]), 0x105),
        (then(&framed(0x06, &[])), 0x105),
        (then(&[&trailers[..], &framed(frame::DATA, b"x")].concat()), 0x105),
        (then(&[&trailers[..], &trailers[..]].concat()), 0x105),
        // Cut off within a frame, within its length, within its type.
        (then(&[0, 5, b'x']), 0x106),
        (then(&[0]), 0x106),
        (then(&[0x40]), 0x106),
        (framed(frame::HEADERS, &[0, 0])[..3].to_vec(), 0x106),
        // Field sections that are none.
        (framed(frame::HEADERS, &[]), 0x200),
        (framed(frame::HEADERS, &[1, 0, 0x80]), 0x200),
        (framed(frame::HEADERS, &[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 0x200),
        (framed(frame::HEADERS, &[0, 0, 0x51, 0x82, 0xff, 0xff]), 0x200),
        (then(&framed(frame::HEADERS, &[0])), 0x200),
    ] {
        run(async {
            let client = subject.client().await;
            let mut stream = client.stream().await;
            stream.raw(&bytes).await;
            stream.end();
            let ended = tokio::time::timeout(tidegate_tests::patience() / 2, client.end()).await;
            assert_eq!(ended.unwrap_or_else(|_| panic!("{bytes:?} end nothing")), wanted, "{bytes:?}");
        });
    }
}

/// Requests that break HTTP, and end their stream alone.
#[test]
fn requests_that_end_their_stream() {
    let subject = subject();
    let with = |more: &[(&'static str, &'static str)]| [&request("GET", "/")[..], more].concat();
    run(async {
        let client = subject.client().await;
        for lines in [
            with(&[("x-a", "1"), (":path", "/again")]),
            with(&[(":path", "/again")]),
            with(&[(":unknown", "x")]),
            with(&[("X-Upper", "1")]),
            with(&[("connection", "keep-alive")]),
            with(&[("x-a", "1\r\nx-smuggled: 2")]),
            with(&[("host", "other.example")]),
            with(&[(":protocol", "websocket")]),
            request("GET", "/")[..3].to_vec(),
            request("GET", "/")[1..].to_vec(),
            request("GET", "/ HTTP/1.1\r\nX: y").to_vec(),
        ] {
            let mut stream = client.begin(&lines).await;
            assert_eq!(stream.frame().await, Err(quinn::ReadError::Reset(code(0x10e))), "{lines:?}");
        }
        // One that ends before it is there, of which nothing was wrong so far.
        let mut stream = client.stream().await;
        stream.raw(&framed(0x21, b"nobody knows")).await;
        stream.end();
        assert_eq!(stream.frame().await, Err(quinn::ReadError::Reset(code(0x10d))));
        let (head, body) = client.ask("GET", "/after", b"").await;
        assert_eq!((get(&head, ":status"), body.as_slice()), (Some("200"), &b"GET /after HTTP/1.1"[..]));
    });
}

/// A body that is not as long as its Content-Length never reaches the peer as a whole one.
#[test]
fn bodies_of_another_length() {
    let (authority, backend) = (Authority::new(), Backend::reflect());
    let proxy = before(&authority, backend.address(), "");
    run(async {
        let client = client(&proxy, &authority).await;
        for (length, body) in [("5", &b"four"[..]), ("5", b"sixsix"), ("1", b"")] {
            let lines = [&request("POST", "/")[..], &[("content-length", length)]].concat();
            let mut stream = client.begin(&lines).await;
            if !body.is_empty() {
                // The server may have stopped it by then.
                let _stopped = stream.send.write_all(&framed(frame::DATA, body)).await;
            }
            let _stopped = stream.send.finish();
            let refused = match stream.frame().await {
                Ok(Some((frame::HEADERS, content))) => {
                    let mut status = String::new();
                    let keep = |name: &[u8], value: &[u8]| {
                        if name == b":status" {
                            status = String::from_utf8(value.to_vec()).unwrap();
                        }
                    };
                    tidegate::http3::qpack::decode(&content, 4096, keep).unwrap();
                    status == "400"
                }
                Err(quinn::ReadError::Reset(_)) => true,
                other => panic!("{other:?}"),
            };
            assert!(refused, "{length}: {body:?}");
        }
        let (head, _) = client.ask("GET", "/", b"").await;
        assert_eq!(get(&head, ":status"), Some("200"));
    });
    // What was refused was never answered by the peer.
    assert!(backend.heads().iter().all(|head| head.start.starts_with("GET ")), "{:?}", backend.heads());
}

/// Bytes of streams that carry no request.
#[test]
fn side_streams_that_end_the_connection() {
    let subject = subject();
    let control = |bytes: &[u8]| [&[0, 4, 0][..], bytes].concat();
    for (bytes, wanted) in [
        (vec![0, 0, 0], 0x10a),
        (vec![0, 7, 1, 0], 0x10a),
        (control(&[4, 0]), 0x105),
        (control(&[0, 1, 0]), 0x105),
        (control(&framed(frame::HEADERS, &[0, 0])), 0x105),
        (control(&framed(0x08, &[])), 0x105),
        (control(&framed(frame::CANCEL_PUSH, &[0])), 0x108),
        (control(&[7, 1, 4, 7, 1, 8]), 0x108),
        (control(&[0x0d, 1, 4, 0x0d, 1, 3]), 0x108),
        (control(&[7, 2, 0, 0]), 0x106),
        (control(&[0x21, 0x80, 0, 0, 1]), 0),
        (vec![0, 4, 2, 0x02, 1], 0x109),
        (vec![0, 4, 4, 0x21, 1, 0x21, 1], 0x109),
        (vec![0, 4, 2, 0x08, 2], 0x109),
        (vec![0, 4, 0x80, 0, 0xff, 0xff], 0x107),
        (vec![1, 0], 0x103),
        (vec![2, 0x3f, 0xe1, 0x1f], 0x201),
        (vec![3, 0x80], 0x202),
    ] {
        run(async {
            let client = subject.silent().await;
            let _stream = client.side_stream(&bytes).await;
            if wanted == 0 {
                // Nothing is wrong with it.
                assert_eq!(get(&client.ask("GET", "/", b"").await.0, ":status"), Some("200"));
            } else {
                assert_eq!(client.end().await, wanted, "{bytes:?}");
            }
        });
    }
}

#[test]
fn streams_that_there_is_one_of() {
    let subject = subject();
    run(async {
        for (kind, wanted) in [(0, 0x103), (2, 0x103), (3, 0x103)] {
            let client = subject.client().await;
            // The control stream is there already.
            let _first = if kind == 0 { None } else { Some(client.side_stream(&[kind]).await) };
            let _second = client.side_stream(&[kind, 4, 0]).await;
            assert_eq!(client.end().await, wanted, "{kind}");
        }
        let client = subject.silent().await;
        let mut control = client.side_stream(&[0, 4, 0]).await;
        control.finish().unwrap();
        assert_eq!(client.end().await, 0x104, "the control stream ends");
    });
}

/// What nobody knows is passed over (RFC 9114 §9), and the client is told what is offered.
#[test]
fn grease_is_passed_over() {
    let subject = subject();
    run(async {
        let client = subject.client().await;
        let mut unknown = client.side_stream(&[0x21, 1, 2, 3]).await;
        assert_eq!(unknown.stopped().await.unwrap(), Some(code(0x103)));
        let _decoder = client.side_stream(&[3, 0x41, 0x7f, 0x80, 1]).await;
        let _encoder = client.side_stream(&[2, 0x20]).await;
        let mut stream = client.stream().await;
        stream.raw(&framed(0x21, b"before the head")).await;
        stream.headers(&request("POST", "/p")).await;
        stream.raw(&framed(0x40, &[0; 300])).await;
        stream.data(b"").await;
        stream.data(b"body").await;
        stream.raw(&framed(0x5f, b"")).await;
        stream.end();
        assert_eq!(get(&stream.head().await, ":status"), Some("200"));
        let mut control: Frames = client.control().await;
        let (kind, settings) = control.frame().await.unwrap().unwrap();
        assert_eq!((kind, settings.ends_with(&[8, 1])), (frame::SETTINGS, true), "tunnels are offered");
        // A reset of a stream that is not needed ends nothing.
        unknown.reset(code(0x100)).ok();
        assert_eq!(get(&client.ask("GET", "/", b"").await.0, ":status"), Some("200"));
    });
}

#[test]
fn a_client_that_resets_again_and_again_is_left() {
    let (authority, backend) = (Authority::new(), Backend::silent());
    let proxy = set_up(&authority, backend.address(), ["", "", ""]).start();
    run(async {
        let client = client(&proxy, &authority).await;
        let mut streams = 0;
        let ended = loop {
            let Ok((mut send, mut recv)) = client.quic.open_bi().await else { break client.end().await };
            let head = framed(frame::HEADERS, &section(&request("GET", "/")));
            if send.write_all(&head).await.is_err() {
                break client.end().await;
            }
            streams += 1;
            assert!(streams < 10_000, "the connection is never ended");
            let _ended = (send.reset(code(0x10c)), recv.stop(code(0x10c)));
        };
        assert_eq!(ended, 0x107);
        // Others are served.
        let other = crate::http3::client(&proxy, &authority).await;
        assert_eq!(get(&other.ask("GET", "/facts", b"").await.0, ":status"), Some("200"));
    });
}

/// Any bytes at all: whatever becomes of them, the server goes on.
#[test]
fn noise_is_survived() {
    let subject = subject();
    let mut noise = tidegate_tests::Noise::new(42);
    run(async {
        for round in 0..60 {
            let client = subject.silent().await;
            let _side = match round % 3 {
                0 => None,
                kind => {
                    let mut bytes = vec![if kind == 1 { 0 } else { 3 }];
                    bytes.extend(noise.take(50));
                    client.side_stream(&bytes).await.into()
                }
            };
            let Ok((mut send, mut recv)) = client.quic.open_bi().await else { continue };
            let bytes = match round % 2 {
                0 => noise.take(200),
                _ => framed(frame::HEADERS, &[&[0, 0][..], &noise.take(80)].concat()),
            };
            // It may be cut off at any time.
            let _cut = send.write_all(&bytes).await;
            let _cut = send.finish();
            let _cut = recv.read_to_end(1 << 20).await;
        }
        let client = subject.client().await;
        assert_eq!(get(&client.ask("GET", "/", b"").await.0, ":status"), Some("200"));
    });
}
