//! Chains: the plugins of one route, hook by hook, in order.

use std::sync::Arc;

use super::{Hook, Plugin};

/// The plugins that serve one hook, in the order in which they are asked.
pub type Chain = Box<[Arc<dyn Plugin>]>;

/// The chains of one route: one list per hook, made once when the configuration is
/// read, so that a request meets no plugin that has nothing to say.
#[derive(Default)]
pub struct Chains {
    /// Hook `origin`.
    pub origin: Chain,
    /// Hook `authorizer`.
    pub authorizer: Chain,
    /// Hook `request-headers`.
    pub request_headers: Chain,
    /// Hook `request-body`.
    pub request_body: Chain,
    /// Hook `response-headers`.
    pub response_headers: Chain,
    /// Hook `response-body`, in the order of the route: they are asked in the reverse.
    pub response_body: Chain,
    /// Hook `messages`.
    pub messages: Chain,
    /// Hook `tunnel`.
    pub tunnel: Chain,
    /// Hook `access-log`.
    pub access_log: Chain,
}

impl Chains {
    /// Whether one of them may read the request after it has gone to a peer.
    pub fn read_request_later(&self) -> bool {
        let later = [&self.response_headers, &self.response_body, &self.messages, &self.tunnel, &self.access_log];
        later.into_iter().any(|chain| !chain.is_empty())
    }

    /// Sort plugins into chains by the hooks that they serve.
    pub fn new(plugins: &[Arc<dyn Plugin>]) -> Self {
        Self {
            origin: chain_of(plugins, Hook::Origin),
            authorizer: chain_of(plugins, Hook::Authorizer),
            request_headers: chain_of(plugins, Hook::RequestHeaders),
            request_body: chain_of(plugins, Hook::RequestBody),
            response_headers: chain_of(plugins, Hook::ResponseHeaders),
            response_body: chain_of(plugins, Hook::ResponseBody),
            messages: chain_of(plugins, Hook::Messages),
            tunnel: chain_of(plugins, Hook::Tunnel),
            access_log: chain_of(plugins, Hook::AccessLog),
        }
    }
}

/// The plugins among these that serve `hook`, in order.
pub fn chain_of(plugins: &[Arc<dyn Plugin>], hook: Hook) -> Chain {
    plugins.iter().filter(|p| p.hooks().contains(hook)).map(Arc::clone).collect()
}
