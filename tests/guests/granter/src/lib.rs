//! Grants what headers say, and takes `x-subject` out of the request: asked again it must see that as
//! it was. The `n`th time it is asked again it does what the `n`th word of `x-renew` says.

use std::collections::HashMap;
use std::time::Duration;

use tidegate_plugin::{
    Authorizer, ConfigError, Edit, Grant, NoConfig, Plugin, Reply, Variable, Verdict, access, clock, request,
};

struct Granter {
    /// How often it was asked again, by subject.
    asked: HashMap<String, usize>,
}

impl Plugin for Granter {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(Self { asked: HashMap::new() })
    }
}

fn number(name: &str) -> Option<u64> {
    request::header_text(name)?.parse().ok()
}

fn expire_in(ms: u64) {
    access::expires_at(clock::unix() + Duration::from_millis(ms));
}

impl Authorizer for Granter {
    #[expect(clippy::panic, reason = "it does what it is told")]
    fn authorize(&mut self) -> Verdict {
        let Some(subject) = request::header_text("x-subject") else { return Verdict::Next };
        access::subject(&subject);
        for tag in request::header_text("x-tags").unwrap_or_default().split(',').filter(|tag| !tag.is_empty()) {
            access::tag(tag);
        }
        if let Some(ms) = number("x-lifetime") {
            access::max_lifetime(Duration::from_millis(ms));
        }
        if let Some(bytes) = number("x-max-message") {
            access::max_message(bytes);
        }
        if access::is_renewal() {
            let asked = self.asked.entry(subject).or_default();
            *asked += 1;
            let words = request::header_text("x-renew").unwrap_or_default();
            match words.split(',').nth(*asked - 1) {
                Some("forever") => {}
                Some("next") => return Verdict::Next,
                Some("trap") => panic!("as told"),
                Some(ms) if ms.parse::<u64>().is_ok() => expire_in(ms.parse().unwrap_or_default()),
                _ => return Reply::new(403).into(),
            }
        } else if let Some(ms) = number("x-expires") {
            expire_in(ms);
        }
        if request::header("x-refuse").is_some() {
            // What was said beside a refusal has no effect.
            return Verdict::Next;
        }
        Verdict::Grant(Grant {
            variables: vec![Variable::new("grant_subject", "forged"), Variable::new("who", "granter")],
            edits: vec![Edit::remove("x-subject")],
        })
    }
}

tidegate_plugin::export!(Granter: authorizer);
