//! What routes answer with: files, error pages, compression, buffers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::secure::Https;
use super::{Build, maps, note};
use crate::config::defaults;
use crate::config::key::{Key, Kind};
use crate::config::keys as k;
use crate::config::pattern::{self, Match};
use crate::config::reader::{Reader, Text};
use crate::config::types::{
    Coding, Compress, Content, ErrorPage, ErrorPages, Files, Goal, Mapping, Page, PageStatus, Redirects, Symlinks,
    Tries, Try,
};
use crate::config::variables::Variables;
use crate::hook::Template;

/// What a route or site has to say about content. `pattern` is the route's `match`.
pub(super) fn content(table: &Reader<'_>, pattern: &str, build: &Build<'_>) -> Content {
    let size = |key: &Key| table.size(key).unwrap_or_default();
    Content {
        files: files(table, pattern, build).map(Arc::new),
        error_pages: Arc::new(error_pages(table, build)),
        compress: compress(table).map(Arc::new),
        buffer_responses: usize::try_from(size(&k::BUFFER_RESPONSES)).unwrap_or_default(),
        buffer_requests: size(&k::BUFFER_REQUESTS),
    }
}

/// Whether requests are answered with files: of what the route, those around it and the site
/// say, the nearest counts.
pub(super) fn has_files(table: &Reader<'_>) -> bool {
    if table.is_route() && table.own(&k::HANDLER).is_some() {
        return false;
    }
    let holder = table.holder(&[&k::UPSTREAM, &k::ROOT]);
    holder.is_some_and(|holder| holder.own(&k::ROOT).is_some()) || has_alias(table)
}

fn has_alias(table: &Reader<'_>) -> bool {
    table.is_route() && table.own(&k::ALIAS).is_some()
}

fn files(table: &Reader<'_>, pattern: &str, build: &Build<'_>) -> Option<Files> {
    let own = |key: &Key| table.own(key);
    for (one, other) in [(&k::ROOT, &k::UPSTREAM), (&k::ROOT, &k::ALIAS), (&k::ALIAS, &k::UPSTREAM)] {
        let is_alias = one.name == k::ALIAS.name || other.name == k::ALIAS.name;
        if is_alias && !table.is_route() {
            continue;
        }
        if let (Some(item), Some(_)) = (own(one), own(other)) {
            table.cx.problem(item.at(), &item.path, format!("does not go with `{}` in the same table", other.name));
        }
    }
    if !has_files(table) {
        let unused = [&k::TRY_FILES, &k::INDEX, &k::FOLLOW_SYMLINKS].into_iter().filter_map(own);
        for item in unused.filter(|_| table.is_route()) {
            table.cx.hinted(item.at(), &item.path, "has no effect", "it needs `root` or `alias`");
        }
        return None;
    }
    let (folder, mapping) = match has_alias(table).then(|| table.own_placed(&k::ALIAS)).flatten() {
        Some(alias) => aliased(table, &alias, pattern, build)?,
        None => (folder(table, &table.placed(&k::ROOT)?)?, Mapping::Root),
    };
    Some(Files {
        folder,
        mapping,
        index: index(table),
        tries: tries(table, build),
        types: types(table),
        default_type: header(table, table.text(&k::DEFAULT_TYPE).unwrap_or_default(), &k::DEFAULT_TYPE),
        symlinks: match table.text(&k::FOLLOW_SYMLINKS) {
            Some("never") => Symlinks::Never,
            Some("anywhere") => Symlinks::Anywhere,
            _ => Symlinks::Inside,
        },
        redirects: Redirects {
            absolute: table.flag(&k::ABSOLUTE_REDIRECT),
            site_name: table.flag(&k::SITE_NAME_IN_REDIRECT),
            port: table.flag(&k::PORT_IN_REDIRECT),
        },
    })
}

fn folder(table: &Reader<'_>, text: &Text<'_>) -> Option<PathBuf> {
    if text.text.contains('$') {
        let hint = "a folder is fixed, so that no request can choose another; `alias` of a regular expression may \
                    have variables in the file's name";
        table.cx.hinted(text.at, &text.path, "has a variable", hint);
        return None;
    }
    Some(table.cx.path(text.text))
}

/// The folder of an `alias` and what is put in it.
fn aliased(table: &Reader<'_>, alias: &Text<'_>, pattern: &str, build: &Build<'_>) -> Option<(PathBuf, Mapping)> {
    match pattern::parse_match(pattern).ok()? {
        Match::Prefix(prefix) => Some((folder(table, alias)?, Mapping::Alias(prefix.to_owned()))),
        Match::Exact(path) if alias.text.ends_with('/') => {
            Some((folder(table, alias)?, Mapping::Alias(path.to_owned())))
        }
        // The folder is what no variable can change.
        Match::Exact(_) | Match::Regex(_) => {
            let fixed = alias.text.split('$').next().unwrap_or_default();
            let at = fixed.rfind('/').map_or(0, |at| at + 1);
            let (folder, name) = alias.text.split_at_checked(at)?;
            let name = template(table, &Text { text: name, path: alias.path.clone(), at: alias.at }, build)?;
            Some((table.cx.path(if folder.is_empty() { "." } else { folder }), Mapping::Named(name)))
        }
    }
}

fn index(table: &Reader<'_>) -> Vec<String> {
    let Some(names) = table.texts(&k::INDEX) else {
        return defaults::INDEX.iter().map(|name| (*name).to_owned()).collect();
    };
    for name in &names {
        if name.text.is_empty() || name.text.starts_with('/') || name.text.contains('$') {
            let hint = "such as \"index.html\"; a path or variables go in `try_files`";
            table.cx.hinted(name.at, &name.path, format!("\"{}\" is not a file's name", name.text), hint);
        }
    }
    names.iter().map(|name| name.text.to_owned()).collect()
}

fn tries(table: &Reader<'_>, build: &Build<'_>) -> Option<Tries> {
    let texts = table.texts(&k::TRY_FILES)?;
    let Some((last, list)) = texts.split_last().filter(|(_, list)| !list.is_empty()) else {
        let item = table.find(&k::TRY_FILES)?;
        let hint = "such as [\"$uri\", \"=404\"]";
        table.cx.hinted(item.at(), &item.path, "needs a path to try and what follows where it is not there", hint);
        return None;
    };
    let list = list.iter().filter_map(|text| {
        let is_folder = text.text.ends_with('/');
        let path = text.text.strip_suffix('/').unwrap_or(text.text);
        let path = template(table, &Text { text: path, path: text.path.clone(), at: text.at }, build)?;
        Some(Try { path, is_folder })
    });
    let list = list.collect();
    let fallback = match last.text.strip_prefix('=') {
        Some(code) => Goal::Status(status(table, last, code)?),
        None => goal(table, last, build)?,
    };
    Some(Tries { list, fallback })
}

/// A path with variables, or `@NAME`.
fn goal(table: &Reader<'_>, text: &Text<'_>, build: &Build<'_>) -> Option<Goal> {
    if !text.text.starts_with('@') {
        return template(table, text, build).map(Goal::Path);
    }
    let site = site_of(&table.path);
    let found = build.named.get(&(site.to_owned(), text.text.to_owned()));
    if found.is_none() {
        let hint = format!("add a route with match = \"{}\" to the site", text.text);
        table.cx.hinted(text.at, &text.path, format!("no route \"{}\" in this site", text.text), hint);
    }
    found.map(|name| Goal::Route(name.as_str().into()))
}

/// The key path of the site that a table is or stands in.
pub(super) fn site_of(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

fn template(table: &Reader<'_>, text: &Text<'_>, build: &Build<'_>) -> Option<Template> {
    check(table, text, &build.variables);
    Template::parse(text.text).ok()
}

fn check(table: &Reader<'_>, text: &Text<'_>, variables: &Variables) {
    match pattern::variables(text.text) {
        Ok(_) => maps::check_variables(table, text, variables),
        Err(fault) => note(table.cx, text.at, &text.path, fault),
    }
}

fn status(table: &Reader<'_>, place: &Text<'_>, code: &str) -> Option<StatusCode> {
    let known = code.parse::<u16>().ok().filter(|code| (200..600).contains(code));
    let found = known.and_then(|code| StatusCode::from_u16(code).ok());
    if found.is_none() {
        table.cx.problem(place.at, &place.path, format!("\"{code}\" is not a status from 200 to 599"));
    }
    found
}

fn types(table: &Reader<'_>) -> HashMap<Box<str>, HeaderValue> {
    let own = table.map(&k::FILE_TYPES).unwrap_or_default();
    own.iter()
        .map(|entry| {
            let extension = entry.name.trim_start_matches('.').to_ascii_lowercase();
            (extension.into(), checked_header(table, entry.value.text, entry.value.at, &entry.value.path))
        })
        .collect()
}

fn header(table: &Reader<'_>, text: &str, key: &Key) -> HeaderValue {
    let (at, path) = table.placed(key).map_or((table.at, table.path_of(key)), |text| (text.at, text.path));
    checked_header(table, text, at, &path)
}

fn checked_header(table: &Reader<'_>, text: &str, at: usize, path: &str) -> HeaderValue {
    HeaderValue::from_str(text).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| {
        table.cx.problem(at, path, format!("\"{}\" is not a type", text.escape_debug()));
        HeaderValue::from_static(defaults::CONTENT_TYPE)
    })
}

fn error_pages(table: &Reader<'_>, build: &Build<'_>) -> ErrorPages {
    let mut pages = listed_pages(table, build);
    let misplaced = take_misplaced(&mut pages).or_else(|| misplaced(table, build));
    let intercept = table.flag(&k::INTERCEPT_ERRORS);
    if let Some(item) = table.own(&k::INTERCEPT_ERRORS).filter(|_| intercept && pages.is_empty() && table.is_route()) {
        table.cx.hinted(item.at(), &item.path, "has no effect", "it needs `error_pages`");
    }
    ErrorPages { pages, misplaced, intercept, spares_reply: replies_with_body(table) }
}

/// The page of 497, which no answer has: kept apart, so that a request that is in its place costs
/// nothing for it.
fn take_misplaced(pages: &mut Vec<ErrorPage>) -> Option<ErrorPage> {
    let at = pages.iter().position(|page| page.statuses.contains(&misplaced_status()))?;
    let page = pages.get_mut(at)?;
    page.statuses.retain(|status| *status != misplaced_status());
    if page.statuses.is_empty() { Some(pages.remove(at)) } else { Some(page.clone()) }
}

/// nginx's status for plain HTTP where TLS is spoken.
fn misplaced_status() -> StatusCode {
    StatusCode::from_u16(497).unwrap_or(StatusCode::BAD_REQUEST)
}

/// What a client of plain HTTP where TLS is spoken gets where the table's own pages do not say: as
/// in nginx, which knows no location yet, the site's; or the redirect that sends clients to https.
fn misplaced(table: &Reader<'_>, build: &Build<'_>) -> Option<ErrorPage> {
    let of_site = table.is_route().then(|| take_misplaced(&mut listed_pages(table.site(), build))).flatten();
    of_site.or_else(|| {
        let https = Https::of(table, &build.secure)?;
        Some(ErrorPage {
            statuses: vec![misplaced_status()],
            status: PageStatus::Is(StatusCode::from_u16(https.status()).ok()?),
            page: Page::Redirect(Template::parse(&https.url()).ok()?),
        })
    })
}

fn listed_pages(table: &Reader<'_>, build: &Build<'_>) -> Vec<ErrorPage> {
    let mut pages: Vec<ErrorPage> = Vec::new();
    for entry in table.map(&k::ERROR_PAGES).unwrap_or_default() {
        let (codes, shown) = match entry.name.split_once('=') {
            None => (entry.name, PageStatus::Same),
            Some((codes, "")) => (codes, PageStatus::Pages),
            Some((codes, code)) => match status(table, &named(&entry), code.trim()) {
                Some(status) => (codes, PageStatus::Is(status)),
                None => continue,
            },
        };
        let mut statuses = Vec::new();
        for code in codes.split_whitespace() {
            let code = code.parse::<u16>().ok().filter(|code| (400..600).contains(code));
            match code.and_then(|code| StatusCode::from_u16(code).ok()) {
                Some(status) if pages.iter().any(|page| page.statuses.contains(&status)) => {
                    table.cx.problem(entry.name_at, &entry.value.path, format!("{status} has a page already"));
                }
                Some(status) => statuses.push(status),
                None => {
                    let hint = "such as \"404\", \"502 503 504\" or \"404 =200\"";
                    let message = format!("\"{}\" is not a list of statuses from 400 to 599", entry.name);
                    table.cx.hinted(entry.name_at, &entry.value.path, message, hint);
                }
            }
        }
        let Some(page) = page(table, &entry.value, build) else { continue };
        if let (Page::Redirect(_), PageStatus::Is(status)) = (&page, shown)
            && !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
        {
            let message = format!("{} does not redirect to a URL", status.as_u16());
            table.cx.hinted(entry.name_at, &entry.value.path, message, "301, 302, 303, 307 or 308");
        }
        pages.push(ErrorPage { statuses, status: shown, page });
    }
    pages
}

/// As in nginx, a text that `respond` gives is not replaced.
fn replies_with_body(table: &Reader<'_>) -> bool {
    let Kind::Table(section) = k::RESPOND.kind else { return false };
    let respond = table.own(&k::RESPOND).and_then(|item| table.table_at(&item, section));
    respond.is_some_and(|respond| respond.own(&k::BODY).is_some())
}

fn named<'a>(entry: &crate::config::reader::Named<'a, Text<'a>>) -> Text<'a> {
    Text { text: entry.name, path: entry.value.path.clone(), at: entry.name_at }
}

fn page(table: &Reader<'_>, text: &Text<'_>, build: &Build<'_>) -> Option<Page> {
    if text.text.starts_with(['/', '@']) {
        return goal(table, text, build).map(Page::Goal);
    }
    let made = template(table, text, build)?;
    // As nginx, which takes anything else than a path for a URL; here there are texts too.
    if ["http://", "https://", "$scheme://"].iter().any(|start| text.text.starts_with(start)) {
        return Some(Page::Redirect(made));
    }
    let kind = if text.text.trim_start().starts_with('<') { "text/html" } else { "text/plain" };
    Some(Page::Text(made, HeaderValue::from_static(kind)))
}

fn compress(table: &Reader<'_>) -> Option<Compress> {
    let Kind::TableOrFalse(section) = k::COMPRESS.kind else { return None };
    let item = table.find(&k::COMPRESS)?;
    let table = table.table_at(&item, section)?;
    let mut codings = Vec::new();
    for text in table.own_texts(&k::CODINGS) {
        match [Coding::Br, Coding::Zstd, Coding::Gzip].into_iter().find(|coding| coding.name() == text.text) {
            Some(coding) if !codings.contains(&coding) => codings.push(coding),
            Some(_) => table.cx.problem(text.at, &text.path, format!("\"{}\" is in this list already", text.text)),
            None => {
                let message = format!("\"{}\" is not one of its values", text.text);
                table.cx.hinted(text.at, &text.path, message, "\"br\", \"zstd\" or \"gzip\"");
            }
        }
    }
    match table.own(&k::CODINGS) {
        None => codings = vec![Coding::Br, Coding::Zstd, Coding::Gzip],
        Some(list) if list.node.is_empty_list() => {
            let hint = "compress = false switches it off";
            table.cx.hinted(list.at(), &list.path, "an empty list would compress nothing", hint);
        }
        Some(_) => {}
    }
    let mut types: Vec<String> = defaults::COMPRESS_TYPES.iter().map(|kind| (*kind).to_owned()).collect();
    types.extend(table.own_texts(&k::COMPRESS_TYPES).iter().map(|text| text.text.to_ascii_lowercase()));
    let level = |key: &Key| table.count(key).and_then(|level| u32::try_from(level).ok()).unwrap_or(1);
    Some(Compress {
        codings,
        types,
        min_length: table.size(&k::MIN_LENGTH).unwrap_or_default(),
        gzip_level: level(&k::GZIP_LEVEL),
        br_level: level(&k::BR_LEVEL),
        zstd_level: i32::try_from(level(&k::ZSTD_LEVEL)).unwrap_or(1),
    })
}
