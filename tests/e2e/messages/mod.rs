//! Hook `messages`: what plugins do with messages, byte for byte at both ends. The guest is the
//! frozen `messenger`, which does what messages say.

mod decisions;
mod deflate;
mod drain;
mod fiber;
mod guard;
mod hostile;
mod protocol;
mod reload;

use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use tidegate_tests::guests::guest;
use tidegate_tests::ws::{self, Frame};
use tidegate_tests::{Backend, Proxy, Setup, Wire, patience, tidegate};

/// A route with these messengers, in order, each with its table's lines, and more lines for the route.
///
/// One without a deadline gets the longest that there is on a worker: few tests are about it, and once, on a busy
/// machine, a message of a MiB took the 10 ms of the default.
fn set_up(messengers: &[&str], route: &str) -> Setup {
    let table = |(n, lines): (usize, &&str)| {
        let deadline = if lines.contains("deadline") { "" } else { "deadline = \"20ms\"\n" };
        format!("[plugins.m{n}]\ncomponent = \"%messenger%\"\n{deadline}{lines}\n")
    };
    let tables: String = messengers.iter().enumerate().map(table).collect();
    let names: Vec<_> = (0..messengers.len()).map(|n| format!("\"m{n}\"")).collect();
    let names = names.join(", ");
    let text = format!(
        "[server]\nworkers = 1\n{tables}[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nupstream = \"%backend%\"\n\
         plugins = [{names}]\n{route}\n[[sites.routes]]\nmatch = \"/plain\"\nupstream = \"%backend%\"\n"
    );
    tidegate(&text).var("messenger", guest("messenger"))
}

/// A backend whose end of each tunnel the test has in its hands.
struct Ends {
    backend: Backend,
    wires: Receiver<(Wire, Sender<()>)>,
}

/// One end of a tunnel at the backend. Its connection stays until this is dropped.
struct End {
    wire: Wire,
    _held: Sender<()>,
}

impl std::ops::Deref for End {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl std::ops::DerefMut for End {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Ends {
    /// Accept every handshake, with these lines in the 101.
    fn new(lines: &'static str) -> Self {
        let (sender, wires) = channel();
        let sender = parking(sender);
        let backend = Backend::script(move |mut wire, _| {
            wire.read_head();
            wire.send(ws::switching(ws::KEY, lines));
            let (held, until) = channel();
            sender(wire, held);
            // The connection is the test's until it lets go.
            let _let_go = until.recv();
        });
        Self { backend, wires }
    }

    /// Start the proxy in front.
    fn before(&self, setup: Setup) -> Proxy {
        setup.var("backend", self.backend.address()).start()
    }

    /// The backend's end of the next tunnel.
    fn next(&self) -> End {
        let (wire, held) = self.wires.recv_timeout(patience()).expect("a tunnel at the backend");
        End { wire, _held: held }
    }

    /// Open a tunnel: both of its ends.
    fn open(&self, proxy: &Proxy) -> (Wire, End) {
        let client = proxy.open("/ws");
        (client, self.next())
    }
}

/// A sender that many threads share.
fn parking(sender: Sender<(Wire, Sender<()>)>) -> impl Fn(Wire, Sender<()>) + Send + Sync {
    let sender = Mutex::new(sender);
    move |wire, held| sender.lock().send((wire, held)).expect("the test still runs")
}

/// What the backend is sent next.
fn text_at(backend: &mut End) -> String {
    let frame = backend.read_frame();
    assert!(frame.fin && frame.opcode == ws::TEXT, "{frame:?}");
    String::from_utf8(frame.payload).unwrap()
}

/// A text of the client.
fn say(client: &mut Wire, text: &str) {
    client.send(Frame::text(text).masked());
}

/// The payload of a close frame.
fn closing(code: u16, reason: &str) -> Frame {
    let mut frame = Frame::close(code);
    frame.payload.extend_from_slice(reason.as_bytes());
    frame
}

/// Each end is sent this close frame, answers it, and sees the end of the stream.
#[track_caller]
fn both_are_closed(mut client: Wire, mut backend: End, to_client: &Frame, to_backend: &Frame) {
    assert_eq!(&client.read_frame(), to_client, "at the client");
    assert_eq!(&backend.read_frame(), to_backend, "at the backend");
    // It may have ended with the first answer.
    let _answered = client.try_send(to_client.masked());
    let _answered = backend.try_send(to_backend.bytes());
    client.finish();
    backend.finish();
    client.expect_end();
    backend.expect_end();
}
