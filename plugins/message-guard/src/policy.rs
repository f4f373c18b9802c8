//! What becomes of a message: pure logic.

use std::time::Duration;

use regex_lite::{NoExpand, Regex};
use serde::de::IgnoredAny;
use tidegate_plugin::ConfigError;

use crate::bucket::{Bucket, Pace};
use crate::config::{Action, Check, Checks, Kind, Rate};
use crate::schema::Schema;

/// What a close frame has room for beside its code (RFC 6455 §5.5).
const LONGEST_REASON: usize = 123;

/// Bytes that a text may be shown short of what was asked for: it is cut between characters.
const CUT: u32 = 3;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// Text, or else binary.
    pub text: bool,
    /// Its length; none where it has not come whole, and is longer than was asked for.
    pub length: Option<u64>,
    /// As much of it as [`Policy::first`] asks for.
    pub data: &'a [u8],
}

/// What becomes of a message that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It does not go on.
    Drop,
    /// The tunnel ends.
    Close {
        /// The code for both sides.
        code: u16,
        /// Why.
        reason: String,
    },
    /// This goes on in its place.
    Replace(String),
}

/// What is known of one way of a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct State {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// The checks of one way, ready to be made.
#[derive(Debug)]
pub struct Policy {
    kinds: Option<Vec<Kind>>,
    max_size: Option<u32>,
    messages: Option<Pace>,
    bytes: Option<Pace>,
    json: bool,
    schema: Option<Schema>,
    deny: Vec<Regex>,
    actions: Vec<(Check, Action)>,
}

impl Policy {
    /// Check and prepare a configuration that stands at this JSON pointer.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(pointer: &str, checks: Checks) -> Result<Self, ConfigError> {
        let at = |key: &str, what: &str| ConfigError::new(format!("{pointer}/{key}"), what);
        if checks.kinds.as_ref().is_some_and(Vec::is_empty) {
            return Err(at("kinds", "an empty list would let nothing through"));
        }
        let rate = checks.rate.unwrap_or_default();
        let (messages, bytes) = (messages(&rate, &at)?, bytes(&rate, &at)?);
        let mut deny = Vec::with_capacity(checks.deny.len());
        for (index, pattern) in checks.deny.iter().enumerate() {
            deny.push(Regex::new(pattern).map_err(|error| at(&format!("deny/{index}"), &error.to_string()))?);
        }
        let schema = match &checks.schema {
            Some(schema) => {
                let schema = Schema::new(schema);
                Some(schema.map_err(|(path, what)| ConfigError::new(format!("{pointer}/schema{path}"), what))?)
            }
            None => None,
        };
        let mut policy = Self {
            kinds: checks.kinds,
            max_size: checks.max_size,
            messages,
            bytes,
            json: checks.json,
            schema,
            deny,
            actions: Vec::new(),
        };
        if policy.checks().next().is_none() {
            return Err(ConfigError::new(pointer, "it checks nothing"));
        }
        for check in Check::ALL {
            let said = check.action(&checks.actions);
            let key = format!("actions/{}", check.name());
            if let Some(action) = said {
                check_action(action, check).map_err(|(part, what)| at(&format!("{key}{part}"), what))?;
                if !policy.has(check) {
                    return Err(at(&key, "there is no such check here"));
                }
            }
            if policy.has(check) {
                policy.actions.push((check, said.cloned().unwrap_or_else(|| check.usual())));
            }
        }
        Ok(policy)
    }

    fn has(&self, check: Check) -> bool {
        match check {
            Check::Kind => self.kinds.is_some(),
            Check::Size => self.max_size.is_some(),
            Check::Rate => self.has_rate(),
            Check::Json => self.json || self.schema.is_some(),
            Check::Schema => self.schema.is_some(),
            Check::Deny => !self.deny.is_empty(),
        }
    }

    /// The checks that are made.
    pub fn checks(&self) -> impl Iterator<Item = Check> {
        Check::ALL.into_iter().filter(|check| self.has(*check))
    }

    /// Whether messages are counted.
    pub fn has_rate(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }

    /// The bytes of a message that have to be seen; none for all.
    pub fn first(&self) -> Option<u32> {
        let looks_inside = self.json || self.schema.is_some() || !self.deny.is_empty() || self.bytes.is_some();
        match (looks_inside, self.max_size) {
            (true, _) => None,
            // As soon as there is more, it is too large.
            (false, Some(most)) => most.checked_add(1 + CUT),
            (false, None) => Some(0),
        }
    }

    /// What is known of a tunnel that opens.
    pub fn opened(&self) -> State {
        State { messages: self.messages.map(Bucket::full), bytes: self.bytes.map(Bucket::full) }
    }

    /// Which check refuses a message, and what becomes of it; none where it passes. `now` is asked
    /// only where there is a rate.
    pub fn judge(
        &self,
        state: Option<&mut State>,
        message: &Arrived<'_>,
        now: impl FnOnce() -> Duration,
    ) -> Option<(Check, Answer)> {
        let kind = if message.text { Kind::Text } else { Kind::Binary };
        if self.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&kind)) {
            return Some(self.answer(Check::Kind));
        }
        // Of one that has not come whole there is more than was asked for.
        let is_larger = |most: u32| message.length.is_none_or(|length| length > u64::from(most));
        if self.max_size.is_some_and(is_larger) {
            return Some(self.answer(Check::Size));
        }
        if self.has_rate() && !state.is_none_or(|state| self.may_come(state, message.data.len(), now())) {
            return Some(self.answer(Check::Rate));
        }
        self.look_inside(message.data)
    }

    fn may_come(&self, state: &mut State, size: usize, now: Duration) -> bool {
        let mut may = true;
        if let (Some(pace), Some(bucket)) = (self.messages, &mut state.messages) {
            bucket.fill(pace, now);
            may &= bucket.has(1.0);
        }
        if let (Some(pace), Some(bucket)) = (self.bytes, &mut state.bytes) {
            bucket.fill(pace, now);
            // A message larger than what is there passes too, and those after it wait for it.
            may &= bucket.has_any();
        }
        if may {
            state.messages.iter_mut().for_each(|bucket| bucket.take(1.0));
            state.bytes.iter_mut().for_each(|bucket| bucket.take(size as f64));
        }
        may
    }

    fn look_inside(&self, data: &[u8]) -> Option<(Check, Answer)> {
        if self.has(Check::Json) {
            let Ok(text) = std::str::from_utf8(data) else { return Some(self.answer(Check::Json)) };
            match &self.schema {
                Some(schema) => {
                    let Ok(value) = serde_json::from_str(text) else { return Some(self.answer(Check::Json)) };
                    if !schema.is_satisfied_by(&value) {
                        return Some(self.answer(Check::Schema));
                    }
                }
                None if serde_json::from_str::<IgnoredAny>(text).is_err() => return Some(self.answer(Check::Json)),
                None => {}
            }
        }
        if self.deny.is_empty() {
            return None;
        }
        // What is sent as binary is no way around it.
        let text = String::from_utf8_lossy(data);
        if !self.deny.iter().any(|pattern| pattern.is_match(&text)) {
            return None;
        }
        let is_whole = matches!(text, std::borrow::Cow::Borrowed(_));
        match self.action(Check::Deny) {
            Some(Action::Mask(mask)) if is_whole => {
                let masked = self
                    .deny
                    .iter()
                    .fold(text.into_owned(), |text, pattern| pattern.replace_all(&text, NoExpand(mask)).into_owned());
                Some((Check::Deny, Answer::Replace(masked)))
            }
            _ => Some(self.answer(Check::Deny)),
        }
    }

    fn action(&self, check: Check) -> Option<&Action> {
        self.actions.iter().find(|(other, _)| *other == check).map(|(_, action)| action)
    }

    fn answer(&self, check: Check) -> (Check, Answer) {
        let answer = match self.action(check) {
            Some(Action::Close { code, reason }) => Answer::Close { code: *code, reason: reason.clone() },
            Some(Action::Replace(text)) => Answer::Replace(text.clone()),
            // What cannot be masked, since it is no text, does not go on.
            Some(Action::Drop | Action::Mask(_)) | None => Answer::Drop,
        };
        (check, answer)
    }
}

fn messages(rate: &Rate, at: &dyn Fn(&str, &str) -> ConfigError) -> Result<Option<Pace>, ConfigError> {
    match (rate.messages, rate.burst) {
        (None, Some(_)) => Err(at("rate/burst", "goes with `messages`")),
        (None, None) => Ok(None),
        (Some(per_second), burst) => {
            let burst = burst.unwrap_or(per_second.ceil().max(1.0));
            if !(1.0..=1e12).contains(&burst) {
                return Err(at("rate/burst", "must be 1 or more"));
            }
            pace(per_second, burst).ok_or_else(|| at("rate/messages", "must be above 0")).map(Some)
        }
    }
}

fn bytes(rate: &Rate, at: &dyn Fn(&str, &str) -> ConfigError) -> Result<Option<Pace>, ConfigError> {
    match (rate.bytes, rate.burst_bytes) {
        (None, Some(_)) => Err(at("rate/burst_bytes", "goes with `bytes`")),
        (None, None) => Ok(None),
        (Some(per_second), burst) => {
            let burst = burst.unwrap_or(per_second);
            if !(burst > 0.0 && burst <= 1e15) {
                return Err(at("rate/burst_bytes", "must be above 0"));
            }
            pace(per_second, burst).ok_or_else(|| at("rate/bytes", "must be above 0")).map(Some)
        }
    }
}

fn pace(per_second: f64, burst: f64) -> Option<Pace> {
    (per_second > 0.0 && per_second <= 1e15).then_some(Pace { per_second, burst })
}

/// What is wrong with an action, and with which part of it.
fn check_action(action: &Action, check: Check) -> Result<(), (&'static str, &'static str)> {
    match action {
        Action::Close { code, reason } => {
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(("/close/code", "is no code of a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999"));
            }
            if reason.len() > LONGEST_REASON {
                return Err(("/close/reason", "has more than 123 bytes"));
            }
            Ok(())
        }
        Action::Mask(_) if check != Check::Deny => Err(("/mask", "is for `deny`, whose matches it takes the place of")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
