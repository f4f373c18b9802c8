//! What a grant binds a tunnel to, and how long it lasts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, Sleep, sleep_until};

use super::End;
use super::labels::Bound;
use super::registry::Control;
use crate::hook::{AccessTerms, Closing, HookFailure, OnFailure, Plugin, Verdict, View};
use crate::observe::{AccessTally, Record};

/// A tunnel is looked at so often at least: the system's clock, by which grants end, may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The grain of the worker's timers.
const GRAIN: Duration = Duration::from_millis(1);
/// Who is asked again and fails is asked once more after half of the time that is left, if that is
/// as long as this.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// What a tunnel's grants bind it to.
pub struct Access {
    bound: Bound,
    parts: Vec<Part>,
    /// What holds by all of them.
    terms: AccessTerms,
    /// How early who granted is asked again; none where nobody is.
    before: Option<Duration>,
    /// The code of the close frame.
    close_code: u16,
    /// Whether it speaks WebSocket.
    is_framed: bool,
    tally: Arc<AccessTally>,
}

/// One grant.
struct Part {
    terms: AccessTerms,
    renewal: Option<Renewal>,
}

/// Who is asked for a grant again, and about what.
#[derive(Clone)]
pub struct Renewal {
    /// Who granted.
    pub plugin: Arc<dyn Plugin>,
    /// The request as it was then, marked as a renewal.
    pub view: Arc<View>,
}

impl Access {
    /// Nothing is granted yet. `before` is how early who granted is asked again, `close_code` what a
    /// tunnel of WebSocket (`is_framed`) ends with.
    pub fn new(
        bound: Bound,
        before: Option<Duration>,
        close_code: u16,
        is_framed: bool,
        tally: Arc<AccessTally>,
    ) -> Self {
        Self { bound, parts: Vec::new(), terms: AccessTerms::default(), before, close_code, is_framed, tally }
    }

    /// One more grant. `since` is [`super::Registry::revocations`] from before it was asked for.
    pub fn grant(&mut self, terms: AccessTerms, renewal: Option<Renewal>, since: u64) {
        self.parts.push(Part { terms, renewal });
        self.settle(since);
    }

    /// Whether it was revoked.
    pub fn is_revoked(&self) -> bool {
        self.bound.is_revoked()
    }

    /// What holds by all grants.
    pub fn terms(&self) -> &AccessTerms {
        &self.terms
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        self.bound.control()
    }

    /// Whether frames have to be followed, and how long messages may be.
    pub(super) fn follows(&self) -> Option<Option<u64>> {
        self.is_framed.then_some(self.terms.max_message)
    }

    fn settle(&mut self, since: u64) {
        self.terms = AccessTerms::default();
        for part in &self.parts {
            self.terms.join(&part.terms);
        }
        self.bound.to(&self.terms, since);
    }
}

/// The values of `$grant_subject`, `$grant_tags` and `$grant_expires`.
pub fn variables(terms: &AccessTerms) -> [(&'static str, String); 3] {
    let since_1970 = terms.expires.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    [
        ("grant_subject", terms.subject.clone().unwrap_or_default()),
        ("grant_tags", terms.tags.join(",")),
        ("grant_expires", since_1970.map(|time| time.as_secs().to_string()).unwrap_or_default()),
    ]
}

/// What is to be done about a tunnel now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// It is over.
    End,
    /// Who granted is to be asked again.
    Ask,
    /// Nothing, for so long.
    Wait(Duration),
}

/// `open` is how long the tunnel has been open.
fn plan(now: SystemTime, open: Duration, terms: &AccessTerms, ask_at: Option<SystemTime>) -> Plan {
    let left = |at: SystemTime| at.duration_since(now).unwrap_or_default();
    let ends = terms.expires.map(left).into_iter().chain(terms.lifetime.map(|most| most.saturating_sub(open)));
    let end = ends.min().unwrap_or(LONGEST_WAIT);
    if end.is_zero() {
        return Plan::End;
    }
    match ask_at.map(left) {
        Some(ask) if ask.is_zero() => Plan::Ask,
        Some(ask) => Plan::Wait(ask.min(end).min(LONGEST_WAIT)),
        None => Plan::Wait(end.min(LONGEST_WAIT)),
    }
}

/// When who granted until `expires` is asked again: so long before, or after half of the time that
/// is left where that is not as long.
fn first_ask(now: SystemTime, expires: SystemTime, before: Duration) -> Option<SystemTime> {
    let left = expires.duration_since(now).ok()?;
    now.checked_add(left.checked_sub(before).unwrap_or(left / 2))
}

/// When who failed is asked once more.
fn next_ask(now: SystemTime, expires: SystemTime) -> Option<SystemTime> {
    let wait = expires.duration_since(now).ok()? / 2;
    if wait < SHORTEST_RETRY { None } else { now.checked_add(wait) }
}

/// What those answer that are asked again, by the numbers of their grants.
type Answers = Vec<(usize, Result<Verdict, HookFailure>)>;

/// Watches over a tunnel's grants while it is open.
pub(super) struct Watch {
    access: Box<Access>,
    opened: Instant,
    timer: Pin<Box<Sleep>>,
    ask_at: Option<SystemTime>,
    asking: Option<Asking>,
    listens: bool,
}

struct Asking {
    /// Revocations before.
    since: u64,
    answers: Pin<Box<dyn Future<Output = Answers> + Send>>,
}

impl Watch {
    /// The tunnel has opened.
    pub(super) fn new(access: Box<Access>) -> Self {
        let opened = Instant::now();
        let mut watch =
            Self { access, opened, timer: Box::pin(sleep_until(opened)), ask_at: None, asking: None, listens: false };
        watch.ask_at = watch.renewable().and_then(|(expires, before)| first_ask(SystemTime::now(), expires, before));
        watch
    }

    /// The end of the grants, and how early they are asked for again; none where they are not.
    fn renewable(&self) -> Option<(SystemTime, Duration)> {
        let Access { terms, before, parts, .. } = &*self.access;
        let anybody = parts.iter().any(|part| part.terms.expires.is_some() && part.renewal.is_some());
        terms.expires.zip(before.filter(|_| anybody))
    }

    /// Why the tunnel is to end now, and what it is to say. Looks at nothing but a flag until the
    /// timer has fired or an answer is waited for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, record: &mut Option<Box<Record>>) -> Option<(End, Closing)> {
        let mut look = !std::mem::replace(&mut self.listens, true);
        loop {
            if let Some(asking) = &mut self.asking
                && let Poll::Ready(answers) = asking.answers.as_mut().poll(cx)
            {
                let since = asking.since;
                self.asking = None;
                if !self.heard(answers, since, record) {
                    return Some(self.end(End::Denied));
                }
                look = true;
            }
            if !look && (!self.timer.is_elapsed() || self.timer.as_mut().poll(cx).is_pending()) {
                return None;
            }
            match plan(SystemTime::now(), self.opened.elapsed(), &self.access.terms, self.ask_at) {
                Plan::End => return Some(self.end(End::Expired)),
                Plan::Wait(time) => {
                    self.timer.as_mut().reset(Instant::now() + time + GRAIN);
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return None;
                    }
                }
                Plan::Ask => {
                    self.ask_at = None;
                    self.asking = Some(self.ask());
                }
            }
            look = true;
        }
    }

    /// The tunnel ends for this reason, which is counted.
    pub(super) fn ended(&self, end: End) {
        match end {
            End::Expired => self.access.tally.expired.add(1),
            End::Revoked => self.access.tally.revoked.add(1),
            End::Denied => self.access.tally.denied.add(1),
            _ => {}
        }
    }

    fn end(&self, end: End) -> (End, Closing) {
        let reason = if end == End::Expired { "access expired" } else { "access refused" };
        (end, Closing { code: self.access.close_code, reason: reason.to_owned() })
    }

    /// Ask all that granted until a certain time.
    fn ask(&self) -> Asking {
        let part = |(number, part): (usize, &Part)| {
            let renewal = part.renewal.clone().filter(|_| part.terms.expires.is_some())?;
            Some((number, renewal))
        };
        let asked: Vec<_> = self.access.parts.iter().enumerate().filter_map(part).collect();
        let answers = async move {
            let mut answers = Vec::with_capacity(asked.len());
            for (number, Renewal { plugin, view }) in asked {
                answers.push((number, plugin.authorize(&view).answer().await));
            }
            answers
        };
        Asking { since: self.access.bound.revocations(), answers: Box::pin(answers) }
    }

    /// Take the answers over; false where one refuses.
    fn heard(&mut self, answers: Answers, since: u64, record: &mut Option<Box<Record>>) -> bool {
        let now = SystemTime::now();
        let before = self.access.before.unwrap_or_default();
        let mut failed = false;
        for (number, answer) in answers {
            let Some(part) = self.access.parts.get_mut(number) else { continue };
            match answer {
                Ok(Verdict::Grant(grant)) => part.terms = grant.terms.map(|terms| *terms).unwrap_or_default(),
                Ok(Verdict::Deny(_) | Verdict::Next) => return false,
                // The failure was logged and counted where it happened.
                Err(_failure) => {
                    self.access.tally.failed.add(1);
                    failed = true;
                    let opens = part.renewal.as_ref().is_some_and(|r| r.plugin.on_failure() == OnFailure::Open);
                    if opens {
                        // As if it had no objection: for as long again as it is asked early.
                        part.terms.expires = part.terms.expires.max(now.checked_add(before.max(SHORTEST_RETRY) * 2));
                    }
                }
            }
        }
        self.access.settle(since);
        self.ask_at = match self.renewable() {
            Some((expires, _)) if failed => next_ask(now, expires),
            // Not all the time, whatever it grants.
            Some((expires, before)) => first_ask(now, expires, before).max(now.checked_add(SHORTEST_RETRY)),
            None => None,
        };
        if !failed {
            self.access.tally.renewed.add(1);
        }
        if let Some(log) = record.as_mut().and_then(|record| record.log.as_mut()) {
            variables(&self.access.terms).iter().for_each(|(name, value)| log.set(name, value));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_of_what_is_to_come_is_waited_for() {
        let seconds = Duration::from_secs;
        let none = AccessTerms::default();
        let expires = AccessTerms { expires: Some(at(60)), ..none.clone() };
        let both = AccessTerms { lifetime: Some(seconds(50)), ..expires.clone() };
        let wait = |time| Plan::Wait(seconds(time));
        for (now, open, terms, ask, wanted) in [
            (0, 0, &none, None, Plan::Wait(LONGEST_WAIT)),
            (0, 0, &expires, None, wait(60)),
            (0, 0, &expires, Some(at(30)), wait(30)),
            (30, 0, &expires, Some(at(30)), Plan::Ask),
            (60, 0, &expires, Some(at(30)), Plan::End),
            (61, 0, &expires, None, Plan::End),
            (0, 20, &both, None, wait(30)),
            (0, 50, &both, Some(at(0)), Plan::End),
            (0, 10, &both, Some(at(45)), wait(40)),
        ] {
            assert_eq!(plan(at(now), seconds(open), terms, ask), wanted, "{now} {open} {terms:?} {ask:?}");
        }
        let far = AccessTerms { expires: Some(at(1_000_000)), ..none };
        assert_eq!(plan(NOW, Duration::ZERO, &far, None), Plan::Wait(LONGEST_WAIT));
    }

    #[test]
    fn who_granted_is_asked_again_before_the_end_and_seldom_enough() {
        assert_eq!(first_ask(NOW, at(60), Duration::from_secs(20)), Some(at(40)));
        assert_eq!(first_ask(NOW, at(10), Duration::from_secs(20)), Some(at(5)));
        assert_eq!(first_ask(at(11), at(10), Duration::from_secs(20)), None);
        assert_eq!(next_ask(NOW, at(20)), Some(at(10)));
        assert_eq!(next_ask(NOW, NOW + SHORTEST_RETRY), None);
    }

    #[test]
    fn variables_say_what_holds() {
        let terms = AccessTerms {
            subject: Some("ann".into()),
            tags: vec!["a".into(), "b".into()],
            expires: Some(at(90)),
            ..AccessTerms::default()
        };
        assert_eq!(variables(&terms).map(|(_, value)| value), ["ann", "a,b", "90"]);
        assert_eq!(variables(&AccessTerms::default()).map(|(_, value)| value), ["", "", ""]);
    }
}
