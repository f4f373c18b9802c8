//! Which route a request takes: the stock plugin behind `[[sites]]` and their routes.
//! README.md has the keys and how they compare with nginx.

mod names;
mod pattern;
pub mod policy;
mod rewrite;
mod routes;

use policy::{Choice, Policy};
use tidegate_plugin::{ConfigError, Plugin, Reply, Router as RouterHook, Target, Variable, request};

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct Router(Policy);

impl Plugin for Router {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

impl RouterHook for Router {
    fn route(&mut self) -> Result<Option<Target>, Reply> {
        let host = if self.0.needs_host() { request::host() } else { String::new() };
        match self.0.choose(&host, &request::path(), request::path_with_query) {
            Choice::Route { name, path_with_query, variables } => Ok(Some(Target {
                route: name.to_owned(),
                upstream: None,
                path_with_query,
                variables: variables.into_iter().map(|(name, value)| Variable { name, value }).collect(),
            })),
            Choice::Redirect(location) => Err(Reply::new(301).header("location", location)),
            Choice::NoRoute => Err(Reply::new(404).text("no route\n")),
        }
    }
}

tidegate_plugin::export!(Router: router);
