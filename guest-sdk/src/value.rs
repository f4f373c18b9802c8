//! Short ways to make the values that hooks answer with.

use crate::{
    Decision, Edit, EditOperation, Endpoint, Field, Grant, IpAddress, Peer, Reply, Tag, Target, Variable, Verdict,
};

impl Reply {
    /// An answer with this status (200 to 599), no headers and no body.
    pub fn new(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Vec::new() }
    }

    /// With one more header line. Content-Length is the host's to add.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push(Field { name: name.into(), value: value.into() });
        self
    }

    /// With this body and `Content-Type: text/plain; charset=utf-8`.
    #[must_use]
    pub fn text(self, body: impl Into<String>) -> Self {
        self.header("content-type", "text/plain; charset=utf-8").body(body.into())
    }

    /// With this body, without a Content-Type.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl Edit {
    /// Replace all values of the header by this one.
    pub fn set(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { operation: EditOperation::Set, name: name.into(), value: value.into() }
    }

    /// Add one more value, after those that are there.
    pub fn append(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { operation: EditOperation::Append, name: name.into(), value: value.into() }
    }

    /// Add the value only where the header is absent.
    pub fn set_default(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { operation: EditOperation::SetDefault, name: name.into(), value: value.into() }
    }

    /// Remove every value of the header.
    pub fn remove(name: impl Into<String>) -> Self {
        Self { operation: EditOperation::Remove, name: name.into(), value: Vec::new() }
    }
}

impl Variable {
    /// A value under a name of ASCII letters, digits and `_`.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl Target {
    /// The route of this name.
    pub fn new(route: impl Into<String>) -> Self {
        Self { route: route.into(), upstream: None, path_with_query: None, variables: Vec::new() }
    }

    /// To another upstream than the route's.
    #[must_use]
    pub fn upstream(mut self, name: impl Into<String>) -> Self {
        self.upstream = Some(name.into());
        self
    }

    /// Ask the upstream for this instead of what the client asked for.
    #[must_use]
    pub fn path_with_query(mut self, target: impl Into<String>) -> Self {
        self.path_with_query = Some(target.into());
        self
    }

    /// With one more variable for the exchange.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push(Variable::new(name, value));
        self
    }
}

impl Grant {
    /// Accepted, and nothing more.
    pub fn new() -> Self {
        Self { variables: Vec::new(), edits: Vec::new() }
    }

    /// With one more variable for the exchange: `remote_user`, say.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push(Variable::new(name, value));
        self
    }

    /// With one more change of the request's headers.
    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }
}

impl Peer {
    /// A peer of weight 1 at `address`, which is its name too, without tags: what tests hand to
    /// [`crate::Balancer::update`].
    pub fn new(id: u32, address: impl Into<String>) -> Self {
        let address = address.into();
        Self { id, name: address.clone(), address, weight: 1, backup: false, tags: Vec::new() }
    }

    /// With this weight.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// With one more tag.
    #[must_use]
    pub fn with_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push(Tag { name: name.into(), value: value.into() });
        self
    }

    /// The value of a tag; none where the configuration gives the peer no such one.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
    }
}

impl Default for Grant {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Grant> for Verdict {
    fn from(grant: Grant) -> Self {
        Self::Grant(grant)
    }
}

impl From<Reply> for Verdict {
    fn from(reply: Reply) -> Self {
        Self::Deny(reply)
    }
}

impl From<Reply> for Decision {
    fn from(reply: Reply) -> Self {
        Self::Deny(reply)
    }
}

impl From<IpAddress> for std::net::IpAddr {
    fn from(address: IpAddress) -> Self {
        match address {
            IpAddress::Ipv4((a, b, c, d)) => [a, b, c, d].into(),
            IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => [a, b, c, d, e, f, g, h].into(),
        }
    }
}

impl From<std::net::IpAddr> for IpAddress {
    fn from(address: std::net::IpAddr) -> Self {
        match address {
            std::net::IpAddr::V4(v4) => Self::Ipv4(v4.octets().into()),
            std::net::IpAddr::V6(v6) => Self::Ipv6(v6.segments().into()),
        }
    }
}

impl From<Endpoint> for std::net::SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address.into(), endpoint.port)
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self { address: address.ip().into(), port: address.port() }
    }
}
