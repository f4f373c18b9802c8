//! Rewrite rules: a pattern, what the path becomes, and what then. nginx: `rewrite`.

use serde::Deserialize;
use tidegate_plugin::template::Part;
use tidegate_plugin::{ConfigError, Template};

use crate::escape::{As, escape, query, unescape_redirect, was_escaped};
use crate::pattern::Pattern;
use crate::state::State;

/// One rule. nginx: `rewrite MATCH TO FLAG`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// A regular expression for the path.
    #[serde(rename = "match")]
    pub pattern: String,
    /// The new path and query, or a URL to redirect to.
    pub to: String,
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
    pattern: Pattern,
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
pub(crate) enum Did {
    /// It does not match.
    Nothing,
    /// The path is another.
    Changed(Option<Flag>),
    /// This is the answer: a status and a location.
    Redirect(u16, String),
}

impl Rule {
    /// Prepare rules; `pointer` is where they stand.
    pub(crate) fn all(configs: &[RuleConfig], pointer: &str) -> Result<Vec<Self>, ConfigError> {
        let one = |(index, config)| {
            Self::new(config).map_err(|(key, what)| ConfigError::new(format!("{pointer}/{index}/{key}"), what))
        };
        configs.iter().enumerate().map(one).collect()
    }

    fn new(config: &RuleConfig) -> Result<Self, (&'static str, String)> {
        let pattern = Pattern::new(&config.pattern, false).map_err(|what| ("match", what))?;
        let to = config.to.as_str();
        let is_url = ["http://", "https://", "$scheme", "${scheme}"].iter().any(|start| to.starts_with(start));
        if !(is_url || to.starts_with('/') || to.starts_with('$')) {
            return Err(("to", format!("`{to}` begins neither with `/` nor as a URL")));
        }
        let redirect = match config.flag {
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
            if name.parse::<usize>().is_ok_and(|number| number >= pattern.groups()) {
                return Err(("to", format!("`{to}`: the pattern has no group `{name}`")));
            }
        }
        Ok(Self { pattern, path, args, adds_args, flag: config.flag, redirect })
    }

    /// Apply it to a request.
    pub(crate) fn apply(&self, state: &mut State<'_>) -> Did {
        let Some(captures) = self.pattern.captures(&state.path) else { return Did::Nothing };
        let (groups, variables) = (self.pattern.values(&captures), self.pattern.variables(&captures));
        state.captured.groups = groups;
        state.captured.name(variables);
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
