//! Which route of a site a path means. nginx: `location`.

use std::collections::HashMap;

use regex_lite::Captures;
use tidegate_plugin::ConfigError;

use crate::pattern::Pattern;
use crate::policy::RouteConfig;
use crate::rewrite::Rewrite;

/// The routes of one site.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    exact: HashMap<Box<str>, Exact>,
    /// In the order of their bytes.
    prefixes: Vec<Prefix>,
    /// In the order of the file.
    patterns: Vec<(Pattern, usize)>,
}

/// A route as it is answered.
#[derive(Debug)]
pub(crate) struct Route {
    /// Its name.
    pub(crate) name: Box<str>,
    /// What to ask the upstream for, if it is not what the client asked for.
    pub(crate) rewrite: Option<Rewrite>,
}

#[derive(Debug)]
enum Exact {
    Route(usize),
    /// No route has this path, but one has it with a slash at the end.
    AddSlash(Box<str>),
}

#[derive(Debug)]
struct Prefix {
    text: Box<str>,
    route: usize,
    /// `^~`: patterns are not asked.
    is_final: bool,
    /// The longest other prefix that this one begins with: an index.
    shorter: Option<usize>,
}

/// What was found for a path.
#[derive(Debug)]
pub(crate) enum Found<'p, 't> {
    /// A route.
    Route(&'p Route),
    /// A route by its pattern.
    Match(&'p Route, &'p Pattern, Captures<'t>),
    /// A route that would be found with a slash at the end, which this is.
    AddSlash(&'p str),
}

impl Routes {
    /// Sort the routes of a site by kind. `pointer` is where they stand.
    pub(crate) fn new(configs: &[RouteConfig], pointer: &str) -> Result<Self, ConfigError> {
        let mut routes = Self::default();
        for (index, config) in configs.iter().enumerate() {
            let at = |key: &str, what: String| ConfigError::new(format!("{pointer}/{index}/{key}"), what);
            let kind = Kind::parse(&config.pattern).map_err(|what| at("match", what))?;
            let rewrite = kind.rewrite(config).map_err(|(key, what)| at(key, what))?;
            routes.add(kind, index).map_err(|what| at("match", what))?;
            routes.routes.push(Route { name: config.name.as_str().into(), rewrite });
        }
        routes.link().map_err(|(index, what)| ConfigError::new(format!("{pointer}/{index}/match"), what))?;
        Ok(routes)
    }

    fn add(&mut self, kind: Kind<'_>, index: usize) -> Result<(), String> {
        match kind {
            Kind::Exact(path) => {
                if let Some(Exact::Route(before)) = self.exact.insert(path.into(), Exact::Route(index)) {
                    return Err(self.taken(before));
                }
            }
            Kind::Prefix { text, is_final } => {
                self.prefixes.push(Prefix { text: text.into(), route: index, is_final, shorter: None });
            }
            Kind::Pattern(pattern) => self.patterns.push((pattern, index)),
        }
        Ok(())
    }

    fn taken(&self, before: usize) -> String {
        let name = self.routes.get(before).map_or("", |route| &*route.name);
        format!("route `{name}` of this site has the same")
    }

    /// Once all routes are known: order the prefixes, link each to the shorter one that
    /// it begins with, and note the paths that lack only a slash.
    fn link(&mut self) -> Result<(), (usize, String)> {
        self.prefixes.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(a.route.cmp(&b.route)));
        if let Some([first, second]) = self.prefixes.array_windows().find(|[a, b]| a.text == b.text) {
            return Err((second.route, self.taken(first.route)));
        }
        let mut open: Vec<(usize, Box<str>)> = Vec::new();
        for (index, prefix) in self.prefixes.iter_mut().enumerate() {
            while open.last().is_some_and(|(_, text)| !prefix.text.starts_with(&**text)) {
                open.pop();
            }
            prefix.shorter = open.last().map(|(shorter, _)| *shorter);
            open.push((index, prefix.text.clone()));
        }
        let exact = self.exact.keys();
        let with_slash: Vec<Box<str>> = exact.chain(self.prefixes.iter().map(|prefix| &prefix.text)).cloned().collect();
        for path in with_slash {
            let Some(without) = path.strip_suffix('/').filter(|rest| !rest.is_empty()) else { continue };
            if self.prefixes.binary_search_by(|prefix| (*prefix.text).cmp(without)).is_err() {
                self.exact.entry(without.into()).or_insert_with(|| Exact::AddSlash(path.clone()));
            }
        }
        Ok(())
    }

    /// The route of a normalised path, as nginx chooses: `=`; else of the longest prefix
    /// if that says `^~`; else of the first pattern; else of the longest prefix.
    pub(crate) fn find<'p, 't>(&'p self, path: &'t str) -> Option<Found<'p, 't>> {
        match self.exact.get(path) {
            Some(Exact::Route(index)) => return self.routes.get(*index).map(Found::Route),
            Some(Exact::AddSlash(name)) => return Some(Found::AddSlash(name)),
            None => {}
        }
        let longest = self.longest_prefix(path);
        if !longest.is_some_and(|prefix| prefix.is_final) {
            for (pattern, index) in &self.patterns {
                let route = self.routes.get(*index)?;
                // Finding is cheaper than capturing.
                if route.rewrite.is_none() && !pattern.is_capturing() {
                    if pattern.is_match(path) {
                        return Some(Found::Route(route));
                    }
                } else if let Some(captures) = pattern.captures(path) {
                    return Some(Found::Match(route, pattern, captures));
                }
            }
        }
        self.routes.get(longest?.route).map(Found::Route)
    }

    /// Every prefix of `path` among ours is the last of those that sort before it, or
    /// one that this begins with: what sorts between a prefix and the path has it too.
    fn longest_prefix(&self, path: &str) -> Option<&Prefix> {
        let after = self.prefixes.partition_point(|prefix| &*prefix.text <= path);
        let mut candidate = self.prefixes.get(after.checked_sub(1)?)?;
        while !path.starts_with(&*candidate.text) {
            candidate = self.prefixes.get(candidate.shorter?)?;
        }
        Some(candidate)
    }
}

/// A route's `match`, taken apart.
enum Kind<'c> {
    Exact(&'c str),
    Prefix { text: &'c str, is_final: bool },
    Pattern(Pattern),
}

impl<'c> Kind<'c> {
    fn parse(text: &'c str) -> Result<Self, String> {
        let kind = if let Some(pattern) = text.strip_prefix("~*") {
            return Pattern::new(pattern.trim_start(), true).map(Self::Pattern);
        } else if let Some(pattern) = text.strip_prefix('~') {
            return Pattern::new(pattern.trim_start(), false).map(Self::Pattern);
        } else if let Some(path) = text.strip_prefix('=') {
            Self::Exact(path.trim_start())
        } else if let Some(prefix) = text.strip_prefix("^~") {
            Self::Prefix { text: prefix.trim_start(), is_final: true }
        } else {
            Self::Prefix { text, is_final: false }
        };
        match kind {
            Self::Exact(path) | Self::Prefix { text: path, .. } if !path.starts_with('/') => {
                Err(format!("`{text}`: a path begins with `/` (forms: `/x`, `= /x`, `^~ /x`, `~ re`, `~* re`)"))
            }
            kind => Ok(kind),
        }
    }

    /// The route's rewrite, or its wrong key and what is wrong.
    fn rewrite(&self, config: &RouteConfig) -> Result<Option<Rewrite>, (&'static str, String)> {
        match (self, &config.replace_prefix, &config.rewrite) {
            (_, None, None) => Ok(None),
            (Self::Pattern(pattern), None, Some(template)) => {
                Rewrite::template(template, pattern).map(Some).map_err(|what| ("rewrite", what))
            }
            (Self::Pattern(_), Some(_), _) => {
                Err(("replace_prefix", "a pattern has no prefix to replace: use `rewrite`".to_owned()))
            }
            (Self::Exact(text) | Self::Prefix { text, .. }, Some(new), None) => {
                Rewrite::prefix(new, text.len()).map(Some).map_err(|what| ("replace_prefix", what))
            }
            (_, _, Some(_)) => {
                Err(("rewrite", "only a route that matches by a pattern has captures: use `replace_prefix`".to_owned()))
            }
        }
    }
}
