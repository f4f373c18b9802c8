//! One client connection in HTTP/1.1, until it ends or becomes a tunnel.

mod client;
mod reader;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use client::{Client, Wanted};

use crate::listener::Accepted;
use crate::proxy::{Connection, Proxy};
use crate::tunnel::{self, Opening};

/// How long a client may take to notice that its connection is over. nginx: `lingering_timeout`.
const LINGER: Duration = Duration::from_secs(5);

/// Serve one connection.
pub async fn serve(accepted: Accepted, proxy: Arc<Proxy>, draining: watch::Receiver<bool>) {
    let Accepted { mut stream, client, local, proxied: believed, mut visit } = accepted;
    let proxied = match believed {
        None => None,
        // Boxed, since it is soon over.
        Some(believed) => {
            match Box::pin(super::proxied::take(&mut stream, &believed, &client, &proxy, draining.clone())).await {
                Ok(ends) if visit.belongs_to(&proxy, ends.map_or(client.address, |ends| ends.source).ip()) => ends,
                _ => return,
            }
        }
    };
    let settings = proxy.snapshot.load().downstream;
    let connection = Arc::new(Connection { proxy: Arc::clone(&proxy), client, local, scheme: "http", proxied });
    // Boxed, since it is ten times as large as the tunnel that may come after it.
    let spoken = Box::pin(speak(Client::new(stream, connection, settings, draining))).await;
    match spoken {
        Some(Left { stream, opening: Some((opening, early)) }) => {
            let entry = proxy.tunnels.enter(opening.lease.peer());
            tunnel::run(stream.into(), early, *opening, entry).await;
        }
        Some(Left { stream, opening: None }) => linger(stream).await,
        None => {}
    }
    drop(visit);
}

/// What is left of a connection when HTTP is over on it.
struct Left {
    stream: TcpStream,
    /// The tunnel that it becomes, and what the client sent ahead for it.
    opening: Option<(Box<Opening>, Bytes)>,
}

/// How an exchange leaves its connection.
enum After {
    /// Another request may come.
    Next,
    /// It is over.
    Close,
    /// It becomes a tunnel.
    Tunnel(Box<Opening>),
}

/// Speak HTTP until it is over; none where the client is gone.
async fn speak(mut client: Client) -> Option<Left> {
    loop {
        let after = match client.next().await {
            Wanted::Request(head) => client.exchange(head).await,
            Wanted::Refusal(refusal) => client.refuse(refusal).await,
            Wanted::Nothing => After::Close,
        };
        match after {
            After::Next => {}
            After::Close => return client.into_parts().map(|(stream, _)| Left { stream, opening: None }),
            After::Tunnel(opening) => {
                let (stream, early) = client.into_parts()?;
                return Some(Left { stream, opening: Some((opening, early)) });
            }
        }
    }
}

/// Close so that the client reads the last answer: with bytes unread, closing at once would
/// reset the connection under it. nginx: `lingering_close`.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut sink = [0; 512];
    let rest = async { while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {} };
    // Whoever is still sending after that is cut off.
    let _cut_off = timeout(LINGER, rest).await;
}
