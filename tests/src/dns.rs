//! A small name server: UDP and TCP on one port, records that a test changes, and what it was
//! asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;

use crate::eventually::wait_for;

/// A name server. Names are written without the dot at the end. Dropping it ends it, and fails
/// the test where it was asked something that it does not understand.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    zone: Mutex<HashMap<String, Entry>>,
    asked: Mutex<Vec<Asked>>,
    /// UDP answers say that they do not fit.
    truncates: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Clone)]
enum Entry {
    Records(u32, Vec<RData>),
    Fails,
    Silent,
}

/// A question that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// In lower case, without the dot at the end.
    pub name: String,
    /// `A`, `AAAA` or `SRV`.
    pub kind: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

impl Dns {
    /// Start one that knows nothing.
    pub fn new() -> Self {
        let (udp, tcp) = wait_for("a port that is free for UDP and TCP", || {
            let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
            Some((udp.try_clone().ok()?, TcpListener::bind(udp.local_addr().ok()?).ok()?))
        });
        let address = udp.local_addr().expect("the name server's address");
        let shared = Arc::new(Shared::default());
        let (for_udp, for_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![spawn(move || serve_udp(&udp, &for_udp)), spawn(move || serve_tcp(&tcp, &for_tcp))];
        Self { address, shared, threads }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of a name from now on, IPv4 and IPv6, and for how many seconds they hold.
    #[track_caller]
    pub fn host(&self, host: &str, ttl: u32, addresses: &[&str]) {
        let record = |address: &&str| match address.parse().expect("an IP address") {
            IpAddr::V4(ip) => RData::A(ip.into()),
            IpAddr::V6(ip) => RData::AAAA(ip.into()),
        };
        self.set(host, Entry::Records(ttl, addresses.iter().map(record).collect()));
    }

    /// The records of a service from now on: priority, weight, port and target.
    #[track_caller]
    pub fn service(&self, service: &str, ttl: u32, records: &[(u16, u16, u16, &str)]) {
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
            RData::SRV(SRV::new(*priority, *weight, *port, name(target)))
        };
        self.set(service, Entry::Records(ttl, records.iter().map(record).collect()));
    }

    /// A name is another one from now on.
    #[track_caller]
    pub fn alias(&self, alias: &str, ttl: u32, target: &str) {
        self.set(alias, Entry::Records(ttl, vec![RData::CNAME(CNAME(name(target)))]));
    }

    /// There is no such name from now on: NXDOMAIN.
    pub fn remove(&self, name: &str) {
        self.shared.zone.lock().remove(name);
    }

    /// Questions for a name are answered with SERVFAIL from now on.
    pub fn fail(&self, name: &str) {
        self.set(name, Entry::Fails);
    }

    /// Questions for a name are not answered from now on.
    pub fn silence(&self, name: &str) {
        self.set(name, Entry::Silent);
    }

    /// Every answer over UDP is empty from now on and says that it was cut.
    pub fn truncate(&self) {
        self.shared.truncates.store(true, Ordering::SeqCst);
    }

    /// What it was asked until now, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// How often it was asked for a name, by kind.
    pub fn count(&self, name: &str, kind: &str) -> usize {
        self.asked().iter().filter(|asked| asked.name == name && asked.kind == kind).count()
    }

    /// Wait until it has been asked so many times more for the IPv4 addresses of a name. Questions
    /// for one name come one after the other, so that answers to all but the last have acted.
    #[track_caller]
    pub fn wait_for_questions(&self, name: &str, more: usize) {
        let before = self.count(name, "A");
        wait_for(&format!("{more} more questions for {name}"), || {
            (self.count(name, "A") >= before + more).then_some(())
        });
    }

    fn set(&self, name: &str, entry: Entry) {
        self.shared.zone.lock().insert(name.to_owned(), entry);
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Both wake a thread, which then sees `stop`.
        let _gone = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[], self.address));
        drop(TcpStream::connect(self.address));
        for stream in self.shared.streams.lock().drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        let threads = self.threads.drain(..).collect::<Vec<_>>();
        let connections = std::mem::take(&mut *self.shared.connections.lock());
        for thread in threads.into_iter().chain(connections) {
            if let Err(cause) = thread.join() {
                std::panic::resume_unwind(cause);
            }
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.stop.store(true, Ordering::SeqCst);
        } else {
            self.end();
        }
    }
}

#[track_caller]
fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a name");
    name.set_fqdn(true);
    name
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).expect("a datagram");
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        if let Some(answer) = answer(&buffer[..length], false, shared) {
            // Who has left needs no answer.
            let _gone = socket.send_to(&answer, client);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.expect("a connection");
        shared.streams.lock().push(stream.try_clone().expect("a second handle"));
        let theirs = Arc::clone(shared);
        shared.connections.lock().push(spawn(move || serve_connection(stream, &theirs)));
    }
}

/// RFC 1035 section 4.2.2: each message has its length before it.
fn serve_connection(mut stream: TcpStream, shared: &Shared) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        let Some(answer) = answer(&question, true, shared) else { continue };
        let length = u16::try_from(answer.len()).expect("an answer that fits").to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).is_err() {
            return;
        }
    }
}

/// The answer's bytes; none stays silent.
fn answer(bytes: &[u8], tcp: bool, shared: &Shared) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).expect("a DNS message");
    let query = question.queries.first().expect("a question").clone();
    let key = |name: &Name| name.to_ascii().to_lowercase().trim_end_matches('.').to_owned();
    let asked = Asked { name: key(query.name()), kind: query.query_type().to_string(), tcp };
    shared.asked.lock().push(asked);
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    if !tcp && shared.truncates.load(Ordering::SeqCst) {
        answer.metadata.truncation = true;
        return Some(answer.to_vec().expect("the answer's bytes"));
    }
    let zone = shared.zone.lock();
    let mut owner = query.name().clone();
    // Follows aliases as a resolver does that is asked to.
    loop {
        let (ttl, records) = match zone.get(&key(&owner)) {
            Some(Entry::Records(ttl, records)) => (*ttl, records),
            Some(Entry::Fails) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                break;
            }
            Some(Entry::Silent) => return None,
            None => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                break;
            }
        };
        let fits = |data: &&RData| [query.query_type(), RecordType::CNAME].contains(&data.record_type());
        let found: Vec<&RData> = records.iter().filter(fits).collect();
        answer.add_answers(found.iter().map(|data| Record::from_rdata(owner.clone(), ttl, (*data).clone())));
        match found.first() {
            Some(RData::CNAME(CNAME(target))) => owner = target.clone(),
            _ => break,
        }
    }
    Some(answer.to_vec().expect("the answer's bytes"))
}
