//! Which route a request takes: the stock plugin behind `[[sites]]` and their routes.
//! README.md has the keys and how they compare with nginx.

mod escape;
mod https;
mod kind;
mod names;
mod pattern;
pub mod policy;
mod respond;
mod rewrite;
mod routes;
mod rules;
mod state;

use std::net::SocketAddr;

use policy::{Asked, Choice, Policy};
use tidegate_plugin::{ConfigError, ConfigSchema, Plugin, Reply, Router as RouterHook, Target, Variable, request};

/// The header line by which a reply tells the host the route that it is for; the host takes
/// it out.
const ROUTE_OF_REPLY: &str = "tidegate-route";

/// The plugin: the policy and the request it asks about.
#[derive(Debug)]
pub struct Router(Policy);

impl Plugin for Router {
    type Config = policy::Config;

    fn configure(config: policy::Config) -> Result<Self, ConfigError> {
        Policy::new(&config).map(Self)
    }
}

/// The request that the hook runs for.
struct Current;

impl Asked for Current {
    fn host(&self) -> String {
        request::host()
    }

    fn local(&self) -> SocketAddr {
        request::local()
    }

    fn path(&self) -> String {
        request::path()
    }

    fn target(&self) -> String {
        request::path_with_query()
    }

    fn base_url(&self, host: Option<&str>, with_port: bool) -> String {
        request::base_url(host, with_port)
    }

    fn variable(&self, name: &str) -> Option<String> {
        request::variable(name)
    }
}

impl RouterHook for Router {
    fn route(&mut self) -> Result<Option<Target>, Reply> {
        match self.0.choose(&Current) {
            Choice::Route { name, path_with_query, path, upstream, variables } => {
                let changed = path.map(|path| Variable { name: "uri".to_owned(), value: path });
                let variables = variables.into_iter().map(|(name, value)| Variable { name, value });
                Ok(Some(Target {
                    route: name.to_owned(),
                    upstream,
                    path_with_query,
                    variables: variables.chain(changed).collect(),
                }))
            }
            Choice::Reply { route, reply } => Err(match route {
                Some(route) => reply.header(ROUTE_OF_REPLY, route),
                None => reply,
            }),
        }
    }
}

impl ConfigSchema for Router {
    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }
}

tidegate_plugin::export!(Router: router, config_schema);
