//! One plugin's part in one body, bound to the instance that it was opened in.

mod calls;

use std::sync::Arc;

use bytes::Bytes;

use super::clock::Reading;
use super::home::{Held, Home, Judged, judged};
use super::instance::{Exchange, Live};
use super::lane::Lane;
use super::loaded::Loaded;
use super::quarantine::Pass;
use crate::hook::{
    BodyChanges, BodyOf, BodySession, BodyWish, Call, ChunkVerdict, EndVerdict, Hook, HookFailure, HookFailureKind,
    LocalReply, OnFailure, OpenedBody, ResponseView, View, WholeBody,
};
use crate::message::Fields;
use calls::{Answer, Question};

/// Exchanges that an instance has before another one is made, where another may be: what one
/// exchange does to its instance is another's business only where a worker has many at once.
pub(super) const CROWDED: usize = 1;

/// A body in its home.
struct Bound {
    loaded: Arc<Loaded>,
    home: Arc<Home>,
    of: BodyOf,
    number: u64,
    wish: BodyWish,
}

fn hook(of: BodyOf) -> Hook {
    match of {
        BodyOf::Request => Hook::RequestBody,
        BodyOf::Response => Hook::ResponseBody,
    }
}

/// Open a body in an instance: an answer's where there is one, else a request's.
pub(super) fn open(loaded: &Arc<Loaded>, view: &Arc<View>, response: Option<&Arc<ResponseView>>) -> Call<OpenedBody> {
    let of = if response.is_some() { BodyOf::Response } else { BodyOf::Request };
    let exchange = Exchange { view: Arc::clone(view), response: response.map(Arc::clone), choice: None };
    match loaded.shared.lane {
        Lane::Sync => {
            let since = Reading::now();
            let answer = open_now(loaded, of, exchange);
            loaded.shared.numbers.worked(loaded.seats.mine(), since);
            Call::Ready(answer)
        }
        Lane::Fiber => loaded.later(open_later(Arc::clone(loaded), of, exchange)),
    }
}

fn open_now(loaded: &Arc<Loaded>, of: BodyOf, exchange: Exchange) -> Result<OpenedBody, HookFailure> {
    let (seat, pass) = loaded.enter(hook(of))?;
    let number = exchange.view.serial;
    let home = match home_of(loaded, seat, &exchange.view) {
        Some(home) => home,
        None => match Live::make(&loaded.compiled, &loaded.shared) {
            Ok(live) => new_home(loaded, seat, &exchange.view, live),
            Err(failure) => return Err(loaded.not_made(hook(of), pass, failure)),
        },
    };
    let answer = ask_now(loaded, &home, pass, of, number, Question::Open(exchange))?;
    Ok(bound(loaded, home, of, number, &answer))
}

async fn open_later(loaded: Arc<Loaded>, of: BodyOf, exchange: Exchange) -> Result<OpenedBody, HookFailure> {
    let (seat, pass) = loaded.enter(hook(of))?;
    let number = exchange.view.serial;
    let home = match home_of(&loaded, seat, &exchange.view) {
        Some(home) => home,
        None => match Box::pin(Live::make_async(&loaded.compiled, &loaded.shared)).await {
            Ok(live) => new_home(&loaded, seat, &exchange.view, live),
            Err(failure) => return Err(loaded.not_made(hook(of), pass, failure)),
        },
    };
    let answer = ask_waiting(&loaded, &home, pass, of, number, Question::Open(exchange)).await?;
    Ok(bound(&loaded, home, of, number, &answer))
}

/// The home that there is for a body.
fn home_of(loaded: &Loaded, seat: usize, view: &View) -> Option<Arc<Home>> {
    match loaded.isolated {
        None => loaded.body_homes.find(seat),
        Some(isolated) => isolated.find(view),
    }
}

fn new_home(loaded: &Loaded, seat: usize, view: &View, live: Box<Live>) -> Arc<Home> {
    if let Some(isolated) = loaded.isolated {
        return isolated.settle(view, live);
    }
    let home = Home::new(live);
    loaded.body_homes.add(seat, &home);
    home
}

fn bound(loaded: &Arc<Loaded>, home: Arc<Home>, of: BodyOf, number: u64, answer: &Answer) -> OpenedBody {
    let Answer::Open(Some(wish)) = answer else { return None };
    home.enter();
    Some(Box::new(Bound { loaded: Arc::clone(loaded), home, of, number, wish: *wish }))
}

fn ask_now(
    loaded: &Loaded,
    home: &Arc<Home>,
    pass: Pass<'_>,
    of: BodyOf,
    number: u64,
    question: Question,
) -> Result<Answer, HookFailure> {
    let answer = home.with(|live| judged(live, |live| live.ask_body(of, number, question)));
    loaded.finished(hook(of), home, pass, answer)
}

async fn ask_waiting(
    loaded: &Loaded,
    home: &Arc<Home>,
    pass: Pass<'_>,
    of: BodyOf,
    number: u64,
    question: Question,
) -> Result<Answer, HookFailure> {
    let answer: Option<Judged<Answer>> = {
        let _turn = home.turn.acquire().await;
        let mut held = Held::take(home);
        let answer = match held.live() {
            Some(live) => {
                let answer = live.ask_body_async(of, number, question).await;
                Some(judged(live, |_| answer))
            }
            None => None,
        };
        held.give_back(answer.as_ref().is_some_and(Result::is_ok));
        answer
    };
    loaded.finished(hook(of), home, pass, answer)
}

async fn ask_later(
    loaded: Arc<Loaded>,
    home: Arc<Home>,
    of: BodyOf,
    number: u64,
    question: Question,
) -> Result<Answer, HookFailure> {
    ask_waiting(&loaded, &home, loaded.guard.free(), of, number, question).await
}

async fn close_later(loaded: Arc<Loaded>, home: Arc<Home>, of: BodyOf, number: u64) {
    // It was logged and counted; there is no body any more to do anything about.
    let _failed = ask_later(loaded, Arc::clone(&home), of, number, Question::Close).await;
    home.leave(number);
}

impl Bound {
    /// Ask, in whichever lane, and take the answer that fits the question.
    fn ask<T: Send + 'static>(&self, question: Question, take: fn(Answer) -> Option<T>) -> Call<T> {
        let Self { loaded, home, of, number, .. } = self;
        let seat = loaded.count(hook(*of));
        match loaded.shared.lane {
            Lane::Sync => {
                let since = Reading::now();
                let answer = ask_now(loaded, home, loaded.guard.free(), *of, *number, question);
                loaded.shared.numbers.worked(seat, since);
                Call::Ready(answer.and_then(|answer| take(answer).ok_or_else(|| no_answer(loaded, *of))))
            }
            Lane::Fiber => {
                let (loaded, of) = (Arc::clone(loaded), *of);
                let asking = loaded.later(ask_later(Arc::clone(&loaded), Arc::clone(home), of, *number, question));
                // A task of its own: a client that leaves must not break the call off, and with it
                // the instance that other exchanges are in.
                let asking = tokio::spawn(asking.answer());
                Call::Later(Box::pin(async move {
                    let answer = asking.await.unwrap_or_else(|_stopped| Err(no_answer(&loaded, of)))?;
                    take(answer).ok_or_else(|| no_answer(&loaded, of))
                }))
            }
        }
    }
}

/// No answer to this question: the worker is stopping. (Each question has its own answer.)
#[cold]
fn no_answer(loaded: &Loaded, of: BodyOf) -> HookFailure {
    loaded.hook_failure(hook(of), HookFailureKind::BadAnswer, String::new())
}

impl BodySession for Bound {
    fn plugin(&self) -> &str {
        &self.loaded.shared.name
    }

    fn on_failure(&self) -> OnFailure {
        self.loaded.on_failure
    }

    fn wish(&self) -> BodyWish {
        self.wish
    }

    fn on_body(&mut self, body: WholeBody) -> Call<Result<BodyChanges, LocalReply>> {
        self.ask(Question::Body(body), |answer| if let Answer::Body(answer) = answer { Some(answer) } else { None })
    }

    fn on_chunk(&mut self, data: Bytes) -> Call<ChunkVerdict> {
        self.ask(Question::Chunk(data), |answer| if let Answer::Chunk(answer) = answer { Some(answer) } else { None })
    }

    fn on_end(&mut self, trailers: &Fields) -> Call<EndVerdict> {
        let question = Question::End(calls::trailers(trailers));
        self.ask(question, |answer| if let Answer::End(answer) = answer { Some(answer) } else { None })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let Self { loaded, home, of, number, .. } = self;
        if home.has_failed() {
            return home.leave(*number);
        }
        match loaded.shared.lane {
            Lane::Sync => {
                let _failed = ask_now(loaded, home, loaded.guard.free(), *of, *number, Question::Close);
                home.leave(*number);
            }
            // Outside a worker (the last drops of a stopped server) there is nowhere to run it.
            Lane::Fiber => match tokio::runtime::Handle::try_current() {
                Ok(worker) => {
                    worker.spawn(close_later(Arc::clone(loaded), Arc::clone(home), *of, *number));
                }
                Err(_stopped) => home.leave(*number),
            },
        }
    }
}
