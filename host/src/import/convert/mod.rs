//! From nginx's blocks to the tables of `tidegate.toml`.

pub(super) mod access;
mod chain;
mod check;
mod choice;
mod condition;
pub(super) mod content;
mod dial;
pub(super) mod headers;
pub(super) mod limits;
mod listen;
mod location;
pub(super) mod logs;
mod maps;
mod peers;
pub(super) mod proxy;
mod route;
mod script;
mod server;
mod streams;
mod text;
mod tls;
pub(super) mod top;
mod tree;
mod upstreams;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::report::Report;
use super::syntax::Directive;
use super::toml::{Keys, Section, Value, render};
pub(super) use route::Route;

/// Where relative paths begin.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The folder of the file: what nginx takes for certificates and lists of users.
    folder: PathBuf,
    /// nginx's `-p`: what it takes for all else.
    prefix: Option<PathBuf>,
}

impl Paths {
    pub(super) fn new(folder: &Path, prefix: Option<&Path>) -> Self {
        Self { folder: folder.to_owned(), prefix: prefix.map(Path::to_owned) }
    }

    /// A path of a folder or log.
    fn of_prefix(&self, path: &str) -> String {
        match &self.prefix {
            Some(prefix) if !path.is_empty() => absolute(prefix).join(path).display().to_string(),
            _ => path.to_owned(),
        }
    }

    /// A path of a certificate or of a list of users.
    fn of_folder(&self, path: &str) -> String {
        match &self.prefix {
            Some(_) => absolute(&self.folder).join(path).display().to_string(),
            None => path.to_owned(),
        }
    }

    /// Where a path of a folder is now.
    fn on_disk(&self, path: &str) -> PathBuf {
        self.prefix.as_ref().unwrap_or(&self.folder).join(path)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// An import that is under way.
pub(super) struct Import<'d> {
    pub(super) report: Report,
    paths: Paths,
    /// `[server]`
    process: Keys,
    /// `[log]`
    log: Keys,
    resolver: Keys,
    real_ip: Keys,
    admin: Option<Keys>,
    formats: Vec<Section>,
    /// `[[access_log]]`
    logs: Vec<Section>,
    zones: Vec<Section>,
    maps: maps::Maps,
    upstreams: upstreams::Upstreams<'d>,
    listeners: listen::Listeners,
    /// The names of servers so far, with the servers' numbers.
    names: Vec<(String, usize)>,
    streams: streams::Streams,
    /// What is said in `http`.
    http: &'d [Directive],
    /// What is said in `stream`.
    stream: &'d [Directive],
    /// Names that captures and answers of `auth_request` give.
    defined: HashSet<String>,
    /// All names that a `set` gives a value somewhere.
    set: HashSet<String>,
}

/// The text that means what the directives mean.
pub(super) fn convert(directives: &[Directive], report: Report, paths: Paths, file: &str) -> (String, Report) {
    let block =
        |name: &str| directives.iter().find(|directive| directive.name() == name).map_or(&[][..], Directive::inner);
    let (http, stream) = (block("http"), block("stream"));
    let mut import = Import {
        report,
        paths,
        process: Keys::default(),
        log: Keys::default(),
        resolver: Keys::default(),
        real_ip: Keys::default(),
        admin: None,
        formats: Vec::new(),
        logs: Vec::new(),
        zones: Vec::new(),
        maps: maps::Maps::default(),
        upstreams: upstreams::Upstreams::default(),
        listeners: listen::Listeners::default(),
        names: Vec::new(),
        streams: streams::Streams::default(),
        http,
        stream,
        defined: text::defined(http),
        set: text::set(http),
    };
    check::check(&mut import, directives);
    let sites = import.all(directives);
    let head = vec![format!("Made of {file} by `tidegate import`. What became of each directive: docs/import.md")];
    let text = render(&head, &import.sections(sites));
    (text, import.report)
}

impl<'d> Import<'d> {
    fn all(&mut self, directives: &'d [Directive]) -> Vec<Section> {
        top::all(self, directives);
        maps::read(self);
        top::named(self);
        upstreams::read(self);
        let servers = self.http.iter().filter(|directive| directive.name() == "server").collect::<Vec<_>>();
        if servers.is_empty() && !self.stream.iter().any(|directive| directive.name() == "server") {
            if let Some(http) = directives.iter().find(|directive| directive.name() == "http") {
                self.report.lacks(http, "has no `server`, and nothing to serve", "add one");
            } else if let Some(first) = directives.first() {
                self.report.lacks(
                    first,
                    "there is no `http` block, and nothing to serve",
                    "import the whole nginx.conf",
                );
            }
        }
        listen::read(self, &servers);
        streams::read(self);
        let mut sites = Vec::new();
        for (number, server) in servers.into_iter().enumerate() {
            sites.extend(server::convert(self, server, number));
        }
        sites
    }

    fn sections(&self, sites: Vec<Section>) -> Vec<Section> {
        let mut all = Vec::new();
        for (name, keys) in [("server", &self.process), ("log", &self.log)] {
            if !keys.is_empty() {
                all.push(Section { keys: keys.clone(), ..Section::table(name) });
            }
        }
        all.extend(self.formats.iter().cloned());
        all.extend(self.logs.iter().cloned());
        if let Some(admin) = &self.admin {
            all.push(Section { keys: admin.clone(), ..Section::table("admin") });
        }
        if self.real_ip.has("trusted") {
            all.push(Section { keys: self.real_ip.clone(), ..Section::table("real_ip") });
        }
        if !self.resolver.is_empty() {
            all.push(Section { keys: self.resolver.clone(), ..Section::table("resolver") });
        }
        all.extend(self.listeners.sections());
        all.extend(self.zones.iter().cloned());
        all.extend(self.upstreams.sections());
        all.extend(self.streams.sections.iter().cloned());
        all.extend(sites);
        // Maps that nobody reads would only be in the way.
        let maps = self.maps.sections(&all);
        let at = all.iter().position(|section| section.path.starts_with("limits.")).unwrap_or(all.len());
        let at = all
            .iter()
            .position(|section| section.path.starts_with("upstreams.") || matches!(&*section.path, "sites" | "streams"))
            .unwrap_or(at)
            .min(at);
        all.splice(at..at, maps);
        all
    }

    /// Note a key of the process. nginx has many of them by server: here the longest or largest
    /// holds for all.
    fn of_process(&mut self, directive: &Directive, key: &str, value: Value) {
        let Some(before) = self.process.get(key).cloned() else { return self.process.set(key, value) };
        if before == value {
            return;
        }
        let longer = match (&before, &value) {
            (Value::Count(before), Value::Count(now)) => now > before,
            (Value::Text(before), Value::Text(now)) => super::units::time(now) > super::units::time(before),
            _ => false,
        };
        let kept = if longer { &value } else { &before };
        let message = format!("is one for the process here: `{key}` has the largest of the values");
        self.report.differs(directive, message);
        let kept = kept.clone();
        self.process.set(key, kept);
    }
}

/// Where a block stands, for a comment.
fn place(directive: &Directive) -> String {
    let span = &directive.name.span;
    let words: Vec<&str> = std::iter::once(directive.name()).chain(directive.texts()).collect();
    let text = words.join(" ").replace(|c: char| c.is_control(), " ");
    format!("{}:{} {text}", span.file, span.line)
}
