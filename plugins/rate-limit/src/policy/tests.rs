use std::cell::RefCell;
use std::collections::HashMap;

use tidegate_plugin::Field;

use super::*;

const SECOND: i64 = 1_000_000;

/// A store as the host's, without ends.
#[derive(Default)]
struct Numbers(RefCell<HashMap<String, i64>>);

impl Numbers {
    fn raise(&self, key: &str, floor: i64, by: i64, most: i64) -> Raised {
        let mut numbers = self.0.borrow_mut();
        let before = numbers.get(key).copied().unwrap_or(floor).max(floor);
        if before + by > most {
            return Raised { done: false, value: before };
        }
        numbers.insert(key.to_owned(), before + by);
        Raised { done: true, value: before + by }
    }
}

fn policy(limits: &str) -> Result<Policy, ConfigError> {
    let config = format!(r#"{{"store": "s", "limits": [{limits}]}}"#);
    Policy::new(serde_json::from_str(&config).unwrap())
}

fn judge(policy: &Policy, numbers: &Numbers, now: i64, key: &str, handshake: bool) -> Verdict {
    let variable = |name: &str| (name == "key").then(|| key.to_owned());
    policy.judge(now, handshake, variable, |key, floor, by, most, _| Ok(numbers.raise(key, floor, by, most)))
}

fn headers(verdict: &Verdict) -> (u16, Vec<(String, String)>) {
    let Verdict::Refuse(_, reply) = verdict else { panic!("{verdict:?}") };
    let text = |field: &Field| (field.name.to_ascii_lowercase(), String::from_utf8(field.value.clone()).unwrap());
    let wanted = |field: &&Field| !field.name.eq_ignore_ascii_case("content-type");
    (reply.status, reply.fields.iter().filter(wanted).map(text).collect())
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let (policy, numbers) = (policy(r#"{"key": "$key", "rate": "2/s", "burst": 4}"#).unwrap(), Numbers::default());
    let start = 1_700_000_000 * SECOND;
    for _ in 0..4 {
        assert_eq!(judge(&policy, &numbers, start, "a", false), Verdict::Pass);
    }
    let refused = judge(&policy, &numbers, start, "a", false);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        headers(&refused),
        (
            429,
            vec![
                header("retry-after", "1"),
                header("ratelimit-policy", "\"default\";q=4;w=2"),
                header("ratelimit", "\"default\";r=0;t=1"),
            ]
        )
    );
    // Another key has a bucket of its own, and what was refused cost nothing.
    assert_eq!(judge(&policy, &numbers, start, "b", false), Verdict::Pass);
    assert!(matches!(judge(&policy, &numbers, start + SECOND / 2 - 1, "a", false), Verdict::Refuse(0, _)));
    assert_eq!(judge(&policy, &numbers, start + SECOND / 2, "a", false), Verdict::Pass);
    // Over ten seconds: ten times two, and no more.
    let passed = (1..=1000)
        .filter(|i| judge(&policy, &numbers, start + SECOND / 2 + i * SECOND / 100, "a", false) == Verdict::Pass);
    assert_eq!(passed.count(), 20);
}

#[test]
fn it_says_when_to_come_again() {
    let policy = policy(r#"{"key": "$key", "rate": "3/m", "burst": 1}"#).unwrap();
    let numbers = Numbers::default();
    assert_eq!(judge(&policy, &numbers, 0, "a", false), Verdict::Pass);
    for (now, wait) in [(0, "20"), (1, "20"), (SECOND, "19"), (19 * SECOND + 1, "1")] {
        let (_, fields) = headers(&judge(&policy, &numbers, now, "a", false));
        assert_eq!(fields[0].1, wait, "{now}");
    }
    assert_eq!(judge(&policy, &numbers, 20 * SECOND, "a", false), Verdict::Pass);
}

#[test]
fn limits_count_what_they_are_for() {
    let policy = policy(
        r#"{"name": "ws", "key": "$key", "rate": "1/d", "burst": 1, "for": "handshakes"},
           {"name": "http", "key": "$key", "rate": "1/d", "burst": 1, "for": "requests"}"#,
    )
    .unwrap();
    let numbers = Numbers::default();
    assert!(policy.tells_apart());
    assert_eq!(judge(&policy, &numbers, 0, "a", true), Verdict::Pass);
    assert!(matches!(judge(&policy, &numbers, 0, "a", true), Verdict::Refuse(0, _)));
    assert_eq!(judge(&policy, &numbers, 0, "a", false), Verdict::Pass);
    assert!(matches!(judge(&policy, &numbers, 0, "a", false), Verdict::Refuse(1, _)));
    // Without a key nothing is counted.
    for _ in 0..3 {
        assert_eq!(judge(&policy, &numbers, 0, "", true), Verdict::Pass);
    }
}

#[test]
fn a_store_that_fails_lets_pass_or_not() {
    for (says, passes) in [("allow", true), ("deny", false)] {
        let config =
            format!(r#"{{"store": "s", "on_store_failure": "{says}", "limits": [{{"key": "$key", "rate": "1/s"}}]}}"#);
        let policy = Policy::new(serde_json::from_str(&config).unwrap()).unwrap();
        let verdict = policy.judge(0, false, |_| Some("a".into()), |_, _, _, _, _| Err(KvError::Timeout));
        let Verdict::Failed(KvError::Timeout, reply) = verdict else { panic!("{verdict:?}") };
        assert_eq!(reply.map(|reply| reply.status), (!passes).then_some(503));
    }
}

#[test]
fn long_keys_are_told_apart() {
    let of = |end: &str| short("n", &format!("{}{end}", "ä".repeat(1000)));
    assert_ne!(of("a"), of("b"));
    assert!(of("a").len() <= LONGEST_KEY + 10);
    assert_eq!(short("n", "k"), "n:k");
}

#[test]
fn what_is_wrong_is_told_by_its_place() {
    for (limits, pointer) in [
        ("", "/limits"),
        (r#"{"key": "$", "rate": "1/s"}"#, "/limits/0/key"),
        (r#"{"key": "", "rate": "1/s"}"#, "/limits/0/key"),
        (r#"{"key": "$a", "rate": "1"}"#, "/limits/0/rate"),
        (r#"{"key": "$a", "rate": "0/s"}"#, "/limits/0/rate"),
        (r#"{"key": "$a", "rate": "1/w"}"#, "/limits/0/rate"),
        (r#"{"key": "$a", "rate": "1/s", "burst": 0}"#, "/limits/0/burst"),
        (r#"{"key": "$a", "rate": "1/d", "burst": 2}"#, "/limits/0/burst"),
        (r#"{"key": "$a", "rate": "1/s", "name": "a b"}"#, "/limits/0/name"),
        (r#"{"key": "$a", "rate": "1/s"}, {"key": "$b", "rate": "1/s"}"#, "/limits/1/name"),
    ] {
        assert_eq!(policy(limits).map(drop).unwrap_err().pointer(), pointer, "{limits}");
    }
}
