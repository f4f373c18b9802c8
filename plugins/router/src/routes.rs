//! Which route of a site a path means. nginx: `location`.

use std::collections::HashMap;

use tidegate_plugin::{ConfigError, Template};

use crate::https::HttpsConfig;
use crate::kind::Kind;
use crate::pattern::Pattern;
use crate::policy::{RouteConfig, Script};
use crate::respond::RedirectConfig;
use crate::rewrite::Rewrite;
use crate::state::Captured;

/// The routes of one site, those within others among them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// The site's own level comes first.
    levels: Vec<Level>,
}

/// A route as it is answered.
#[derive(Debug)]
pub(crate) struct Route {
    /// Its name.
    pub(crate) name: Box<str>,
    /// What to ask the upstream for, if it is not what the client asked for.
    pub(crate) rewrite: Option<Rewrite>,
    /// What it does before.
    pub(crate) script: Script,
    /// The name of the upstream to ask, where that depends on the request.
    pub(crate) upstream: Option<Template>,
    /// How its redirects are completed.
    pub(crate) redirects: RedirectConfig,
    /// Where clients without TLS are sent.
    pub(crate) https: Option<HttpsConfig>,
    /// The routes within it: an index.
    level: Option<usize>,
}

impl Route {
    /// Whether it needs what its pattern captures by number.
    fn reads_groups(&self) -> bool {
        self.rewrite.is_some() || self.upstream.is_some() || !self.script.is_empty()
    }
}

/// Routes that stand beside each other.
#[derive(Debug, Default)]
struct Level {
    exact: HashMap<Box<str>, Exact>,
    /// In the order of their bytes.
    prefixes: Vec<Prefix>,
    /// In the order of the file.
    patterns: Vec<(Pattern, usize)>,
}

#[derive(Debug)]
enum Exact {
    Route(usize),
    /// No route has this path, but this one has it with a slash at the end.
    AddSlash {
        path: Box<str>,
        route: usize,
    },
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
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'p> {
    /// A route.
    Route(&'p Route),
    /// A route that would be found with a slash at the end: this path.
    AddSlash(&'p Route, &'p str),
}

impl<'p> Found<'p> {
    /// The route that it is about.
    pub(crate) fn route(self) -> &'p Route {
        match self {
            Self::Route(route) | Self::AddSlash(route, _) => route,
        }
    }
}

impl Routes {
    /// Whether one of them has what is asked for.
    pub(crate) fn any<T>(&self, has: impl Fn(&Route) -> Option<T>) -> bool {
        self.routes.iter().any(|route| has(route).is_some())
    }

    /// Whether this is so of each of them.
    pub(crate) fn all(&self, is: impl Fn(&Route) -> bool) -> bool {
        self.routes.iter().all(is)
    }

    /// Sort the routes of a site by kind. `pointer` is where they stand.
    pub(crate) fn new(configs: &[RouteConfig], pointer: &str) -> Result<Self, ConfigError> {
        let mut routes = Self::default();
        routes.level(configs, pointer, None)?;
        Ok(routes)
    }

    /// Add routes that stand beside each other, within `outer` if there is one.
    fn level(
        &mut self,
        configs: &[RouteConfig],
        pointer: &str,
        outer: Option<&Kind<'_>>,
    ) -> Result<usize, ConfigError> {
        let number = self.levels.len();
        self.levels.push(Level::default());
        let mut level = Level::default();
        let mut places = Vec::with_capacity(configs.len());
        for (index, config) in configs.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let at = |key: &str, what: String| ConfigError::new(format!("{pointer}/{key}"), what);
            let kind = Kind::parse(&config.pattern).map_err(|what| at("match", what))?;
            if let Some(outer) = outer {
                kind.check_inside(outer).map_err(|what| at("match", what))?;
            }
            let route = Route {
                name: config.name.as_str().into(),
                rewrite: kind.rewrite(config).map_err(|(key, what)| at(key, what))?,
                script: Script::new(&config.rewrites, config.respond.as_ref(), &pointer)?,
                upstream: config
                    .upstream
                    .as_deref()
                    .map(Template::parse)
                    .transpose()
                    .map_err(|what| at("upstream", what))?,
                redirects: config.redirects,
                https: config.https.map(|https| https.check(&pointer)).transpose()?,
                level: None,
            };
            let place = self.routes.len();
            self.routes.push(route);
            places.push(place);
            if !config.routes.is_empty() {
                let inner = self.level(&config.routes, &format!("{pointer}/routes"), Some(&kind))?;
                if let Some(route) = self.routes.get_mut(place) {
                    route.level = Some(inner);
                }
            }
            self.add(&mut level, kind, place).map_err(|what| at("match", what))?;
        }
        let linked = self.link(&mut level);
        linked.map_err(|(route, what)| {
            let index = places.iter().position(|place| *place == route).unwrap_or_default();
            ConfigError::new(format!("{pointer}/{index}/match"), what)
        })?;
        if let Some(place) = self.levels.get_mut(number) {
            *place = level;
        }
        Ok(number)
    }

    fn add(&self, level: &mut Level, kind: Kind<'_>, route: usize) -> Result<(), String> {
        match kind {
            Kind::Exact(path) => {
                if let Some(Exact::Route(before)) = level.exact.insert(path.into(), Exact::Route(route)) {
                    return Err(self.taken(before));
                }
            }
            Kind::Prefix { text, is_final } => {
                level.prefixes.push(Prefix { text: text.into(), route, is_final, shorter: None });
            }
            Kind::Pattern(pattern) => level.patterns.push((pattern, route)),
        }
        Ok(())
    }

    fn taken(&self, before: usize) -> String {
        let name = self.routes.get(before).map_or("", |route| &*route.name);
        format!("route `{name}` of this site has the same")
    }

    /// Once all routes of a level are known: order the prefixes, link each to the shorter
    /// one that it begins with, and note the paths that lack only a slash.
    fn link(&self, level: &mut Level) -> Result<(), (usize, String)> {
        let prefixes = &mut level.prefixes;
        prefixes.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(a.route.cmp(&b.route)));
        if let Some([first, second]) = prefixes.array_windows().find(|[a, b]| a.text == b.text) {
            return Err((second.route, self.taken(first.route)));
        }
        let mut open: Vec<(usize, Box<str>)> = Vec::new();
        for (index, prefix) in prefixes.iter_mut().enumerate() {
            while open.last().is_some_and(|(_, text)| !prefix.text.starts_with(&**text)) {
                open.pop();
            }
            prefix.shorter = open.last().map(|(shorter, _)| *shorter);
            open.push((index, prefix.text.clone()));
        }
        let exact = level.exact.iter().filter_map(|(path, exact)| match exact {
            Exact::Route(route) => Some((path.clone(), *route)),
            Exact::AddSlash { .. } => None,
        });
        let with_slash: Vec<_> =
            exact.chain(level.prefixes.iter().map(|prefix| (prefix.text.clone(), prefix.route))).collect();
        for (path, route) in with_slash {
            // nginx redirects only where the location passes requests on.
            let passes_on = self.routes.get(route).is_some_and(|route| !route.script.responds());
            let Some(without) = path.strip_suffix('/').filter(|rest| passes_on && !rest.is_empty()) else { continue };
            if level.prefixes.binary_search_by(|prefix| (*prefix.text).cmp(without)).is_err() {
                level.exact.entry(without.into()).or_insert_with(|| Exact::AddSlash { path: path.clone(), route });
            }
        }
        Ok(())
    }

    /// The route of a normalised path, as nginx chooses on each level: `=`; else of the
    /// longest prefix if that says `^~`; else of the first pattern; else of the longest
    /// prefix. What matches looks among the routes within it; patterns beside it are
    /// asked where no pattern within matched.
    pub(crate) fn find(&self, path: &str, captured: &mut Captured) -> Option<Found<'_>> {
        self.find_in(0, path, captured).0
    }

    /// What a level has, and whether that is settled.
    fn find_in(&self, level: usize, path: &str, captured: &mut Captured) -> (Option<Found<'_>>, bool) {
        let Some(level) = self.levels.get(level) else { return (None, false) };
        match level.exact.get(path) {
            Some(Exact::Route(route)) => return (self.routes.get(*route).map(Found::Route), true),
            Some(Exact::AddSlash { path, route }) => {
                return (self.routes.get(*route).map(|route| Found::AddSlash(route, path)), true);
            }
            None => {}
        }
        let mut found = None;
        let mut asks_patterns = true;
        if let Some((prefix, route)) = level.longest_prefix(path).and_then(|p| Some((p, self.routes.get(p.route)?))) {
            found = Some(Found::Route(route));
            asks_patterns = !prefix.is_final;
            if let Some(inner) = route.level {
                let (within, is_settled) = self.find_in(inner, path, captured);
                found = within.or(found);
                if is_settled {
                    return (found, true);
                }
            }
        }
        if asks_patterns {
            for (pattern, route) in &level.patterns {
                let Some(route) = self.routes.get(*route) else { continue };
                if !matches(pattern, route, path, captured) {
                    continue;
                }
                let within = route.level.and_then(|inner| self.find_in(inner, path, captured).0);
                return (within.or(Some(Found::Route(route))), true);
            }
        }
        (found, false)
    }
}

/// Whether a route's pattern matches; notes what it captures if somebody reads it.
fn matches(pattern: &Pattern, route: &Route, path: &str, captured: &mut Captured) -> bool {
    // Finding is cheaper than capturing.
    if !route.reads_groups() && route.level.is_none() && !pattern.is_capturing() {
        return pattern.is_match(path);
    }
    let Some(captures) = pattern.captures(path) else { return false };
    captured.groups = pattern.values(&captures);
    captured.name(pattern.variables(&captures));
    true
}

impl Level {
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
