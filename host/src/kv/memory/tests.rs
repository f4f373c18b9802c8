use std::sync::Arc;

use super::*;

fn bounds(max_keys: usize, max_bytes: usize, refuse: bool) -> KvMemory {
    KvMemory { max_keys, max_bytes, refuse }
}

fn wide() -> KvMemory {
    bounds(1000, 1 << 20, false)
}

/// A store at a time of its own.
struct At<'a>(&'a Memory, KvMemory, u64);

impl At<'_> {
    fn apply(&self, key: &str, operation: KvOperation) -> Result<KvValue, KvError> {
        self.0.apply_at(self.2, &self.1, key.as_bytes(), operation)
    }

    fn set(&self, key: &str, value: &str, ttl: u64) -> Result<KvValue, KvError> {
        self.apply(key, KvOperation::Set { value: value.into(), ttl: time(ttl) })
    }

    fn get(&self, key: &str) -> Option<String> {
        match self.apply(key, KvOperation::Get).unwrap() {
            KvValue::Bytes(value) => value.map(|value| String::from_utf8(value).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn add(&self, key: &str, by: i64, ttl: u64) -> Result<KvValue, KvError> {
        self.apply(key, KvOperation::Increment { by, ttl: time(ttl) })
    }

    fn swap(&self, key: &str, expected: Option<&str>, new: Option<&str>) -> Result<KvValue, KvError> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        self.apply(key, KvOperation::Swap { expected: expected.map(bytes), new: new.map(bytes), ttl: None })
    }

    fn raise(&self, key: &str, floor: i64, by: i64, most: i64) -> Result<KvValue, KvError> {
        self.apply(key, KvOperation::Raise { floor, by, most, ttl: time(100) })
    }
}

fn time(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}

#[test]
fn keys_last_until_their_end() {
    let memory = Memory::default();
    let at = |now| At(&memory, wide(), now);
    at(10).set("a", "1", 50).unwrap();
    at(10).set("b", "2", 0).unwrap();
    assert_eq!((at(59).get("a"), at(60).get("a")), (Some("1".into()), None));
    assert_eq!(at(u64::MAX - 1).get("b"), Some("2".into()));
    // Set anew, it has the new end.
    at(10).set("a", "1", 50).unwrap();
    at(20).set("a", "3", 0).unwrap();
    assert_eq!(at(1000).get("a"), Some("3".into()));
    assert_eq!(at(1000).apply("a", KvOperation::Delete), Ok(KvValue::Done(true)));
    assert_eq!(at(1000).apply("a", KvOperation::Delete), Ok(KvValue::Done(false)));
    assert_eq!(memory.held().keys, 1);
}

#[test]
fn numbers_and_texts_are_one() {
    let memory = Memory::default();
    let at = |now| At(&memory, wide(), now);
    assert_eq!(at(1).add("n", 5, 100), Ok(KvValue::Number(5)));
    assert_eq!(at(50).add("n", -7, 100), Ok(KvValue::Number(-2)));
    assert_eq!(at(50).get("n"), Some("-2".into()));
    // The end is that of the first one.
    assert_eq!(at(101).add("n", 1, 0), Ok(KvValue::Number(1)));
    assert_eq!(at(101).swap("n", Some("1"), Some("41")), Ok(KvValue::Done(true)));
    assert_eq!(at(101).add("n", 1, 0), Ok(KvValue::Number(42)));
    for text in ["", "x", "1.5", " 1", "+1", "01", "9223372036854775808", "-"] {
        at(1).set("t", text, 0).unwrap();
        assert_eq!(at(1).add("t", 1, 0), Err(KvError::NotANumber), "{text:?}");
        assert_eq!(at(1).get("t").as_deref(), Some(text));
    }
    at(1).set("t", &i64::MAX.to_string(), 0).unwrap();
    assert_eq!(at(1).add("t", 1, 0), Err(KvError::NotANumber));
}

#[test]
fn a_swap_wants_what_it_expects() {
    let memory = Memory::default();
    let at = At(&memory, wide(), 1);
    assert_eq!(at.swap("k", Some("a"), Some("b")), Ok(KvValue::Done(false)));
    assert_eq!(at.swap("k", None, Some("")), Ok(KvValue::Done(true)));
    assert_eq!(at.swap("k", None, Some("b")), Ok(KvValue::Done(false)), "an empty value is one");
    assert_eq!(at.swap("k", Some(""), Some("b")), Ok(KvValue::Done(true)));
    assert_eq!(at.swap("k", Some("b"), None), Ok(KvValue::Done(true)));
    assert_eq!((at.get("k"), memory.held().keys, memory.held().bytes), (None, 0, 0));
    assert_eq!(at.swap("k", None, None), Ok(KvValue::Done(true)));
}

#[test]
fn a_number_is_raised_within_bounds() {
    let memory = Memory::default();
    let at = |now| At(&memory, wide(), now);
    assert_eq!(at(1).raise("k", 100, 10, 115), Ok(KvValue::Raised(true, 110)));
    assert_eq!(at(1).raise("k", 100, 10, 115), Ok(KvValue::Raised(false, 110)));
    assert_eq!(at(1).raise("k", 105, 10, 120), Ok(KvValue::Raised(true, 120)));
    assert_eq!(at(1).raise("k", 200, 10, 199), Ok(KvValue::Raised(false, 200)));
    assert_eq!(at(101).raise("k", 1, 1, 2), Ok(KvValue::Raised(true, 2)), "it has ended, and begins anew");
    at(1).set("t", "x", 0).unwrap();
    assert_eq!(at(1).raise("t", 1, 1, 2), Err(KvError::NotANumber));
}

#[test]
fn the_bounds_hold_whatever_comes() {
    for bounds in [bounds(50, 1 << 20, false), bounds(1 << 20, 50 * 170, false)] {
        let memory = Memory::default();
        let at = At(&memory, bounds.clone(), 1);
        for i in 0..2000 {
            at.set(&format!("key{i}"), "v", 0).unwrap();
            // What is in use stays.
            assert!(i < 1 || at.get("key0").is_some(), "{i} of {bounds:?}");
            let held = memory.held();
            assert!(held.keys <= bounds.max_keys && held.bytes <= bounds.max_bytes, "{i} of {bounds:?}");
        }
        assert!(memory.held().keys >= 45, "{}", memory.held().keys);
        assert!(memory.held().evicted >= 1900);
    }
}

#[test]
fn a_value_that_grows_makes_room_and_stays_itself() {
    let memory = Memory::default();
    let at = At(&memory, bounds(100, 4096, false), 1);
    for i in 0..15 {
        at.set(&format!("k{i}"), "", 0).unwrap();
    }
    at.set("k3", &"x".repeat(3500), 0).unwrap();
    assert_eq!(at.get("k3").map(|value| value.len()), Some(3500));
    assert!(memory.held().bytes <= 4096);
    at.set("k3", "", 0).unwrap();
    let left = memory.held();
    assert_eq!(
        left.bytes,
        (0..15).filter(|i| at.get(&format!("k{i}")).is_some()).map(|i| 160 + 2 + usize::from(i > 9)).sum::<usize>()
    );
    // One that is larger than all the store can have drives nobody out.
    assert_eq!(at.set("huge", &"x".repeat(5000), 0), Err(KvError::Full));
    assert_eq!(memory.held().keys, left.keys);
}

#[test]
fn a_store_that_refuses_drops_only_what_has_ended() {
    let memory = Memory::default();
    let at = |now| At(&memory, bounds(20, 1 << 20, true), now);
    for i in 0..20 {
        at(1).set(&format!("k{i}"), "v", if i < 10 { 100 } else { 0 }).unwrap();
    }
    assert_eq!(at(2).set("new", "v", 0), Err(KvError::Full));
    at(2).set("k1", "other", 0).unwrap();
    assert_eq!(at(2).add("new", 1, 0), Err(KvError::Full));
    for i in 0..9 {
        assert_eq!(at(1000).set(&format!("new{i}"), "v", 0), Ok(KvValue::Done(true)), "{i}");
    }
    assert_eq!(at(2000).set("one-more", "v", 0), Err(KvError::Full));
    assert_eq!((memory.held().evicted, memory.held().keys), (0, 20));
}

#[test]
fn what_has_ended_goes_as_others_come() {
    let memory = Memory::default();
    for i in 0..500_u64 {
        At(&memory, wide(), i + 1).set(&format!("k{i}"), "v", 10).unwrap();
    }
    // Not by a bound: 1000 keys would fit.
    assert!(memory.held().keys < 300, "{}", memory.held().keys);
    assert_eq!(memory.held().evicted, 0);
}

#[test]
fn each_step_is_one_among_threads() {
    let memory = Arc::new(Memory::default());
    let bounds = wide();
    let run = |memory: &Arc<Memory>| {
        for i in 0..2000 {
            memory.apply(&bounds, b"n", KvOperation::Increment { by: 1, ttl: None }).unwrap();
            memory.apply(&bounds, b"r", KvOperation::Raise { floor: 0, by: 1, most: 5000, ttl: None }).unwrap();
            let key = format!("k{}", i % 3000);
            memory.apply(&bounds, key.as_bytes(), KvOperation::Set { value: vec![0; i % 50], ttl: None }).unwrap();
            loop {
                let KvValue::Bytes(before) = memory.apply(&bounds, b"c", KvOperation::Get).unwrap() else { panic!() };
                let count = before.as_deref().map_or(0, |text| std::str::from_utf8(text).unwrap().parse().unwrap());
                let new = Some(i64::to_string(&(count + 1)).into_bytes());
                let swap = KvOperation::Swap { expected: before, new, ttl: None };
                if memory.apply(&bounds, b"c", swap).unwrap() == KvValue::Done(true) {
                    break;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| run(&memory));
        }
    });
    let value = |key: &[u8]| memory.apply(&bounds, key, KvOperation::Get).unwrap();
    for (key, expected) in [(&b"n"[..], "8000"), (b"c", "8000"), (b"r", "5000")] {
        assert_eq!(value(key), KvValue::Bytes(Some(expected.into())), "{key:?}");
    }
    assert!(memory.held().keys <= bounds.max_keys);
}
