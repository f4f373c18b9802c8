//! Rewrite rules: a pattern, what the path becomes, and what then. nginx: `rewrite`, and `if`
//! around it, `return` and `break`.

use serde::Deserialize;
use tidegate_plugin::template::Part;
use tidegate_plugin::{ConfigError, Template};

use crate::escape::{As, escape, query, unescape_redirect, was_escaped};
use crate::pattern::Pattern;
use crate::respond::{Respond, RespondConfig};
use crate::state::State;

/// One rule. nginx: `rewrite MATCH TO FLAG`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// A regular expression for the path; every path without one.
    #[serde(rename = "match", default)]
    pub pattern: Option<String>,
    /// The new path and query, or a URL to redirect to; the path stays without one.
    #[serde(default)]
    pub to: Option<String>,
    /// A text with variables; where it is empty or `0` the rule is passed over. nginx: `if`.
    #[serde(default, rename = "if")]
    pub when: Option<String>,
    /// An answer instead of another path. nginx: `return`.
    #[serde(default)]
    pub respond: Option<RespondConfig>,
    /// What then; without one the rules go on.
    #[serde(default)]
    pub flag: Option<Flag>,
}

/// What happens after a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flag {
    /// No more rules; the new path looks for its route.
    Last,
    /// No more rules; the new path stays in this route.
    Break,
    /// A redirect with 302.
    Redirect,
    /// A redirect with 301.
    Permanent,
}

/// One rule, prepared.
#[derive(Debug)]
pub(crate) struct Rule {
    when: Option<Template>,
    pattern: Option<Pattern>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Change(Box<Change>),
    Respond(Respond),
    Stop,
}

/// Another path, or a redirect.
#[derive(Debug)]
struct Change {
    path: Template,
    /// What follows the first `?`.
    args: Option<Template>,
    /// Whether the request's own query is added. nginx: not with a `?` at the end.
    adds_args: bool,
    flag: Option<Flag>,
    /// Answer with this status instead of going on.
    redirect: Option<u16>,
}

/// What a rule did.
pub(crate) enum Did<'r> {
    /// It does not match.
    Nothing,
    /// The path is another.
    Changed(Option<Flag>),
    /// This is the answer: a status and a location.
    Redirect(u16, String),
    /// This is the answer.
    Answer(&'r Respond),
    /// Nothing more happens here. nginx: `break`.
    Stop,
}

impl Rule {
    /// Prepare rules; `pointer` is where they stand.
    pub(crate) fn all(configs: &[RuleConfig], pointer: &str) -> Result<Vec<Self>, ConfigError> {
        configs.iter().enumerate().map(|(index, config)| Self::new(config, &format!("{pointer}/{index}"))).collect()
    }

    fn new(config: &RuleConfig, pointer: &str) -> Result<Self, ConfigError> {
        let wrong = |key: &str, what: String| ConfigError::new(format!("{pointer}/{key}"), what);
        let pattern = config.pattern.as_deref().map(|pattern| Pattern::new(pattern, false));
        let pattern = pattern.transpose().map_err(|what| wrong("match", what))?;
        let when = config.when.as_deref().map(Template::parse).transpose().map_err(|what| wrong("if", what))?;
        let groups = pattern.as_ref().map_or(1, Pattern::groups);
        let action = match (&config.to, &config.respond, config.flag) {
            (Some(to), None, flag) => {
                Action::Change(Box::new(Change::new(to, flag, groups).map_err(|(key, what)| wrong(key, what))?))
            }
            (None, Some(respond), None) => Action::Respond(Respond::new(respond, &format!("{pointer}/respond"))?),
            (None, None, Some(Flag::Break)) => Action::Stop,
            _ => return Err(wrong("to", "a rule has `to`, or `respond`, or `flag = \"break\"` alone".to_owned())),
        };
        Ok(Self { when, pattern, action })
    }

    /// Apply it to a request.
    pub(crate) fn apply(&self, state: &mut State<'_>) -> Did<'_> {
        if let Some(when) = &self.when
            && matches!(when.value(|name| state.variable(name)).as_str(), "" | "0")
        {
            return Did::Nothing;
        }
        if let Some(pattern) = &self.pattern {
            let Some(captures) = pattern.captures(&state.path) else { return Did::Nothing };
            let (groups, variables) = (pattern.values(&captures), pattern.variables(&captures));
            state.captured.groups = groups;
            state.captured.name(variables);
        }
        match &self.action {
            Action::Change(change) => change.apply(state),
            Action::Respond(respond) => Did::Answer(respond),
            Action::Stop => Did::Stop,
        }
    }
}

impl Change {
    fn new(to: &str, flag: Option<Flag>, groups: usize) -> Result<Self, (&'static str, String)> {
        let is_url = ["http://", "https://", "$scheme", "${scheme}"].iter().any(|start| to.starts_with(start));
        if !(is_url || to.starts_with('/') || to.starts_with('$')) {
            return Err(("to", format!("`{to}` begins neither with `/` nor as a URL")));
        }
        let redirect = match flag {
            Some(Flag::Permanent) => Some(301),
            Some(Flag::Redirect) => Some(302),
            _ if is_url => Some(302),
            _ => None,
        };
        let (target, adds_args) = to.strip_suffix('?').map_or((to, true), |target| (target, false));
        let (path, args) = target.split_once('?').map_or((target, None), |(path, args)| (path, Some(args)));
        let template = |text| Template::parse(text).map_err(|what| ("to", what));
        let (path, args) = (template(path)?, args.map(template).transpose()?);
        for name in [Some(&path), args.as_ref()].into_iter().flatten().flat_map(Template::names) {
            if name.parse::<usize>().is_ok_and(|number| number >= groups) {
                return Err(("to", format!("`{to}`: the pattern has no group `{name}`")));
            }
        }
        Ok(Self { path, args, adds_args, flag, redirect })
    }

    fn apply(&self, state: &mut State<'_>) -> Did<'static> {
        if let Some(status) = self.redirect {
            return Did::Redirect(status, self.location(state));
        }
        let path = fill(&self.path, state, None);
        let args = match &self.args {
            Some(template) => {
                let mut args = fill(template, state, Some(As::Query));
                if self.adds_args && !state.args().is_empty() {
                    args.push('&');
                    args.push_str(state.args());
                }
                Some(query(args))
            }
            None if self.adds_args => None,
            None => Some(String::new()),
        };
        state.change(path, args);
        if self.flag == Some(Flag::Break) {
            state.is_located = false;
        }
        Did::Changed(self.flag)
    }

    fn location(&self, state: &State<'_>) -> String {
        let mut text = fill(&self.path, state, Some(As::Query));
        if let Some(args) = &self.args {
            text.push('?');
            text.push_str(&fill(args, state, Some(As::Query)));
        }
        let mut location = unescape_redirect(&text);
        if self.adds_args && !state.args().is_empty() {
            location.push(if self.args.is_some() { '&' } else { '?' });
            location.push_str(state.args());
        }
        location
    }
}

/// A template's text. Groups of the pattern are escaped as nginx does where the client
/// escaped something; other variables never are.
fn fill(template: &Template, state: &State<'_>, how: Option<As>) -> String {
    let mut out = String::new();
    for part in template.parts() {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Variable(name) => {
                let value = state.variable(name).unwrap_or_default();
                match how.filter(|how| name.parse::<usize>().is_ok() && was_escaped(state.raw_path(), *how)) {
                    Some(how) => escape(&value, how, state.raw_path(), &mut out),
                    None => out.push_str(&value),
                }
            }
        }
    }
    out
}
