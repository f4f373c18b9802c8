//! Both programs side by side: the same configuration on loopback ports, the same requests, and
//! what differs in the answers.
//!
//! What is changed for both: addresses of listeners and upstreams, files that are written,
//! rates (they depend on time), certificates, and TLS towards peers, which is taken off. Clients
//! speak HTTP/1.1, over TLS where it is listened for. `stream` is left out for both.

mod client;
mod corpus;
mod echo;
mod loopback;
mod programs;
mod written;

use std::fmt;
use std::path::{Path, PathBuf};

use super::syntax::Parser;
use super::{Options, Severity, convert, folder_of, report};
use client::{Answer, ask, trusting};
use corpus::Request;
use loopback::Loopback;
use programs::{Nginx, Scratch};

/// One thing that differs.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The request.
    pub request: String,
    /// What of the answer, such as `status` or a header's name.
    pub what: String,
    /// What nginx answers.
    pub nginx: String,
    /// What Tidegate answers.
    pub tidegate: String,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Comparison {
    /// How many requests both were sent.
    pub requests: usize,
    /// How many of them both answered over TLS.
    pub over_tls: usize,
    /// What differs, in the order of the requests.
    pub found: Vec<Difference>,
    /// Blocks that are left out for both programs.
    pub left_out: Vec<&'static str>,
}

impl Comparison {
    /// How many things differ.
    pub fn differences(&self) -> usize {
        self.found.len()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[&str; 4]> =
            self.found.iter().map(|d| [&*d.request, &*d.what, &*d.nginx, &*d.tidegate]).collect();
        let head = ["request", "what", "nginx", "tidegate"];
        let mut widths = head.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if !rows.is_empty() {
            for row in std::iter::once(&head).chain(&rows) {
                for (width, cell) in widths.iter().zip(row) {
                    write!(f, "{cell:<width$}  ", width = *width)?;
                }
                writeln!(f)?;
            }
        }
        write!(
            f,
            "{} requests, {} of them answered over TLS, {} differences",
            self.requests,
            self.over_tls,
            self.found.len()
        )?;
        match self.left_out.is_empty() {
            true => Ok(()),
            false => write!(f, "; not compared: {}", self.left_out.join(", ")),
        }
    }
}

/// Where and how to compare.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// The program of nginx.
    pub nginx: PathBuf,
    /// The folder that keeps compiled components; the user's without one.
    pub cache_dir: Option<PathBuf>,
}

/// Run both programs and send them the same.
///
/// # Errors
/// Where the file has no equal, or one of the programs does not run; in words for the operator.
pub fn compare(file: &Path, options: &Options, setting: &Setting) -> Result<Comparison, String> {
    let imported = super::import(file, options);
    let lacking = imported.findings.iter().find(|finding| finding.severity == Severity::Error);
    if let Some(finding) = lacking {
        return Err(format!("cannot be compared before it is imported whole: {}", finding.problem));
    }
    let mut parser = Parser::new(folder_of(file));
    let mut directives = parser.text(&options.globals, "-g");
    directives.extend(parser.file(file));
    let scratch = Scratch::new()?;
    let backend = echo::start().map_err(|error| format!("the backend cannot listen: {error}"))?;
    let base = options.prefix.clone().unwrap_or_else(|| folder_of(file).to_owned());
    let base = std::path::absolute(&base).map_err(|error| error.to_string())?;

    let mut theirs = Loopback::new(&scratch, backend, &base)?;
    let for_nginx = theirs.rewrite(&directives);
    let nginx = Nginx::start(&setting.nginx, &scratch, &written::text(&for_nginx), &theirs)?;

    let mut ours = Loopback::new(&scratch, backend, &base)?;
    let for_tidegate = ours.rewrite(&directives);
    let paths = convert::Paths::new(&base, None);
    let (text, report) = convert::convert(&for_tidegate, report::Report::new(options.lenient), paths, "the comparison");
    let mut text = text.replacen("[server]\n", "", 1);
    let cache =
        setting.cache_dir.as_ref().map_or(String::new(), |folder| format!("cache_dir = \"{}\"\n", folder.display()));
    text = format!("[server]\n{cache}{text}");
    drop(report);
    let config =
        crate::config::load_str(&text, &base, "<imported>").map_err(|problems| format!("{problems}\n{text}"))?;
    let server = crate::server::Server::start(&config).map_err(|error| error.to_string())?;

    let requests = corpus::of(&directives);
    let trusting = trusting()?;
    let (mut found, mut over_tls) = (Vec::new(), 0);
    for request in &requests {
        let (Some(nginx), Some(tidegate)) = (theirs.port(&request.listen), ours.port(&request.listen)) else {
            continue;
        };
        let tls = theirs.is_tls(&request.listen).then_some(&trusting);
        let both = || (ask(nginx, request, tls), ask(tidegate, request, tls));
        let (mut theirs, mut ours) = both();
        if !differences(request, &theirs, &ours).is_empty() {
            // A backend may let a connection go just when one of them sends on it: what is meant comes again.
            (theirs, ours) = both();
        }
        over_tls += usize::from(tls.is_some() && theirs.is_answer() && ours.is_answer());
        found.extend(differences(request, &theirs, &ours));
    }
    drop(server);
    drop(nginx);
    let has_streams = directives.iter().any(|directive| directive.name() == "stream");
    let left_out = if has_streams { vec!["stream"] } else { Vec::new() };
    Ok(Comparison { requests: requests.len(), over_tls, found, left_out })
}

fn differences(request: &Request, nginx: &Answer, tidegate: &Answer) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut put = |what: &str, nginx: &str, tidegate: &str| {
        let shorten = |text: &str| text.chars().take(70).collect::<String>().escape_debug().to_string();
        found.push(Difference {
            request: request.to_string(),
            what: what.to_owned(),
            nginx: shorten(nginx),
            tidegate: shorten(tidegate),
        });
    };
    let refuses = |answer: &Answer| matches!(&*answer.status, "404" | "405");
    if request.is_options() && refuses(nginx) && refuses(tidegate) {
        return found;
    }
    if nginx.status != tidegate.status {
        put("status", &nginx.status, &tidegate.status);
        return found;
    }
    let names = nginx.headers.iter().chain(&tidegate.headers).map(|(name, _)| name.as_str());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let values = |answer: &Answer, name: &str| {
        answer
            .headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
            .join(" | ")
    };
    for name in names {
        let (theirs, ours) = (values(nginx, name), values(tidegate, name));
        // Of a type that `add_header` gives, too, nginx sends both, Tidegate the one that is given.
        let is_one_of_two = name == "content-type" && theirs.split(" | ").skip(1).any(|one| one == ours);
        if theirs != ours && !is_one_of_two {
            put(name, &theirs, &ours);
        }
    }
    // Each line of what the backend got, apart.
    // Numbers of connections, of which each program has had its own.
    let counts = |answer: &Answer| answer.body.starts_with("Active connections:");
    if nginx.body != tidegate.body && !(counts(nginx) && counts(tidegate)) {
        let of = |body: &str, other: &str| {
            let lines = body.lines().filter(|line| !other.lines().any(|known| known == *line));
            lines.collect::<Vec<_>>().join(" / ")
        };
        put("body", &of(&nginx.body, &tidegate.body), &of(&tidegate.body, &nginx.body));
    }
    found
}
