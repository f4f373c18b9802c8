//! `tidegate:plugin/kv`: keys and values that plugins keep. Linked in two ways: a plugin whose
//! stores all answer at once is called like any other, and only one with a store that makes
//! it wait goes on a fiber.

use std::time::Duration;

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::wit::kv::{Host, KvError, Raised};
use crate::hook::{self, KvOperation, KvReply, KvValue};
use crate::plugin::instance::Ctx;
use crate::plugin::load::denial;

/// The interface's name for linkers.
const INTERFACE: &str = "tidegate:plugin/kv@0.1.0";
/// The longest key, bytes.
const LONGEST_KEY: usize = 512;
/// The largest number of `raise`: what a Redis script can count to.
const LARGEST: u64 = 1 << 53;

type Answer = Result<KvValue, KvError>;
type Bytes = Result<Option<Vec<u8>>, KvError>;

impl Ctx {
    fn store(&self, name: &str) -> Result<u32, KvError> {
        let found = self.shared.kv.iter().position(|granted| &*granted.name == name);
        found.and_then(|index| u32::try_from(index).ok()).ok_or_else(|| {
            let what = denial(&self.shared.name, &format!("kv:{name}"));
            KvError::Denied(format!("no store \"{name}\": {what}"))
        })
    }

    fn ask(&self, store: u32, key: &str, operation: KvOperation) -> Result<KvReply, KvError> {
        let granted = usize::try_from(store).ok().and_then(|index| self.shared.kv.get(index));
        let Some(granted) = granted else {
            return Err(KvError::Denied(format!("{store} is the number of no store that was opened")));
        };
        if !self.configured {
            return Err(KvError::Denied("stores are for hooks, not for `configure`".to_owned()));
        }
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(KvError::Invalid(format!("a key has 1 to {LONGEST_KEY} bytes, not {}", key.len())));
        }
        if let KvOperation::Raise { floor, by, most, .. } = &operation {
            let is_large = [floor, by, most].into_iter().any(|number| number.unsigned_abs() > LARGEST);
            if is_large || *by < 0 {
                return Err(KvError::Invalid("`by` is 0 or more, and no number is above 2^53".to_owned()));
            }
        }
        let whole = [granted.prefix.as_bytes(), key.as_bytes()].concat();
        Ok(granted.store.ask(whole, operation))
    }

    /// Ask a store that answers at once.
    fn ask_now(&self, store: u32, key: &str, operation: KvOperation) -> Answer {
        match self.ask(store, key, operation)? {
            KvReply::Ready(answer) => answer.map_err(refusal),
            // Such a plugin is linked in the other way.
            KvReply::Later(_) => Err(KvError::Other("this store answers later".to_owned())),
        }
    }

    /// Ask a store that may answer later. Nothing of the instance is held meanwhile.
    fn ask_later(&self, store: u32, key: &str, operation: KvOperation) -> impl Future<Output = Answer> + Send + use<> {
        let reply = self.ask(store, key, operation);
        async move {
            match reply? {
                KvReply::Ready(answer) => answer,
                KvReply::Later(answer) => answer.await,
            }
            .map_err(refusal)
        }
    }
}

/// Link the functions of a plugin whose stores answer at once.
pub(super) fn add_ready(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    type Cx<'a> = StoreContextMut<'a, Ctx>;
    let mut kv = linker.instance(INTERFACE)?;
    kv.func_wrap("open", |mut cx: Cx<'_>, (name,): (String,)| Ok((cx.data_mut().called().store(&name),)))?;
    kv.func_wrap("get", |mut cx: Cx<'_>, (store, key): (u32, String)| {
        Ok((cx.data_mut().called().ask_now(store, &key, KvOperation::Get).and_then(bytes),))
    })?;
    kv.func_wrap("set", |mut cx: Cx<'_>, (store, key, value, ttl): (u32, String, Vec<u8>, u32)| {
        Ok((cx.data_mut().called().ask_now(store, &key, KvOperation::Set { value, ttl: time(ttl) }).map(drop),))
    })?;
    kv.func_wrap("delete", |mut cx: Cx<'_>, (store, key): (u32, String)| {
        Ok((cx.data_mut().called().ask_now(store, &key, KvOperation::Delete).and_then(|value| done(&value)),))
    })?;
    kv.func_wrap("increment", |mut cx: Cx<'_>, (store, key, by, ttl): (u32, String, i64, u32)| {
        Ok((cx
            .data_mut()
            .called()
            .ask_now(store, &key, KvOperation::Increment { by, ttl: time(ttl) })
            .and_then(|value| number(&value)),))
    })?;
    type Swap = (u32, String, Option<Vec<u8>>, Option<Vec<u8>>, u32);
    kv.func_wrap("compare-and-swap", |mut cx: Cx<'_>, (store, key, expected, new, ttl): Swap| {
        Ok((cx
            .data_mut()
            .called()
            .ask_now(store, &key, KvOperation::Swap { expected, new, ttl: time(ttl) })
            .and_then(|value| done(&value)),))
    })?;
    kv.func_wrap("raise", |mut cx: Cx<'_>, (store, key, floor, by, most, ttl): (u32, String, i64, i64, i64, u32)| {
        let operation = KvOperation::Raise { floor, by, most, ttl: time(ttl) };
        Ok((cx.data_mut().called().ask_now(store, &key, operation).and_then(|value| raised(&value)),))
    })
}

impl Host for Ctx {
    async fn open(&mut self, name: String) -> wasmtime::Result<Result<u32, KvError>> {
        Ok(self.store(&name))
    }

    async fn get(&mut self, store: u32, key: String) -> wasmtime::Result<Bytes> {
        Ok(self.ask_later(store, &key, KvOperation::Get).await.and_then(bytes))
    }

    async fn set(
        &mut self,
        store: u32,
        key: String,
        value: Vec<u8>,
        ttl: u32,
    ) -> wasmtime::Result<Result<(), KvError>> {
        Ok(self.ask_later(store, &key, KvOperation::Set { value, ttl: time(ttl) }).await.map(drop))
    }

    async fn delete(&mut self, store: u32, key: String) -> wasmtime::Result<Result<bool, KvError>> {
        Ok(self.ask_later(store, &key, KvOperation::Delete).await.and_then(|value| done(&value)))
    }

    async fn increment(
        &mut self,
        store: u32,
        key: String,
        by: i64,
        ttl: u32,
    ) -> wasmtime::Result<Result<i64, KvError>> {
        Ok(self
            .ask_later(store, &key, KvOperation::Increment { by, ttl: time(ttl) })
            .await
            .and_then(|value| number(&value)))
    }

    async fn compare_and_swap(
        &mut self,
        store: u32,
        key: String,
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
        ttl: u32,
    ) -> wasmtime::Result<Result<bool, KvError>> {
        Ok(self
            .ask_later(store, &key, KvOperation::Swap { expected, new, ttl: time(ttl) })
            .await
            .and_then(|value| done(&value)))
    }

    async fn raise(
        &mut self,
        store: u32,
        key: String,
        floor: i64,
        by: i64,
        most: i64,
        ttl: u32,
    ) -> wasmtime::Result<Result<Raised, KvError>> {
        let operation = KvOperation::Raise { floor, by, most, ttl: time(ttl) };
        Ok(self.ask_later(store, &key, operation).await.and_then(|value| raised(&value)))
    }
}

fn time(ms: u32) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms.into()))
}

fn bytes(value: KvValue) -> Bytes {
    if let KvValue::Bytes(value) = value { Ok(value) } else { Err(odd()) }
}

fn done(value: &KvValue) -> Result<bool, KvError> {
    if let KvValue::Done(done) = value { Ok(*done) } else { Err(odd()) }
}

fn number(value: &KvValue) -> Result<i64, KvError> {
    if let KvValue::Number(number) = value { Ok(*number) } else { Err(odd()) }
}

fn raised(value: &KvValue) -> Result<Raised, KvError> {
    if let KvValue::Raised(done, value) = value { Ok(Raised { done: *done, value: *value }) } else { Err(odd()) }
}

/// A store answered something else than it was asked.
fn odd() -> KvError {
    KvError::Other("the store answered something else".to_owned())
}

fn refusal(error: hook::KvError) -> KvError {
    match error {
        hook::KvError::Denied(why) => KvError::Denied(why),
        hook::KvError::Invalid(why) => KvError::Invalid(why),
        hook::KvError::Full => KvError::Full,
        hook::KvError::NotANumber => KvError::NotANumber,
        hook::KvError::Unavailable(why) => KvError::Unavailable(why),
        hook::KvError::Timeout => KvError::Timeout,
        hook::KvError::Other(why) => KvError::Other(why),
    }
}
