//! Phase 5, where the route has files: one of them is the answer, or says by which path the
//! request goes on. nginx: PRECONTENT (`try_files`) and CONTENT (`index`, static files).

use std::sync::Arc;

use http::{Method, StatusCode};
use tokio::task::spawn_blocking;

use super::exchange::Exchange;
use super::forward::Answer;
use super::{compress, error_page, turn};
use crate::config::{Files, Mapping, Redirects};
use crate::content::{Asked, FilePage, Found, lookup};
use crate::error::{Error, Kind, Stop};
use crate::hook::LocalReply;
use crate::http1::Length;
use crate::message::{FieldName, FieldValue};

/// What becomes of a request.
pub(super) enum Step {
    /// An upstream is asked: the route has no files.
    Upstream,
    /// This is the answer.
    Answer(Answer),
    /// It goes on by another path or route.
    Again,
}

/// Look for the file that the request means.
///
/// # Errors
/// What keeps it from being read, or the redirect to a folder's slash.
pub(super) async fn find(exchange: &mut Exchange) -> Result<Step, Stop> {
    let files = exchange.target.as_ref().and_then(|target| target.route.content.files.clone());
    let Some(files) = files else { return Ok(Step::Upstream) };
    let method = exchange.view.method.clone();
    let reads = matches!(method, Method::GET | Method::HEAD | Method::POST);
    if !reads && files.tries.is_none() {
        return Err(Kind::MethodNotAllowed.into());
    }
    let asked = asked(exchange, &files);
    let looking = Arc::clone(&files);
    let found = spawn_blocking(move || lookup(&looking, asked)).await;
    match found.map_err(|e| Error::new(Kind::File, e.to_string()))?? {
        Found::Nothing => {
            if let Some(tries) = &files.tries {
                turn::take(exchange, &tries.fallback)?;
            }
            Ok(Step::Again)
        }
        Found::Index(_) | Found::Folder(_) if !reads => Err(Kind::MethodNotAllowed.into()),
        Found::Index(path) => {
            let (_, query) = parts(exchange);
            turn::to_path(exchange, &path, &query)?;
            Ok(Step::Again)
        }
        Found::Folder(path) => Err(slash(exchange, &path, files.redirects).into()),
        // A file takes no data.
        Found::File(..) if method != Method::GET && method != Method::HEAD => Err(Kind::MethodNotAllowed.into()),
        Found::File(page, path) => {
            if exchange.view.path != path {
                exchange.view_mut().path = path;
            }
            Ok(Step::Answer(serve(exchange, page)?))
        }
    }
}

fn asked(exchange: &Exchange, files: &Files) -> Asked {
    let view = &exchange.view;
    let tries = files
        .tries
        .as_ref()
        .map(|tries| tries.list.iter().map(|one| (turn::text(exchange, &one.path), one.is_folder)).collect::<Vec<_>>());
    let named = match &files.mapping {
        Mapping::Named(name) => Some(turn::text(exchange, name)),
        Mapping::Root | Mapping::Alias(_) => None,
    };
    let conditions = ["if-none-match", "if-modified-since", "range"];
    let reads = view.method == Method::GET && !conditions.iter().any(|name| view.headers.contains(name));
    Asked { path: view.path.clone(), named, tries, reads }
}

/// The request target without its query, and the query.
fn parts(exchange: &Exchange) -> (String, String) {
    let (path, query) = exchange.view.path_with_query.split_once('?').unwrap_or((&exchange.view.path_with_query, ""));
    (path.to_owned(), query.to_owned())
}

fn serve(exchange: &mut Exchange, page: FilePage) -> Result<Answer, Error> {
    exchange.local = true;
    let method = &exchange.view.method;
    let (head, body) = if error_page::is_shown_as(exchange, StatusCode::OK) {
        // As in nginx what will be compressed has no parts.
        let whole = compress::coding(exchange, &page.head(), Length::Known(page.length())).is_none();
        page.answer(method, &exchange.view.headers, whole)?
    } else {
        page.whole(method)
    };
    Ok(Answer::Response { head, body })
}

/// nginx: the static module's redirect for a folder without its slash.
fn slash(exchange: &Exchange, path: &str, redirects: Redirects) -> LocalReply {
    let (_, query) = parts(exchange);
    let mut location = if redirects.absolute { base(exchange, redirects) } else { String::new() };
    location.push_str(&turn::escaped(path));
    location.push('/');
    if !query.is_empty() {
        location.push('?');
        location.push_str(&query);
    }
    let field = |name: &str, value: &str| Some((FieldName::new(name).ok()?, FieldValue::new(value).ok()?));
    let fields = [field("Location", &location), field("Content-Type", "text/plain")];
    LocalReply {
        status: StatusCode::MOVED_PERMANENTLY,
        fields: fields.into_iter().flatten().collect(),
        body: "301 Moved Permanently\n".into(),
    }
}

/// Scheme, host and port by which the client came.
fn base(exchange: &Exchange, redirects: Redirects) -> String {
    let view = &exchange.view;
    let by_site = redirects.site_name || view.host.is_empty();
    let host = if by_site && !view.site.is_empty() { &view.site } else { view.host.as_str() };
    let usual = if view.scheme == "https" { 443 } else { 80 };
    let port = view.local.port();
    if redirects.port && port != usual {
        format!("{}://{host}:{port}", view.scheme)
    } else {
        format!("{}://{host}", view.scheme)
    }
}
