//! A request on its way through the rules: what it asks for now.

use std::cell::OnceCell;
use std::net::SocketAddr;

use crate::pattern::Variables;

/// The request that the router is asked about. Each call costs one into the host.
pub trait Asked {
    /// nginx: `$host`.
    fn host(&self) -> String;
    /// The proxy's end of the connection.
    fn local(&self) -> SocketAddr;
    /// nginx: `$uri`, before any rule.
    fn path(&self) -> String;
    /// nginx: `$request_uri`.
    fn target(&self) -> String;
    /// What stands before a path in an absolute URL; `host` in place of the request's.
    fn base_url(&self, host: Option<&str>, with_port: bool) -> String;
    /// Any variable by its name.
    fn variable(&self, name: &str) -> Option<String>;
}

/// What patterns captured.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// By name, for as long as the request lives.
    pub(crate) variables: Variables,
    /// By number, of the last pattern that matched.
    pub(crate) groups: Vec<String>,
}

impl Captured {
    /// Put named groups on the request; a later value of a name replaces an earlier one.
    pub(crate) fn name(&mut self, variables: Variables) {
        for (name, value) in variables {
            self.variables.retain(|(n, _)| *n != name);
            self.variables.push((name, value));
        }
    }
}

/// What a request asks for now, after the rules so far.
pub(crate) struct State<'r> {
    asked: &'r dyn Asked,
    /// The first name of the site; empty for none.
    pub(crate) site: &'r str,
    /// nginx: `$uri`.
    pub(crate) path: String,
    /// Whether a rule has changed the path. nginx: not `valid_unparsed_uri`.
    pub(crate) changed: bool,
    /// Whether a prefix may be replaced still. nginx: `valid_location`.
    pub(crate) is_located: bool,
    /// What patterns captured.
    pub(crate) captured: Captured,
    target: OnceCell<String>,
    /// The query, where a rule has changed it.
    args: Option<String>,
}

impl<'r> State<'r> {
    /// A request that no rule has touched.
    pub(crate) fn new(asked: &'r dyn Asked, site: &'r str, variables: Variables) -> Self {
        Self {
            asked,
            site,
            path: asked.path(),
            changed: false,
            is_located: true,
            captured: Captured { variables, groups: Vec::new() },
            target: OnceCell::new(),
            args: None,
        }
    }

    /// The target as the client sent it.
    fn target(&self) -> &str {
        self.target.get_or_init(|| self.asked.target())
    }

    /// The path as the client sent it.
    pub(crate) fn raw_path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// The query; empty for none. nginx: `$args`.
    pub(crate) fn args(&self) -> &str {
        match &self.args {
            Some(args) => args,
            None => self.target().split_once('?').map_or("", |(_, query)| query),
        }
    }

    /// Ask for something else from now on.
    pub(crate) fn change(&mut self, path: String, args: Option<String>) {
        // What the client sent decides about escapes later.
        self.target();
        self.path = path;
        self.changed = true;
        if args.is_some() {
            self.args = args;
        }
    }

    /// A variable's value now; none where it has none.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        if let Ok(number) = name.parse::<usize>() {
            return self.captured.groups.get(number).cloned();
        }
        match name {
            "uri" | "document_uri" => return Some(self.path.clone()),
            "args" | "query_string" => return Some(self.args().to_owned()),
            "is_args" => return Some(if self.args().is_empty() { "" } else { "?" }.to_owned()),
            "server_name" | "site" => return Some(self.site.to_owned()),
            "host" => return Some(Some(self.asked.host()).filter(|h| !h.is_empty()).unwrap_or(self.site.to_owned())),
            _ => {}
        }
        let captured = self.captured.variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        captured.or_else(|| self.asked.variable(name))
    }
}
