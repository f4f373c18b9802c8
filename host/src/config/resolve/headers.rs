//! The header rules of sites and routes: what the stock plugin header-map is told.

use http::HeaderName;
use serde_json::{Map as Object, Value as Json, json};

use super::maps;
use super::note;
use super::plugin::Generated;
use super::upstream_values::Values;
use crate::config::key::Key;
use crate::config::keys as k;
use crate::config::pattern;
use crate::config::reader::{Reader, Text, entries};
use crate::config::types::Spot;
use crate::config::variables::Variables;
use crate::hook::{Hook, HookSet, is_hosts_own};

/// What a rule does with a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Set,
    Append,
    /// Appended where the status is one of nginx's.
    Add,
    Remove,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Set, Self::Append, Self::Add, Self::Remove];

    fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Append => "append",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// One rule.
#[derive(Clone)]
struct Rule<'a> {
    operation: Operation,
    name: &'a str,
    /// Empty for `remove`.
    value: Text<'a>,
}

/// The rules of one site or route, or of a route and its site together.
#[derive(Clone, Default)]
pub(super) struct Rules<'a> {
    request: Vec<Rule<'a>>,
    response: Vec<Rule<'a>>,
}

impl<'a> Rules<'a> {
    /// The rules that stand in this very table.
    pub(super) fn read(table: &Reader<'a>, variables: &Variables) -> Self {
        use Operation::{Add, Append, Set};
        let request = [(&k::SET_HEADERS, Set), (&k::APPEND_HEADERS, Append)];
        let response =
            [(&k::SET_RESPONSE_HEADERS, Set), (&k::APPEND_RESPONSE_HEADERS, Append), (&k::ADD_RESPONSE_HEADERS, Add)];
        check_security(table, variables);
        Self {
            request: read(table, &request, &k::REMOVE_HEADERS, variables),
            response: read(table, &response, &k::REMOVE_RESPONSE_HEADERS, variables),
        }
    }

    /// Whether there are rules for what the client sees.
    pub(super) fn change_answers(&self) -> bool {
        !self.response.is_empty()
    }

    /// Whether there is a rule for a header that clients see.
    pub(super) fn tell_clients(&self, name: &str) -> bool {
        self.response.iter().any(|rule| rule.name.eq_ignore_ascii_case(name))
    }

    /// What the upstream's Host is set to by a rule; none without one.
    pub(super) fn host(&self) -> Option<&'a str> {
        let rule = self.request.iter().rfind(|rule| rule.name.eq_ignore_ascii_case("host"))?;
        (rule.operation == Operation::Set).then_some(rule.value.text)
    }

    /// A route's rules, and those of its site for names that the route has no rule for.
    pub(super) fn under(self, site: &Self) -> Self {
        Self { request: merge(self.request, &site.request), response: merge(self.response, &site.response) }
    }

    /// What header-map is told for this route; none where it has nothing to do.
    pub(super) fn generate(&self, route: &Reader<'a>, values: Values) -> Option<Generated> {
        let defaults = route.flag(&k::DEFAULT_HEADERS);
        let mut hooks = HookSet::default();
        if defaults || !self.request.is_empty() {
            hooks = hooks.with(Hook::RequestHeaders);
        }
        if !self.response.is_empty() || !values.headers.is_empty() {
            hooks = hooks.with(Hook::ResponseHeaders);
        }
        hooks.iter().next()?;
        let mut spots = values.spots;
        let mut request = Object::new();
        request.insert("defaults".into(), defaults.into());
        request.extend(direction(route, &self.request, "/request", &mut spots));
        let response = direction(route, &self.response, "/response", &mut spots);
        let mut config = Object::new();
        config.insert("request".into(), Json::Object(request));
        config.insert("response".into(), Json::Object(response));
        if !values.headers.is_empty() {
            config.insert("upstream".into(), Json::Object(values.config));
        }
        let response_with = if self.response.is_empty() { values.headers } else { Vec::new() };
        Some(Generated { config, spots, at: route.at, path: route.path.clone(), hooks: Some(hooks), response_with })
    }
}

/// `pass_response_headers` of the route, or else of its site.
pub(super) fn passed(table: &Reader<'_>) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for text in table.texts(&k::PASS_RESPONSE_HEADERS).unwrap_or_default() {
        match HeaderName::from_bytes(text.text.as_bytes()) {
            Ok(name) => names.push(name),
            Err(_) => table.cx.problem(text.at, &text.path, format!("\"{}\" is not a header's name", text.text)),
        }
    }
    names
}

fn read<'a>(table: &Reader<'a>, maps: &[(&Key, Operation)], remove: &Key, variables: &Variables) -> Vec<Rule<'a>> {
    let mut rules = Vec::new();
    for (key, operation) in maps.iter().copied() {
        for entry in table.own_map(key) {
            check_name(table, entry.name, entry.name_at, &entry.value.path);
            check_value(table, &entry.value, variables);
            add(table, &mut rules, Rule { operation, name: entry.name, value: entry.value }, entry.name_at);
        }
    }
    for name in table.own_texts(remove) {
        check_name(table, name.text, name.at, &name.path);
        let at = name.at;
        let value = Text { text: "", path: name.path, at };
        add(table, &mut rules, Rule { operation: Operation::Remove, name: name.text, value }, at);
    }
    rules
}

/// Add a rule that does not contradict those before it. Set and append go together.
fn add<'a>(table: &Reader<'_>, rules: &mut Vec<Rule<'a>>, rule: Rule<'a>, at: usize) {
    let against = rules.iter().find(|r| {
        r.name.eq_ignore_ascii_case(rule.name) && (r.operation == rule.operation || rule.operation == Operation::Remove)
    });
    if let Some(other) = against {
        let message = format!("`{}` has a rule already: {}", rule.name, other.value.path);
        table.cx.problem(at, &rule.value.path, message);
    }
    rules.push(rule);
}

fn check_name(table: &Reader<'_>, name: &str, at: usize, path: &str) {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        table.cx.problem(at, path, format!("\"{name}\" is not a header's name"));
    } else if is_hosts_own(name) {
        let message = format!("`{name}` belongs to the connection and is the proxy's own");
        let hint = match name.to_ascii_lowercase().as_str() {
            "connection" | "upgrade" => "leave it out: WebSockets work on every route; other protocols: `upgrade`",
            _ => "leave it out",
        };
        table.cx.hinted(at, path, message, hint);
    }
}

fn check_value(table: &Reader<'_>, value: &Text<'_>, variables: &Variables) {
    if value.text.chars().any(|c| c.is_control() && c != '\t') {
        table.cx.problem(value.at, &value.path, "a header's value has no line ends or control characters");
    }
    match pattern::variables(value.text) {
        Ok(_) => maps::check_variables(table, value, variables),
        Err(fault) => note(table.cx, value.at, &value.path, fault),
    }
}

/// `security_headers` of this very table.
fn check_security(table: &Reader<'_>, variables: &Variables) {
    let Some(item) = table.own(&k::SECURITY_HEADERS) else { return };
    for entry in entries(&item) {
        check_name(table, entry.name, entry.name_at, &entry.value.path);
        check_value(table, &entry.value, variables);
    }
}

fn merge<'a>(route: Vec<Rule<'a>>, site: &[Rule<'a>]) -> Vec<Rule<'a>> {
    let inherited = site.iter().filter(|s| !route.iter().any(|r| r.name.eq_ignore_ascii_case(s.name)));
    let mut all: Vec<Rule<'a>> = inherited.cloned().collect();
    all.extend(route);
    all
}

/// `{"set": [["X-A", "1"]], "append": [], "remove": ["X-B"]}`
fn direction(route: &Reader<'_>, rules: &[Rule<'_>], pointer: &str, spots: &mut Vec<Spot>) -> Object<String, Json> {
    let mut object = Object::new();
    for operation in Operation::ALL {
        let name = operation.name();
        let mut list = Vec::new();
        for (i, rule) in rules.iter().filter(|r| r.operation == operation).enumerate() {
            spots.push(route.cx.spot(format!("{pointer}/{name}/{i}"), &rule.value.path, rule.value.at));
            list.push(match operation {
                Operation::Remove => json!(rule.name),
                _ => json!([rule.name, rule.value.text]),
            });
        }
        if operation != Operation::Add || !list.is_empty() {
            object.insert(name.to_owned(), Json::Array(list));
        }
    }
    object
}
