//! The choice of a site by host name and of one of its routes by path: pure logic.

use serde::Deserialize;
use tidegate_plugin::ConfigError;

use crate::names::Names;
use crate::pattern::Variables;
use crate::rewrite;
use crate::routes::{Found, Routes};

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
    /// Takes what no name matches; without one the first site does.
    #[serde(default)]
    pub default: bool,
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
}

/// The configuration, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    names: Names,
    sites: Vec<Routes>,
    needs_host: bool,
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
        /// The named groups of the site's and the route's patterns.
        variables: Vec<(String, String)>,
    },
    /// The path lacks only the slash at its end: go here instead.
    Redirect(String),
    /// No route takes it.
    NoRoute,
}

impl Policy {
    /// Check and prepare a configuration.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let names = Names::new(&config.sites)?;
        let mut sites = Vec::with_capacity(config.sites.len());
        for (index, site) in config.sites.iter().enumerate() {
            sites.push(Routes::new(&site.routes, &format!("/sites/{index}/routes"))?);
        }
        let needs_host = sites.len() > 1 || names.are_capturing();
        Ok(Self { names, sites, needs_host })
    }

    /// Whether the host name makes a difference: reading it costs a host call.
    pub fn needs_host(&self) -> bool {
        self.needs_host
    }

    /// The route for a host name (lower case, no port) and a normalised path. `raw` is
    /// the target as the client sent it, and is asked for only where it is needed.
    pub fn choose(&self, host: &str, path: &str, raw: impl FnOnce() -> String) -> Choice<'_> {
        let (site, mut variables) = if self.needs_host { self.names.find(host) } else { (0, Variables::new()) };
        let (route, captures) = match self.sites.get(site).and_then(|routes| routes.find(path)) {
            None => return Choice::NoRoute,
            Some(Found::AddSlash(name)) => return Choice::Redirect(rewrite::location(name, &raw())),
            Some(Found::Route(route)) => (route, None),
            Some(Found::Match(route, pattern, captures)) => {
                variables.extend(pattern.variables(&captures));
                (route, Some(captures))
            }
        };
        let path_with_query = route.rewrite.as_ref().map(|rewrite| rewrite.apply(path, captures.as_ref(), &raw()));
        Choice::Route { name: &route.name, path_with_query, variables }
    }
}

#[cfg(test)]
mod tests;
