//! One client connection in HTTP/1.1, until it ends or becomes a tunnel.

mod client;
mod reader;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use client::{Client, Wanted};

use crate::proxy::Connection;
use crate::socket::Socket;
use crate::tunnel::{self, Opening};

/// How long a client may take to notice that its connection is over. nginx: `lingering_timeout`.
const LINGER: Duration = Duration::from_secs(5);

/// Speak HTTP/1.1 with a client until it is over; the tunnel that may come of it.
pub(super) async fn serve(
    socket: Socket,
    connection: Arc<Connection>,
    draining: watch::Receiver<bool>,
) -> Option<tunnel::Running> {
    let proxy = Arc::clone(&connection.proxy);
    let settings = proxy.snapshot.load().downstream;
    let Left { socket, opening } = speak(Client::new(socket, connection, settings, draining)).await?;
    if let Some((opening, early)) = opening {
        return Some(tunnel::run(socket, early, opening, &proxy.tunnels));
    }
    linger(socket).await;
    None
}

/// What is left of a connection when HTTP is over on it.
struct Left {
    socket: Socket,
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
            After::Close => return client.into_parts().map(|(socket, ..)| Left { socket, opening: None }),
            After::Tunnel(mut opening) => {
                let (socket, early, timer) = client.into_parts()?;
                opening.timer = Some(timer);
                return Some(Left { socket, opening: Some((opening, early)) });
            }
        }
    }
}

/// Close so that the client reads the last answer: with bytes unread, closing at once would
/// reset the connection under it. nginx: `lingering_close`.
async fn linger(mut socket: Socket) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut sink = [0; 512];
    let rest = async { while matches!(socket.read(&mut sink).await, Ok(n) if n > 0) {} };
    // Whoever is still sending after that is cut off.
    let _cut_off = timeout(LINGER, rest).await;
}
