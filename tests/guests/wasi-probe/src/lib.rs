//! Tries every way out that WASI 0.2 has, and answers the client with what it found: the
//! environment, arguments, folders, standard input, names, and sockets to and from the address
//! in the header `x-address`.

use tidegate_plugin::{Authorizer, ConfigError, NoConfig, Plugin, Reply, Verdict, request};

#[allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]
mod wasi {
    wit_bindgen::generate!({ path: "wit", world: "probe", generate_all });
}

use wasi::wasi::cli::{environment, stdin};
use wasi::wasi::filesystem::preopens;
use wasi::wasi::io::streams::StreamError;
use wasi::wasi::sockets::instance_network::instance_network;
use wasi::wasi::sockets::ip_name_lookup::resolve_addresses;
use wasi::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasi::wasi::sockets::tcp_create_socket::create_tcp_socket;

struct Probe;

impl Plugin for Probe {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Authorizer for Probe {
    fn authorize(&mut self) -> Verdict {
        let port = request::header_text("x-port").and_then(|port| port.parse().ok()).unwrap_or_default();
        let network = instance_network();
        let there = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
        let here = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
        let socket = || create_tcp_socket(IpAddressFamily::Ipv4);
        let read = match stdin::get_stdin().blocking_read(100) {
            Ok(bytes) => format!("{} bytes", bytes.len()),
            Err(StreamError::Closed) => "closed".to_owned(),
            Err(StreamError::LastOperationFailed(_)) => "failed".to_owned(),
        };
        let lines = [
            format!("environment {:?}", environment::get_environment()),
            format!("arguments {:?}", environment::get_arguments()),
            format!("folder {:?}", environment::initial_cwd()),
            format!("folders {}", preopens::get_directories().len()),
            format!("stdin {read}"),
            format!("name {}", said(resolve_addresses(&network, "localhost").map(drop))),
            format!(
                "connect {}",
                said(socket().and_then(|socket| {
                    socket.start_connect(&network, there)?;
                    socket.finish_connect().map(drop)
                }))
            ),
            format!("bind {}", said(socket().and_then(|socket| socket.start_bind(&network, here)))),
        ];
        Reply::new(200).text(lines.join("\n")).into()
    }
}

fn said(answer: Result<(), ErrorCode>) -> String {
    answer.map_or_else(|error| format!("{error:?}"), |()| "allowed".to_owned())
}

tidegate_plugin::export!(Probe: authorizer);
