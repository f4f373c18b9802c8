//! Which site a host name means. nginx: `server_name`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_plugin::ConfigError;

use crate::pattern::{Pattern, Variables};
use crate::policy::{Asked, SiteConfig};

/// The names of all sites, by where they are listened for. nginx: `listen`.
#[derive(Debug)]
pub(crate) struct Listened {
    /// Of the sites that are at every listener.
    everywhere: Names,
    /// At these addresses: of the sites that name them, and of those at every listener.
    at: HashMap<SocketAddr, Names>,
}

impl Listened {
    /// Sort the sites.
    pub(crate) fn new(sites: &[SiteConfig]) -> Result<Self, ConfigError> {
        let mut at = HashMap::new();
        for (site, config) in sites.iter().enumerate() {
            for (index, text) in config.listen.iter().enumerate() {
                let address: SocketAddr = text.parse().map_err(|_| {
                    let message = format!("`{text}` is not an IP address and port");
                    ConfigError::new(format!("/sites/{site}/listen/{index}"), message)
                })?;
                if let Entry::Vacant(place) = at.entry(address) {
                    let is_there = |site: &SiteConfig| site.listen.is_empty() || site.listen.contains(text);
                    place.insert(Names::new(sites.iter().enumerate().filter(|(_, site)| is_there(site)))?);
                }
            }
        }
        let everywhere = Names::new(sites.iter().enumerate().filter(|(_, site)| site.listen.is_empty()))?;
        Ok(Self { everywhere, at })
    }

    /// Whether some request's host name makes a difference.
    pub(crate) fn needs_host(&self) -> bool {
        !self.everywhere.is_single || self.at.values().any(|names| !names.is_single)
    }

    /// The site of a request, and what its name's pattern captured; none where no site is at
    /// the listener.
    pub(crate) fn find(&self, asked: &dyn Asked) -> Option<(usize, Variables)> {
        self.names(asked).find(|| asked.host())
    }

    /// By the very address, else by one that stands for all of its port.
    fn names(&self, asked: &dyn Asked) -> &Names {
        if self.at.is_empty() {
            return &self.everywhere;
        }
        let local = asked.local();
        let all = |ip: IpAddr| SocketAddr::new(ip, local.port());
        // A listener at `[::]` takes IPv4 as well.
        let wildcards = [all(Ipv4Addr::UNSPECIFIED.into()), all(Ipv6Addr::UNSPECIFIED.into())];
        let wildcards = wildcards.iter().skip(usize::from(local.is_ipv6()));
        let found = std::iter::once(&local).chain(wildcards).find_map(|address| self.at.get(address));
        found.unwrap_or(&self.everywhere)
    }
}

/// The names of the sites at one listener.
#[derive(Debug, Default)]
struct Names {
    exact: HashMap<Box<str>, usize>,
    /// `*.x`, by `x`.
    leading: HashMap<Box<str>, usize>,
    /// `x.*`, by `x`.
    trailing: HashMap<Box<str>, usize>,
    patterns: Vec<(Pattern, usize)>,
    /// None where there is no site at all.
    default: Option<usize>,
    /// Whether the default takes every host and captures nothing.
    is_single: bool,
    /// The longest key of `leading` and `trailing`, so that a host of very many labels
    /// is not looked up label by label.
    longest: usize,
}

impl Names {
    /// Sort the names of these sites, which have their numbers with them, by kind.
    fn new<'s>(sites: impl Iterator<Item = (usize, &'s SiteConfig)>) -> Result<Self, ConfigError> {
        let mut names = Self::default();
        let mut default = None;
        let (mut first, mut count) = (None, 0);
        for (site, config) in sites {
            first.get_or_insert(site);
            count += 1;
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
        names.default = default.or(first);
        names.is_single = count == 1 && !names.patterns.iter().any(|(pattern, _)| pattern.is_capturing());
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

    /// The site of a host name in lower case without port, and what its pattern
    /// captured: exact name, longest `*.x`, longest `x.*`, first pattern, default. The host
    /// is asked for only where it makes a difference: reading it costs a host call.
    fn find(&self, host: impl FnOnce() -> String) -> Option<(usize, Variables)> {
        if self.is_single {
            return Some((self.default?, Variables::new()));
        }
        let host = host();
        let host = host.as_str();
        let simple = self.exact.get(host).or_else(|| self.leading(host)).or_else(|| self.trailing(host));
        if let Some(site) = simple {
            return Some((*site, Variables::new()));
        }
        for (pattern, site) in &self.patterns {
            if !pattern.is_capturing() {
                if pattern.is_match(host) {
                    return Some((*site, Variables::new()));
                }
            } else if let Some(captures) = pattern.captures(host) {
                return Some((*site, pattern.variables(&captures)));
            }
        }
        Some((self.default?, Variables::new()))
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
