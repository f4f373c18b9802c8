//! Which site a host name means. nginx: `server_name`.

use std::collections::HashMap;

use tidegate_plugin::ConfigError;

use crate::pattern::{Pattern, Variables};
use crate::policy::SiteConfig;

/// The names of all sites.
#[derive(Debug, Default)]
pub(crate) struct Names {
    exact: HashMap<Box<str>, usize>,
    /// `*.x`, by `x`.
    leading: HashMap<Box<str>, usize>,
    /// `x.*`, by `x`.
    trailing: HashMap<Box<str>, usize>,
    patterns: Vec<(Pattern, usize)>,
    default: usize,
    /// The longest key of `leading` and `trailing`, so that a host of very many labels
    /// is not looked up label by label.
    longest: usize,
}

impl Names {
    /// Sort the names of the sites by kind.
    pub(crate) fn new(sites: &[SiteConfig]) -> Result<Self, ConfigError> {
        let mut names = Self::default();
        let mut default = None;
        for (site, config) in sites.iter().enumerate() {
            if config.default
                && let Some(before) = default.replace(site)
            {
                let message = format!("site {before} is the default already");
                return Err(ConfigError::new(format!("/sites/{site}/default"), message));
            }
            for (index, name) in config.names.iter().enumerate() {
                let added = names.add(name, site);
                added.map_err(|what| ConfigError::new(format!("/sites/{site}/names/{index}"), what))?;
            }
        }
        names.default = default.unwrap_or(0);
        Ok(names)
    }

    fn add(&mut self, name: &str, site: usize) -> Result<(), String> {
        if let Some(pattern) = name.strip_prefix('~') {
            // Host names have no case, and the host gives them in lower case.
            self.patterns.push((Pattern::new(pattern, true)?, site));
            return Ok(());
        }
        let lower = name.to_ascii_lowercase();
        let (map, key) = if let Some(key) = lower.strip_prefix("*.") {
            (&mut self.leading, key)
        } else if let Some(key) = lower.strip_suffix(".*") {
            (&mut self.trailing, key)
        } else if let Some(key) = lower.strip_prefix('.') {
            insert(&mut self.exact, key, site, name)?;
            (&mut self.leading, key)
        } else {
            return insert(&mut self.exact, &lower, site, name);
        };
        self.longest = self.longest.max(key.len());
        if key.is_empty() {
            return Err(format!("`{name}`: there is no name besides the wildcard"));
        }
        insert(map, key, site, name)
    }

    /// Whether a name has groups that become variables.
    pub(crate) fn are_capturing(&self) -> bool {
        self.patterns.iter().any(|(pattern, _)| pattern.is_capturing())
    }

    /// The site of a host name in lower case without port, and what its pattern
    /// captured: exact name, longest `*.x`, longest `x.*`, first pattern, default.
    pub(crate) fn find(&self, host: &str) -> (usize, Variables) {
        let simple = self.exact.get(host).or_else(|| self.leading(host)).or_else(|| self.trailing(host));
        if let Some(site) = simple {
            return (*site, Variables::new());
        }
        for (pattern, site) in &self.patterns {
            if !pattern.is_capturing() {
                if pattern.is_match(host) {
                    return (*site, Variables::new());
                }
            } else if let Some(captures) = pattern.captures(host) {
                return (*site, pattern.variables(&captures));
            }
        }
        (self.default, Variables::new())
    }

    fn leading(&self, host: &str) -> Option<&usize> {
        if self.leading.is_empty() {
            return None;
        }
        let rests = host.match_indices('.').filter(|(at, _)| *at > 0).filter_map(|(at, _)| host.get(at + 1..));
        rests.filter(|rest| rest.len() <= self.longest).find_map(|rest| self.leading.get(rest))
    }

    fn trailing(&self, host: &str) -> Option<&usize> {
        if self.trailing.is_empty() {
            return None;
        }
        let starts =
            host.rmatch_indices('.').filter(|(at, _)| at + 1 < host.len()).filter_map(|(at, _)| host.get(..at));
        starts.filter(|start| start.len() <= self.longest).find_map(|start| self.trailing.get(start))
    }
}

fn insert(map: &mut HashMap<Box<str>, usize>, key: &str, site: usize, name: &str) -> Result<(), String> {
    if key.contains('*') {
        return Err(format!(
            "`{name}`: a `*` stands for whole labels at the start or the end: `*.example.com`, `mail.*`"
        ));
    }
    match map.insert(key.into(), site) {
        None => Ok(()),
        Some(before) => Err(format!("`{name}` is a name of site {before} already")),
    }
}
