//! The choice of a site by host name and of one of its routes by path: pure logic.

use serde::Deserialize;
use tidegate_plugin::{ConfigError, Reply};

use crate::escape;
pub use crate::https::HttpsConfig;
use crate::names::Listened;
pub use crate::respond::{RedirectConfig, RespondConfig};
use crate::respond::{Respond, redirect};
use crate::rewrite::{From, Rewrite};
use crate::routes::{Found, Route, Routes};
use crate::rules::{Did, Rule};
pub use crate::rules::{Flag, RuleConfig};
pub use crate::state::Asked;
use crate::state::State;

/// How often rules may send a request to look for its route again. nginx: 10, then 500.
const MOST_CHANGES: usize = 10;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In the order of the file.
    pub sites: Vec<SiteConfig>,
}

/// One site. nginx: `server`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// nginx: `server_name`.
    #[serde(default)]
    pub names: Vec<String>,
    /// The listeners that it is at, as `address:port`; empty for all. nginx: `listen`.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Takes what no name matches; without one the first site does.
    #[serde(default)]
    pub default: bool,
    /// Applied before a route is looked for. nginx: `rewrite` in `server`.
    #[serde(default)]
    pub rewrites: Vec<RuleConfig>,
    /// Given instead of looking for a route. nginx: `return` in `server`.
    #[serde(default)]
    pub respond: Option<RespondConfig>,
    /// How Locations are completed.
    #[serde(default)]
    pub redirects: RedirectConfig,
    /// Where clients without TLS are sent, before anything else.
    #[serde(default)]
    pub https: Option<HttpsConfig>,
    /// The host's name for what the site answers without a route: its header rules apply.
    #[serde(default)]
    pub route: Option<String>,
    /// In the order of the file.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
}

/// One route. nginx: `location`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What the answer calls it.
    pub name: String,
    /// `/x`, `= /x`, `^~ /x`, `~ re`, `~* re`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Put in place of what the match took of the path; not with a regex.
    #[serde(default)]
    pub replace_prefix: Option<String>,
    /// A new path and query made of captures; only with a regex.
    #[serde(default)]
    pub rewrite: Option<String>,
    /// Applied before anything else. nginx: `rewrite` in `location`.
    #[serde(default)]
    pub rewrites: Vec<RuleConfig>,
    /// A text with variables: the name of the upstream to ask; empty for the route's own.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Given instead of asking an upstream. nginx: `return` in `location`.
    #[serde(default)]
    pub respond: Option<RespondConfig>,
    /// How Locations are completed.
    #[serde(default)]
    pub redirects: RedirectConfig,
    /// Where clients without TLS are sent. Inherited from nothing: absent is off.
    #[serde(default)]
    pub https: Option<HttpsConfig>,
    /// The routes within it.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
}

/// What a site or route does before anything else: rules in order, then its answer.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    respond: Option<Respond>,
}

/// What a script came to.
enum Ran {
    /// It goes on in the same place.
    Stays,
    /// The path is another: a route is looked for again.
    Again,
    /// This is the answer.
    Answer(Reply),
}

impl Script {
    /// Prepare one; `pointer` is where it stands.
    pub(crate) fn new(
        rewrites: &[RuleConfig],
        respond: Option<&RespondConfig>,
        pointer: &str,
    ) -> Result<Self, ConfigError> {
        let respond = respond.map(|config| Respond::new(config, &format!("{pointer}/respond"))).transpose()?;
        Ok(Self { rules: Rule::all(rewrites, &format!("{pointer}/rewrites"))?, respond })
    }

    /// Whether it does nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.respond.is_none()
    }

    /// Whether it ends with an answer.
    pub(crate) fn responds(&self) -> bool {
        self.respond.is_some()
    }

    fn run(&self, state: &mut State<'_>, asked: &dyn Asked, redirects: RedirectConfig) -> Ran {
        let mut ran = Ran::Stays;
        for rule in &self.rules {
            match rule.apply(state) {
                Did::Nothing => {}
                Did::Redirect(status, location) => {
                    return Ran::Answer(redirect(status, location, state.site, asked, redirects));
                }
                Did::Answer(respond) => return Ran::Answer(respond.reply(state, asked, redirects)),
                Did::Stop | Did::Changed(Some(Flag::Break)) => return Ran::Stays,
                Did::Changed(Some(_)) => return Ran::Again,
                Did::Changed(None) => ran = Ran::Again,
            }
        }
        match &self.respond {
            Some(respond) => Ran::Answer(respond.reply(state, asked, redirects)),
            None => ran,
        }
    }
}

/// A site, ready to be asked.
#[derive(Debug)]
struct Site {
    name: Box<str>,
    script: Script,
    redirects: RedirectConfig,
    https: Option<HttpsConfig>,
    /// Whether any of its routes, or it, sends clients to https, and whether all do.
    moves: (bool, bool),
    route: Option<Box<str>>,
    routes: Routes,
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    names: Listened,
    sites: Vec<Site>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice<'p> {
    /// A route takes it.
    Route {
        /// The route's name.
        name: &'p str,
        /// What to ask the upstream for, if it is not what the client asked for.
        path_with_query: Option<String>,
        /// The path that rules made of the request's, if they did.
        path: Option<String>,
        /// The upstream to ask, if it is not the route's own.
        upstream: Option<String>,
        /// The named groups of the site's, the route's and the rules' patterns.
        variables: Vec<(String, String)>,
    },
    /// This is the answer.
    Reply {
        /// The route that gives it; none where that is nobody's.
        route: Option<&'p str>,
        /// The answer.
        reply: Reply,
    },
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let names = Listened::new(&config.sites)?;
        let mut sites = Vec::with_capacity(config.sites.len());
        for (index, site) in config.sites.iter().enumerate() {
            let pointer = format!("/sites/{index}");
            let routes = Routes::new(&site.routes, &format!("{pointer}/routes"))?;
            let https = site.https.map(|https| https.check(&pointer)).transpose()?;
            sites.push(Site {
                name: site.names.first().map_or("", String::as_str).into(),
                script: Script::new(&site.rewrites, site.respond.as_ref(), &pointer)?,
                redirects: site.redirects,
                https,
                moves: (https.is_some() || routes.any(|route| route.https), routes.all(|route| route.https == https)),
                route: site.route.as_deref().map(Box::from),
                routes,
            });
        }
        Ok(Self { names, sites })
    }

    /// Whether the host name makes a difference: reading it costs a host call.
    pub fn needs_host(&self) -> bool {
        self.names.needs_host()
    }

    /// What becomes of a request.
    pub fn choose(&self, asked: &dyn Asked) -> Choice<'_> {
        let Some((site, variables)) = self.names.find(asked) else { return no_route(None) };
        let Some(site) = self.sites.get(site) else { return no_route(None) };
        let own = site.route.as_deref();
        let mut state = State::new(asked, &site.name, variables);
        // Asked for only where it makes a difference: it costs a host call.
        let is_plain = site.moves.0 && asked.variable("scheme").as_deref() == Some("http");
        let moved = |https: Option<HttpsConfig>, state: &State<'_>| {
            https.filter(|_| is_plain).map(|https| https.reply(state, asked))
        };
        if site.moves.1
            && let Some(reply) = moved(site.https, &state)
        {
            return Choice::Reply { route: own, reply };
        }
        if !site.script.is_empty()
            && let Ran::Answer(reply) = site.script.run(&mut state, asked, site.redirects)
        {
            return Choice::Reply { route: own, reply: moved(site.https, &state).unwrap_or(reply) };
        }
        for _ in 0..=MOST_CHANGES {
            let found = site.routes.find(&state.path, &mut state.captured);
            let https = found.map_or(site.https, |found| found.route().https);
            if let Some(reply) = moved(https, &state) {
                return Choice::Reply { route: found.map_or(own, |found| Some(&found.route().name)), reply };
            }
            let route = match found {
                None => return no_route(own),
                Some(Found::AddSlash(route, path)) => {
                    let reply = add_slash(path, &state, asked, route);
                    return Choice::Reply { route: Some(&route.name), reply };
                }
                Some(Found::Route(route)) => route,
            };
            if route.script.is_empty() {
                return goes_to(route, state);
            }
            match route.script.run(&mut state, asked, route.redirects) {
                Ran::Stays => return goes_to(route, state),
                Ran::Again => {}
                Ran::Answer(reply) => return Choice::Reply { route: Some(&route.name), reply },
            }
        }
        let reply = Reply::new(500).text("500 Internal Server Error: the rewrite rules go round in circles\n");
        Choice::Reply { route: own, reply }
    }
}

/// The redirect to a route that lacks only a slash.
fn add_slash(path: &str, state: &State<'_>, asked: &dyn Asked, route: &Route) -> Reply {
    let mut location = escape::path(path);
    if !state.args().is_empty() {
        location.push('?');
        location.push_str(state.args());
    }
    redirect(301, location, state.site, asked, route.redirects)
}

fn no_route(route: Option<&str>) -> Choice<'_> {
    Choice::Reply { route, reply: Reply::new(404).text("no route\n") }
}

fn goes_to<'p>(route: &'p Route, state: State<'_>) -> Choice<'p> {
    // A rule that stays in its route gives the whole path, as in nginx.
    let rewrite = route.rewrite.as_ref().filter(|r| state.is_located || matches!(r, Rewrite::Template { .. }));
    let path_with_query = (rewrite.is_some() || state.changed).then(|| {
        let from = From {
            path: &state.path,
            groups: &state.captured.groups,
            raw_path: state.raw_path(),
            query: state.args(),
            changed: state.changed,
        };
        rewrite.map_or_else(|| from.as_it_is(), |rewrite| rewrite.apply(&from))
    });
    let upstream = route.upstream.as_ref().map(|name| name.value(|variable| state.variable(variable)));
    let upstream = upstream.filter(|name| !name.is_empty());
    let path = state.changed.then_some(state.path);
    Choice::Route { name: &route.name, path_with_query, path, upstream, variables: state.captured.variables }
}

#[cfg(test)]
mod tests;
