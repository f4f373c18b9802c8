//! A request to leave HTTP: always over a connection of its own.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;

use super::super::handshake::{self, Upgrade};
use super::plain::within;
use super::{Answer, Attempt, Failed, is_switch};
use crate::body::Body;
use crate::error::Error;
use crate::error::Kind;
use crate::upstream::{self, Connection, Pooled};

/// Ask a peer to switch. An answer that is not a 101 passes like any response.
pub(super) async fn ask(attempt: &Attempt<'_>, request: Request<Body>, asked: &Upgrade) -> Result<Answer, Failed> {
    let timeouts = &attempt.target.route.timeouts;
    let stream = match upstream::connect(attempt.peer, timeouts.connect).await {
        Ok(stream) => stream,
        Err(error) => return Err(Failed::unsent(error, request)),
    };
    let (mut sender, connection) = upstream::speak(stream, timeouts.send).await?;
    // Driven here, not by a task of its own: a tunnel wants the bare stream back at once.
    let mut driven = Driven { connection, ended: false };
    let answering = await_head(&mut driven, sender.send_request(request));
    let Some(answer) = within(timeouts.read, attempt.meter.map(AsRef::as_ref), answering).await else {
        return Err(Error::new(Kind::ReadTimeout, attempt.peer.name.as_ref()).into());
    };
    let (head, body) = answer?.into_parts();
    if !is_switch(head.status) {
        let connection = driven.connection;
        tokio::spawn(async move {
            // Its errors reach the client through the body.
            let _reported = connection.await;
        });
        let pooled = Pooled::new(sender, Arc::clone(attempt.peer), &attempt.target.upstream);
        let connection = Some(pooled.after(attempt.meter.cloned()));
        return Ok(Answer::Response { head: Box::new(head), body, connection });
    }
    handshake::check_switch(asked, &head.headers)?;
    poll_fn(|cx| driven.poll(cx)).await.map_err(|e| Error::from_upstream(&e))?;
    let parts = driven.connection.into_parts();
    let upstream = parts.io.into_inner().into_inner();
    Ok(Answer::Switch { head: Box::new(head), upstream, early: parts.read_buf })
}

struct Driven {
    connection: Connection,
    ended: bool,
}

impl Driven {
    /// Ready once HTTP is over on this connection.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let polled = self.connection.poll_without_shutdown(cx);
        self.ended = polled.is_ready();
        polled
    }
}

/// Drive the connection until the answer's head is there.
async fn await_head(
    driven: &mut Driven,
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
) -> Result<Response<Incoming>, Error> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        let driving = driven.poll(cx);
        match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|e| Error::from_upstream(&e))),
            // hyper tells the answering side before it ends, so this is a safeguard.
            Poll::Pending if driving.is_ready() => Poll::Ready(Err(Kind::Closed.into())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
