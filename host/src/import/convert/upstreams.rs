//! Groups of peers: those of `upstream` blocks, and those that a `proxy_pass` needs because of
//! how its peers are connected to.

use super::{Import, peers, top};
use crate::import::syntax::Directive;
use crate::import::toml::{Keys, Section, Value, bare};

/// Where a `proxy_pass` leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// The name of a group, `HOST:PORT`, `HOST`, `unix:PATH`, or a variable.
    pub(super) authority: String,
    /// What follows it.
    pub(super) uri: String,
    /// The groups that the variable may name.
    pub(super) choices: Vec<String>,
}

impl Target {
    /// nginx: `$proxy_host`.
    pub(super) fn host(&self) -> String {
        if self.authority.starts_with("unix:") {
            return "localhost".to_owned();
        }
        let usual = if self.tls { ":443" } else { ":80" };
        self.authority.strip_suffix(usual).unwrap_or(&self.authority).to_owned()
    }
}

/// How peers are connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dial {
    /// The keys of `tls`; none without TLS.
    pub(super) tls: Option<Vec<(String, Value)>>,
    pub(super) bind: Option<String>,
    pub(super) tcp_keepalive: bool,
    pub(super) protocol: Option<&'static str>,
    /// Whether peers are told who the client is, as nginx does it in `stream`.
    pub(super) proxy_protocol: bool,
}

impl Dial {
    fn keys(&self) -> Vec<(String, Value)> {
        let mut keys = Vec::new();
        let mut put = |key: &str, value: Value| keys.push((key.to_owned(), value));
        match &self.tls {
            Some(tls) if tls.is_empty() => put("tls", Value::Flag(true)),
            Some(tls) => put("tls", Value::Table(tls.clone())),
            None => {}
        }
        if let Some(bind) = &self.bind {
            put("bind", Value::text(bind.clone()));
        }
        if self.tcp_keepalive {
            put("tcp_keepalive", Value::Flag(true));
        }
        if let Some(protocol) = self.protocol {
            put("protocol", Value::text(protocol));
        }
        if self.proxy_protocol {
            put("proxy_protocol", Value::text("v1"));
        }
        keys
    }
}

/// A group.
#[derive(Debug)]
struct Group {
    /// Its name in nginx, or the authority that it stands for.
    of: String,
    name: String,
    section: Section,
    /// How its peers are connected to; none as long as nobody does.
    dial: Option<Dial>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Upstreams<'d> {
    groups: Vec<Group>,
    marker: std::marker::PhantomData<&'d Directive>,
}

impl Upstreams<'_> {
    /// Whether there is an `upstream` block of the name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.groups.iter().any(|group| group.of == name)
    }

    /// What a route is told for a target.
    pub(super) fn refer(&mut self, directive: &Directive, target: &Target, dial: Dial) -> String {
        if !target.choices.is_empty() {
            for choice in &target.choices {
                if let Some(group) = self.groups.iter_mut().find(|group| group.of == *choice) {
                    group.dial.get_or_insert_with(|| dial.clone());
                }
            }
            return target.authority.clone();
        }
        if !self.is_named(&target.authority) {
            if dial == Dial::default() {
                // nginx's port is 80 unless it is written.
                return match target.authority.starts_with("unix:") {
                    true => target.authority.clone(),
                    false => format!("http://{}", target.authority),
                };
            }
            return self.made(directive, target, dial);
        }
        let same =
            |group: &&mut Group| group.of == target.authority && group.dial.as_ref().is_none_or(|known| *known == dial);
        if let Some(group) = self.groups.iter_mut().find(same) {
            group.dial = Some(dial);
            return group.name.clone();
        }
        // Others are connected to the same peers in another way.
        let Some(first) = self.groups.iter().position(|group| group.of == target.authority) else {
            return target.authority.clone();
        };
        let own = self.groups.get(first).map_or("", |group| group.name.as_str());
        let base = if dial.tls.is_some() { format!("{own}-tls") } else { format!("{own}-plain") };
        let name = self.free(&base);
        let section = match self.groups.get(first) {
            Some(group) => Section { path: path(&name), ..group.section.clone() },
            None => return target.authority.clone(),
        };
        self.groups
            .insert(first + 1, Group { of: target.authority.clone(), name: name.clone(), section, dial: Some(dial) });
        name
    }

    /// A group of one peer.
    fn made(&mut self, directive: &Directive, target: &Target, dial: Dial) -> String {
        let of = format!("{}{}", if target.tls { "https://" } else { "http://" }, target.authority);
        if let Some(same) = self.groups.iter().find(|group| group.of == of && group.dial.as_ref() == Some(&dial)) {
            return same.name.clone();
        }
        let plain: String = target
            .authority
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c } else { '-' })
            .collect();
        let name = self.free(plain.trim_matches('-'));
        let has_port = target.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = match has_port || target.authority.starts_with("unix:") {
            true => target.authority.clone(),
            false => format!("{}:{}", target.authority, if target.tls { 443 } else { 80 }),
        };
        let mut section = Section::table(path(&name)).comment(super::place(directive));
        section.keys.set("peers", Value::texts([address]));
        self.groups.push(Group { of, name: name.clone(), section, dial: Some(dial) });
        name
    }

    fn free(&self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut number = 1;
        while self.groups.iter().any(|group| group.name == name) {
            number += 1;
            name = format!("{base}-{number}");
        }
        name
    }

    /// The tables.
    pub(super) fn sections(&self) -> Vec<Section> {
        let section = |group: &Group| {
            let mut section = group.section.clone();
            section.keys.0.extend(group.dial.as_ref().map(Dial::keys).unwrap_or_default());
            section
        };
        self.groups.iter().map(section).collect()
    }

    /// Give a group more keys.
    pub(super) fn add(&mut self, name: &str, keys: &Keys) {
        for group in self.groups.iter_mut().filter(|group| group.of == name) {
            for (key, value) in &keys.0 {
                group.section.keys.set(key, value.clone());
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("upstreams.{}", bare(name))
}

/// Read the `upstream` blocks.
pub(super) fn read(import: &mut Import<'_>) {
    for directive in import.http.iter().filter(|directive| directive.name() == "upstream") {
        let name = directive.arg(0);
        if name.contains(':') || name.is_empty() {
            import.report.lacks(
                directive,
                format!("`{name}` cannot be the name of an upstream"),
                "write a name without colons",
            );
            continue;
        }
        let keys = peers::group(import, directive);
        let section = top::commented(import, Section { keys, ..Section::table(path(name)) }, directive);
        import.upstreams.groups.push(Group { of: name.to_owned(), name: name.to_owned(), section, dial: None });
    }
    for directive in import.stream.iter().filter(|directive| directive.name() == "upstream") {
        let of = super::streams::group(directive.arg(0));
        let name = import.upstreams.free(directive.arg(0));
        let keys = peers::group(import, directive);
        let section = top::commented(import, Section { keys, ..Section::table(path(&name)) }, directive);
        import.upstreams.groups.push(Group { of, name, section, dial: None });
    }
}
