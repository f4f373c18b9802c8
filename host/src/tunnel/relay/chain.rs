//! The plugins of a tunnel, asked one after the other.
//!
//! Most messages pass all of them without a wait: [`Chain::ask`] is that path, and it keeps
//! nothing. Whatever else happens becomes a [`Task`], which owns its messages: one that was
//! replaced, those that plugins send of their own, and one whose plugin has to wait.

use std::task::{Context, Poll, Waker};

use super::inlet::Wanted;
pub(super) use super::task::{Came, Outcome, Sent};
use super::task::{Item, Reopened, Task, Waits};
use super::text;
use crate::hook::{Call, Content, HookFailure, Judgement, Message, OnFailure, Session, SessionState, Sessions, Way};
use crate::observe::{Decision, MessageCounts};

/// Messages that plugins may send of their own because of one that came, all together.
const MOST_OWN: usize = 64;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) way: Way,
    pub(super) content: Content,
    /// Its payload, inflated; a part of it where `length` is none.
    pub(super) data: &'a [u8],
    pub(super) length: Option<u64>,
    /// Its payload as it came, where that was compressed.
    pub(super) packed: Option<&'a [u8]>,
}

/// The plugins of one tunnel.
pub(super) struct Chain {
    /// In their order; none where one does not look any more.
    sessions: Vec<Option<Box<dyn Session>>>,
    task: Option<Task>,
    counts: MessageCounts,
    waker: Option<Waker>,
    /// Whether what is wanted may have changed.
    pub(super) has_changed: bool,
}

/// What became of a message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It goes on as it is.
    Pass,
    /// There is a task.
    Task,
}

impl Chain {
    pub(super) fn new(sessions: Sessions, counts: MessageCounts) -> Self {
        let sessions = sessions.into_iter().map(Some).collect();
        Self { sessions, task: None, counts, waker: None, has_changed: true }
    }

    /// What is to be collected of the messages of one way.
    pub(super) fn wanted(&self, way: Way, needs_all: bool) -> Wanted {
        let most = |content| {
            let subscriptions = self.sessions.iter().flatten().map(|session| session.subscription());
            let wanted = subscriptions.filter(|subscription| subscription.interest.has(way, content));
            wanted.map(|subscription| subscription.first.unwrap_or(usize::MAX)).max()
        };
        let (text, binary) = (most(Content::Text), most(Content::Binary));
        Wanted { text, binary, compressed: needs_all && (text.is_some() || binary.is_some()) }
    }

    /// Whether a task is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.task.is_some()
    }

    /// The waker of the tunnel's task, which is the same all its life: to be woken where an
    /// instance fails.
    pub(super) fn listen(&mut self, waker: &Waker) {
        for session in self.sessions.iter_mut().flatten() {
            session.wake_when_failed(waker);
        }
        self.waker = Some(waker.clone());
    }

    /// Whether a plugin that fails closed has lost what it knew of the tunnel.
    pub(super) fn is_lost(&self) -> bool {
        self.sessions
            .iter()
            .flatten()
            .any(|session| session.state() == SessionState::Failed && session.on_failure() == OnFailure::Closed)
    }

    /// The place of the plugin that is asked as `n`th.
    fn place(&self, way: Way, n: usize) -> usize {
        match way {
            Way::Up => n,
            Way::Down => self.sessions.len().saturating_sub(n + 1),
        }
    }

    /// Ask about a message.
    pub(super) fn ask(&mut self, arrived: &Arrived<'_>) -> Asked {
        for n in 0..self.sessions.len() {
            let place = self.place(arrived.way, n);
            let Some(Some(session)) = self.sessions.get_mut(place) else { continue };
            let subscription = session.subscription();
            if session.state() != SessionState::Good {
                self.begin(arrived, n);
                return Asked::Task;
            }
            if !subscription.interest.has(arrived.way, arrived.content) {
                continue;
            }
            let data = shown(arrived.data, arrived.content, subscription.first);
            let message = Message { way: arrived.way, content: arrived.content, length: arrived.length, data };
            match session.on_message(&message) {
                Call::Ready(Ok(Judgement::Pass)) => {}
                answer => {
                    let task = self.begin(arrived, n);
                    // What was answered is looked at as if it had been waited for.
                    task.call = Some(Waits::Judgement(match answer {
                        Call::Later(later) => later,
                        Call::Ready(ready) => Box::pin(std::future::ready(ready)),
                    }));
                    return Asked::Task;
                }
            }
        }
        self.counts.decided(arrived.way, Decision::Pass, arrived.data.len());
        Asked::Pass
    }

    fn begin(&mut self, arrived: &Arrived<'_>, passed: usize) -> &mut Task {
        let Arrived { way, content, data, length, packed } = *arrived;
        let item = Item { way, content, data: data.to_vec(), length, passed, came: true, changed: false };
        self.task.insert(Task {
            is_packed: packed.is_some(),
            packed: packed.unwrap_or_default().to_vec(),
            is_part: length.is_none(),
            stack: vec![item],
            call: None,
            own: 0,
        })
    }

    /// Go on with the task; none once it is done.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        loop {
            let Some(task) = &mut self.task else { return Poll::Ready(None) };
            if let Some(waits) = &mut task.call {
                let outcome = match waits {
                    Waits::Judgement(answer) => {
                        let Poll::Ready(answer) = answer.as_mut().poll(cx) else { return Poll::Pending };
                        task.call = None;
                        self.judged(answer)
                    }
                    Waits::Reopened(answer) => {
                        let Poll::Ready(answer) = answer.as_mut().poll(cx) else { return Poll::Pending };
                        task.call = None;
                        self.reopened(answer)
                    }
                };
                match outcome {
                    Some(outcome) => return Poll::Ready(Some(outcome)),
                    None => continue,
                }
            }
            let Some(item) = task.stack.last() else {
                self.task = None;
                return Poll::Ready(None);
            };
            if item.passed >= self.sessions.len() {
                return Poll::Ready(self.through());
            }
            self.next();
        }
    }

    /// Ask the next plugin about the last item.
    fn next(&mut self) {
        let Some(item) = self.task.as_mut().and_then(|task| task.stack.last_mut()) else { return };
        let place = match item.way {
            Way::Up => item.passed,
            Way::Down => self.sessions.len().saturating_sub(item.passed + 1),
        };
        let Some(Some(session)) = self.sessions.get_mut(place) else {
            item.passed += 1;
            return;
        };
        let subscription = session.subscription();
        let waits = if session.state() == SessionState::Good {
            if !subscription.interest.has(item.way, item.content) {
                item.passed += 1;
                return;
            }
            let data = shown(&item.data, item.content, subscription.first);
            let message = Message { way: item.way, content: item.content, length: item.length, data };
            match session.on_message(&message) {
                Call::Later(later) => Waits::Judgement(later),
                Call::Ready(ready) => Waits::Judgement(Box::pin(std::future::ready(ready))),
            }
        } else {
            match session.reopen() {
                Call::Later(later) => Waits::Reopened(later),
                Call::Ready(ready) => Waits::Reopened(Box::pin(std::future::ready(ready))),
            }
        };
        if let Some(task) = &mut self.task {
            task.call = Some(waits);
        }
    }

    /// A plugin was opened anew: the message is asked about again. One that failed in this, too,
    /// does not look any more, where it fails open.
    fn reopened(&mut self, answer: Result<Reopened, HookFailure>) -> Option<Outcome> {
        let item = self.task.as_ref().and_then(|task| task.stack.last())?;
        let place = self.place(item.way, item.passed);
        let slot = self.sessions.get_mut(place)?;
        let closes = slot.as_ref().is_some_and(|session| session.on_failure() == OnFailure::Closed);
        self.has_changed = true;
        match answer {
            Ok(mut session) => {
                if let (Some(session), Some(waker)) = (&mut session, &self.waker) {
                    session.wake_when_failed(waker);
                }
                *slot = session;
                None
            }
            Err(_failed) if closes => Some(Outcome::Failed),
            Err(_failed) => {
                *slot = None;
                None
            }
        }
    }

    /// A plugin has answered about the last item.
    fn judged(&mut self, answer: Result<Judgement, HookFailure>) -> Option<Outcome> {
        let sessions = self.sessions.len();
        let task = self.task.as_mut()?;
        let item = task.stack.last_mut()?;
        let (way, n, size) = (item.way, item.passed, item.data.len());
        let place = match way {
            Way::Up => n,
            Way::Down => sessions.saturating_sub(n + 1),
        };
        item.passed += 1;
        let judgement = match answer {
            Ok(judgement) => judgement,
            Err(_failed) => {
                let session = self.sessions.get(place).and_then(Option::as_ref);
                let closes = session.is_some_and(|session| session.on_failure() == OnFailure::Closed);
                // It was logged where it happened. Where it fails open the message passes it.
                return closes.then_some(Outcome::Failed);
            }
        };
        match judgement {
            Judgement::Pass => None,
            Judgement::Replace(data) => {
                self.counts.decided(way, Decision::Replace, size);
                item.length = u64::try_from(data.len()).ok();
                item.data = data;
                item.changed = true;
                None
            }
            Judgement::Drop => {
                self.counts.decided(way, Decision::Drop, size);
                let came = task.stack.pop().is_some_and(|item| item.came);
                came.then(|| Outcome::Dropped(way, task.came()))
            }
            Judgement::Inject { messages, pass } => {
                self.counts.decided(way, Decision::Inject, size);
                task.own += messages.len();
                if task.own > MOST_OWN {
                    tracing::error!(plugins = sessions, most = MOST_OWN, "plugins sent too many messages of their own");
                    return Some(Outcome::Failed);
                }
                let came = if pass { false } else { task.stack.pop().is_some_and(|item| item.came) };
                let own = messages.into_iter().rev().map(|own| Item {
                    passed: match own.way {
                        Way::Up => place + 1,
                        Way::Down => sessions.saturating_sub(place),
                    },
                    way: own.way,
                    content: own.content,
                    length: u64::try_from(own.data.len()).ok(),
                    data: own.data,
                    came: false,
                    changed: true,
                });
                task.stack.extend(own);
                came.then(|| Outcome::Dropped(way, task.came()))
            }
            Judgement::Close(closing) => {
                self.counts.decided(way, Decision::Close, size);
                Some(Outcome::Close(closing))
            }
        }
    }

    /// The last item has passed all plugins.
    fn through(&mut self) -> Option<Outcome> {
        let task = self.task.as_mut()?;
        let Item { way, content, data, came, changed, .. } = task.stack.pop()?;
        if came && !changed {
            self.counts.decided(way, Decision::Pass, data.len());
        }
        let came = came.then(|| task.came());
        Some(Outcome::Send(Sent { way, content, data, came, changed }))
    }

    /// What was counted since the last time goes to where it is shown.
    pub(super) fn report(&mut self) {
        self.counts.report();
    }

    /// The tunnel is over: a call that is under way is let end, since its instance has other
    /// tunnels, too.
    pub(super) fn let_go(&mut self) {
        if let Some(Waits::Judgement(answer)) = self.task.take().and_then(|task| task.call)
            && let Ok(worker) = tokio::runtime::Handle::try_current()
        {
            worker.spawn(async move {
                let _nobody_waits = answer.await;
            });
        }
        self.report();
    }
}

/// As much of a message as a plugin asked for.
fn shown(data: &[u8], content: Content, first: Option<usize>) -> &[u8] {
    match (first, content) {
        (None, _) => data,
        (Some(first), Content::Text) => text::cut(data, first),
        (Some(first), Content::Binary) => data.get(..first).unwrap_or(data),
    }
}
