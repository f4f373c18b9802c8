//! JSON Web Tokens decide who may come, and for how long: the stock plugin `stock:auth-jwt`.
//! README.md has the keys.

pub mod algorithm;
pub mod cache;
pub mod config;
pub mod jwt;
pub mod keys;
pub mod policy;
pub mod source;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tidegate_plugin::http_client::{self, Request};
use tidegate_plugin::{Authorizer, ConfigError, ConfigSchema, Edit, Plugin, Reply, ResponseHeaders, Verdict};
use tidegate_plugin::{access, clock, log, request, response};

use cache::Cache;
use config::{Config, Settings};
use jwt::Refusal;
use keys::KeySet;
use policy::Decision;
use source::{Found, PROTOCOLS};

/// The largest key set that is fetched, bytes.
const LARGEST_SET: u32 = 256 << 10;

/// The plugin: its settings, and the keys that it has fetched.
#[derive(Debug)]
pub struct AuthJwt {
    settings: Settings,
    cache: Cache,
}

impl Plugin for AuthJwt {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let settings = Settings::new(config)?;
        for unused in &settings.unused {
            log::warn(format!("`jwks`: {unused}"));
        }
        Ok(Self { settings, cache: Cache::default() })
    }
}

impl AuthJwt {
    /// Fetch the keys if it is time; the last good ones stay where that fails.
    fn refresh(&mut self, unknown: bool) -> bool {
        let Some(url) = &self.settings.url else { return false };
        let now = clock::monotonic();
        if !self.cache.is_due(now, self.settings.floor, unknown) {
            return false;
        }
        self.cache.asked(now);
        let question = Request::get(url.as_str()).header("accept", "application/json").max_body(LARGEST_SET);
        let fetched = match question.timeout(self.settings.timeout).send() {
            Ok(answer) if answer.status == 200 => KeySet::parse(&answer.body).map(|keys| (keys, answer)),
            Ok(answer) => Err(format!("unexpected status: {}", answer.status)),
            Err(error) => Err(http_client::describe(&error)),
        };
        match fetched {
            Ok(((keys, unused), answer)) => {
                for unused in unused {
                    log::debug(format!("{url}: {unused}"));
                }
                self.cache.came(keys, now, answer.header("cache-control"));
                true
            }
            Err(why) => {
                log::error(format!("the keys of {url} cannot be fetched: {why}"));
                false
            }
        }
    }

    fn decide(&mut self, found: &Found) -> Decision {
        let now = clock::unix();
        self.refresh(false);
        match self.judged(found, now) {
            // It may be signed with a key that is new.
            Some(Err(Refusal::UnknownKey)) if self.refresh(true) => {}
            Some(Ok(decision)) => return decision,
            Some(Err(refusal)) => return self.refuse(&refusal),
            None => return Decision::Stop(Reply::new(503).text("the keys are not there\n")),
        }
        match self.judged(found, now) {
            Some(Ok(decision)) => decision,
            Some(Err(refusal)) => self.refuse(&refusal),
            None => Decision::Stop(Reply::new(503).text("the keys are not there\n")),
        }
    }

    /// None where there are no keys.
    fn judged(&self, found: &Found, now: Duration) -> Option<Result<Decision, Refusal>> {
        let keys = self.settings.keys.as_ref().or_else(|| self.cache.keys())?;
        Some(policy::judge(&self.settings, keys, found, now))
    }

    fn refuse(&self, refusal: &Refusal) -> Decision {
        log::info(refusal.text());
        policy::refused(&self.settings, refusal)
    }
}

impl Authorizer for AuthJwt {
    fn authorize(&mut self) -> Verdict {
        let asked = source::Request { headers: &request::header_all, query: request::query() };
        let decision = match policy::find(&self.settings, &asked) {
            Ok(found) => self.decide(&found),
            Err(decision) => decision,
        };
        if let Decision::Pass(_, bonds) = &decision {
            if let Some(subject) = &bonds.subject {
                access::subject(subject);
            }
            bonds.tags.iter().for_each(|tag| access::tag(tag));
            if let Some(ends) = bonds.ends {
                access::expires_at(ends);
            }
        }
        decision.into()
    }
}

impl ResponseHeaders for AuthJwt {
    /// A browser that offered nothing but the token wants to be answered with its subprotocol.
    fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
        if response::status() != 101 || response::header(PROTOCOLS).is_some() || request::has_header(PROTOCOLS) {
            return Ok(Vec::new());
        }
        let subprotocol = request::variable(policy::SUBPROTOCOL);
        Ok(subprotocol.map(|protocol| Edit::set(PROTOCOLS, protocol)).into_iter().collect())
    }
}

impl ConfigSchema for AuthJwt {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(AuthJwt: authorizer, response_headers, config_schema);
