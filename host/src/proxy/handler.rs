//! Phase 6, where a component is mounted on the route: it answers in an upstream's place.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, timeout};

use super::exchange::Exchange;
use super::forward::Answer;
use super::handshake::Upgrade;
use super::headers;
use crate::body::{Body, Piece, Source};
use crate::error::{Error, Kind};
use crate::hook::{HandlerRequest, HookFailure, Part, Parts, Plugin};
use crate::http1::Length;
use crate::message::ResponseHead;

/// The component that the exchange's route leads to; none where it is an upstream.
pub(super) fn of(exchange: &Exchange) -> Option<Arc<dyn Plugin>> {
    exchange.target.as_ref()?.route.handler.clone()
}

/// Let the component answer. Its head must come within `timeouts.read`, and so each piece of its
/// body, as from an upstream.
///
/// # Errors
/// [`Kind::Plugin`], and [`Kind::ReadTimeout`] where it takes too long.
pub(super) async fn ask(exchange: &mut Exchange, handler: &dyn Plugin, body: Body) -> Result<Answer, Error> {
    let read = exchange.target.as_ref().map_or(Duration::MAX, |target| target.route.timeouts.read);
    let mut fields = exchange.view.headers.clone();
    headers::for_upstream(&mut fields, &Upgrade::None);
    let view = Arc::clone(&exchange.view);
    let authority = fields.get_str("host").filter(|host| !host.is_empty()).map(str::to_owned);
    let request = HandlerRequest {
        method: view.method.clone(),
        scheme: view.scheme,
        // HTTP/1.0 needs none; an absolute address does.
        authority: authority.unwrap_or_else(|| view.local.to_string()),
        target: std::mem::take(&mut exchange.target_path),
        fields,
        body: Box::new(Shown(body)),
        view,
    };
    let answer = timeout(read, handler.handle(request)).await;
    let answer =
        answer.map_err(|_late| Error::new(Kind::ReadTimeout, handler.name()))?.map_err(|failure| error(&failure))?;
    let length = answer.length.map_or(Length::Chunked, Length::Known);
    let mut head = ResponseHead::new(answer.status, answer.fields);
    if let Length::Known(length) = length {
        head.fields.set("Content-Length", length.to_string().as_bytes());
    }
    let parts = Told { parts: answer.body, length, silence: Box::pin(sleep(read)), timeout: read, over: false };
    Ok(Answer::Response { head, body: Body::Stream(Box::new(parts)) })
}

fn error(failure: &HookFailure) -> Error {
    Error::new(Kind::Plugin(failure.kind), failure.to_string())
}

/// A client's body, for a handler.
struct Shown(Body);

impl Parts for Shown {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, String>>> {
        Poll::Ready(match ready!(self.0.poll_piece(cx)) {
            Ok(Piece::Data(data)) => Some(Ok(Part::Data(data))),
            Ok(Piece::Trailers(fields)) => Some(Ok(Part::Trailers(fields))),
            Ok(Piece::End) => None,
            Err(error) => Some(Err(error.to_string())),
        })
    }
}

/// A handler's body, for the client.
struct Told {
    parts: Box<dyn Parts>,
    length: Length,
    /// Fires where nothing comes.
    silence: Pin<Box<Sleep>>,
    timeout: Duration,
    over: bool,
}

impl Source for Told {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if self.over {
            return Poll::Ready(Ok(Piece::End));
        }
        let Poll::Ready(part) = self.parts.poll_part(cx) else {
            ready!(self.silence.as_mut().poll(cx));
            return Poll::Ready(Err(Kind::ReadTimeout.into()));
        };
        let next = Instant::now() + self.timeout;
        self.silence.as_mut().reset(next);
        Poll::Ready(match part {
            Some(Ok(Part::Data(data))) => Ok(Piece::Data(data)),
            Some(Ok(Part::Trailers(fields))) => {
                self.over = true;
                Ok(Piece::Trailers(fields))
            }
            None => {
                self.over = true;
                Ok(Piece::End)
            }
            Some(Err(why)) => Err(Error::new(Kind::BodyStopped, why)),
        })
    }

    fn length(&self) -> Length {
        self.length
    }
}
