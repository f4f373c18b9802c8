//! The keys of files, error pages, compression and buffers.

use super::super::defaults as d;
use super::super::key::Default::{Count as N, Flag as B, Other, Size as Z, Text as S, Texts as L};
use super::super::key::Key;
use super::super::key::Kind::{Choice, Count, Flag, Later, Size, TableOrFalse, Text, TextMap, Texts};
use super::super::key::Section::{Compress, Route, Site};

keys! {
    ROOT = "root" in [Site, Route]: Text, Other("none"), "root",
        "The folder whose files answer, each under its path; takes the place of an `upstream` of the site, and a \
         route's `upstream` that of the site's `root`.";
    ALIAS = "alias" in [Route]: Text, Other("none"), "alias",
        "As `root`, but the folder takes the place of the matched prefix. For an exact match it is the file; for a \
         regular expression too, with its named groups as variables.";
    INDEX = "index" in [Site, Route]: Texts, L(d::INDEX), "index",
        "What is served for a path that ends with `/`: the first file of these that is there, by the route for its path.";
    TRY_FILES = "try_files" in [Site, Route]: Texts, Other("the path as it is"), "try_files",
        "Paths to try in order, with variables, one that ends with `/` as a folder; the last is for when none is there: \
         `=404`, a path for which a route is looked for again, or `@NAME`.";
    AUTOINDEX = "autoindex" in [Site, Route]: Later, Other("`false`"), "autoindex", "Lists of a folder's files.";
    FILE_TYPES = "types" in [Site, Route]: TextMap, Other("those of nginx's `mime.types`"), "types",
        "The types of files by extension, before those that are known.";
    DEFAULT_TYPE = "default_type" in [Site, Route]: Text, S(d::CONTENT_TYPE), "default_type",
        "The type of a file whose extension is not known.";
    FOLLOW_SYMLINKS = "follow_symlinks" in [Site, Route]:
        Choice { now: &["inside", "never", "anywhere"], later: &[] }, S(d::FOLLOW_SYMLINKS), "disable_symlinks",
        "Which symbolic links in `root` are followed: relative ones that stay inside, none, or all as in nginx. \
         Another is answered with 403.";
    ERROR_PAGES = "error_pages" in [Site, Route]: TextMap, Other("`{}`"), "error_page",
        "Statuses (400 to 599) and what clients see instead: a path or `@NAME` that answers, a URL to redirect to, or \
         a text, all with variables. `\"404 =200\"` gives it another status, `\"404 =\"` its own. A route's take the \
         place of the site's.";
    INTERCEPT_ERRORS = "intercept_errors" in [Site, Route]: Flag, B(false), "proxy_intercept_errors",
        "Whether `error_pages` are for the upstream's errors too.";
    COMPRESS = "compress" in [Site, Route]: TableOrFalse(Compress), Other("`false`"), "gzip",
        "Compresses answers for clients that accept it; `{}` as nginx's `gzip on`, `false` switches the site's off.";
    BUFFER_RESPONSES = "buffer_responses" in [Site, Route]: Size { least: 0, most: d::MOST_BUFFER },
        Z(0), "proxy_buffering, proxy_buffers, proxy_max_temp_file_size",
        "How much of an answer is read ahead of a slow client, so that the upstream is done with it; 0 for nothing. An \
         upstream's `X-Accel-Buffering: no` switches it off.";
    BUFFER_REQUESTS = "buffer_requests" in [Site, Route]: Size { least: 0, most: d::MOST_BUFFER },
        Z(0), "proxy_request_buffering",
        "How large a body is read whole before an upstream is asked, which then is told its length; a larger one is \
         answered with 413. 0 passes bodies on as they come.";

    CODINGS = "codings" in [Compress]: Texts, L(d::CODINGS), "gzip",
        "The codings, in order of preference where the client has none: `br`, `zstd`, `gzip`.";
    COMPRESS_TYPES = "types" in [Compress]: Texts, L(d::COMPRESS_TYPES), "gzip_types",
        "Types of answers, or `*`; `text/html` always.";
    MIN_LENGTH = "min_length" in [Compress]: Size { least: 0, most: d::MOST_BUFFER }, Z(d::MIN_LENGTH), "gzip_min_length",
        "The least length, where it is known.";
    GZIP_LEVEL = "gzip_level" in [Compress]: Count { least: 1, most: 9 }, N(d::GZIP_LEVEL), "gzip_comp_level",
        "More is smaller and slower.";
    BR_LEVEL = "br_level" in [Compress]: Count { least: 0, most: 11 }, N(d::BR_LEVEL), "", "The same for `br`.";
    ZSTD_LEVEL = "zstd_level" in [Compress]: Count { least: 1, most: 19 }, N(d::ZSTD_LEVEL), "", "The same for `zstd`.";
}

/// Every key of this file.
pub(super) fn content_keys() -> &'static [&'static Key] {
    PART
}
