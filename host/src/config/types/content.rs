//! What a route answers with: files, error pages, compression, buffers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::hook::Template;

/// What a route has to say about content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    /// Where its files are; none where it has none.
    pub files: Option<Arc<Files>>,
    /// What clients see in place of errors; empty for the proxy's own words.
    pub error_pages: Arc<ErrorPages>,
    /// How answers are compressed; none where they are not.
    pub compress: Option<Arc<Compress>>,
    /// How much of an answer is read ahead of a slow client, bytes; 0 for nothing.
    pub buffer_responses: usize,
    /// How large a body is read whole before a peer is asked, bytes; 0 where it streams.
    pub buffer_requests: u64,
}

/// Files of a folder. nginx: `root`, `alias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// Nothing outside of it is served, but by `symlinks`.
    pub folder: PathBuf,
    /// Which of them a path means.
    pub mapping: Mapping,
    /// What is served for a path that ends with `/`: the first that is there. nginx: `index`.
    pub index: Vec<String>,
    /// Paths to try before. nginx: `try_files`.
    pub tries: Option<Tries>,
    /// Types by extension, in lower case, before those of the table. nginx: `types`.
    pub types: HashMap<Box<str>, HeaderValue>,
    /// The type of what has no known extension. nginx: `default_type`.
    pub default_type: HeaderValue,
    /// Which symbolic links are followed. nginx: `disable_symlinks`.
    pub symlinks: Symlinks,
    /// How the redirect to a folder's slash is completed.
    pub redirects: Redirects,
}

/// Which file of a folder a path means.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapping {
    /// The one with the path's name. nginx: `root`.
    Root,
    /// The one with what follows this prefix. nginx: `alias`.
    Alias(String),
    /// This one. nginx: `alias` where the location is exact or a regular expression.
    Named(Template),
}

/// nginx: `try_files`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tries {
    /// In order.
    pub list: Vec<Try>,
    /// Where none is there.
    pub fallback: Goal,
}

/// One path to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    /// The path, without the slash of a folder.
    pub path: Template,
    /// Whether it is to be a folder.
    pub is_folder: bool,
}

/// Where a request is sent within the proxy, or how it ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// To a route of the site by its path, which may have a query.
    Path(Template),
    /// To this route.
    Route(Arc<str>),
    /// Nowhere: this is the status.
    Status(StatusCode),
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// Those that lead to something in the folder.
    #[default]
    Inside,
    /// None: 403.
    Never,
    /// All, as nginx does.
    Anywhere,
}

/// How a Location that begins with `/` is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirects {
    /// Whether it is. nginx: `absolute_redirect`.
    pub absolute: bool,
    /// By the site's name. nginx: `server_name_in_redirect`.
    pub site_name: bool,
    /// With the port. nginx: `port_in_redirect`.
    pub port: bool,
}

/// nginx: `error_page`, `proxy_intercept_errors`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorPages {
    /// By status; the first that has it.
    pub pages: Vec<ErrorPage>,
    /// For plain HTTP where TLS is spoken. nginx: 497.
    pub misplaced: Option<ErrorPage>,
    /// Whether an upstream's errors are replaced too.
    pub intercept: bool,
    /// Whether the route's own `respond` says what is not to be replaced.
    pub spares_reply: bool,
}

impl ErrorPages {
    /// The page for a status.
    pub fn of(&self, status: StatusCode) -> Option<&ErrorPage> {
        self.pages.iter().find(|page| page.statuses.contains(&status))
    }
}

/// One entry of `error_pages`.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorPage {
    /// What it is for.
    pub statuses: Vec<StatusCode>,
    /// The status that the client sees.
    pub status: PageStatus,
    /// The page.
    pub page: Page,
}

/// Which status an error page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStatus {
    /// The error's.
    Same,
    /// This one. nginx: `=200`.
    Is(StatusCode),
    /// Whatever the page's own answer has. nginx: `=`.
    Pages,
}

/// An error page.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    /// A route of the proxy answers.
    Goal(Goal),
    /// The client is sent to a URL.
    Redirect(Template),
    /// A text, and its type.
    Text(Template, HeaderValue),
}

/// nginx: `gzip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    /// In order of preference.
    pub codings: Vec<Coding>,
    /// Types that are compressed, lower case; `*` for all. nginx: `gzip_types`.
    pub types: Vec<String>,
    /// The least length, bytes. nginx: `gzip_min_length`.
    pub min_length: u64,
    /// 1 to 9. nginx: `gzip_comp_level`.
    pub gzip_level: u32,
    /// 0 to 11.
    pub br_level: u32,
    /// 1 to 19.
    pub zstd_level: i32,
}

/// A content coding (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Br,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Its name in Accept-Encoding and Content-Encoding.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }
}
