//! Turns within the proxy: the request goes on by another path, as if the client had asked
//! for that, or by another route. nginx: `ngx_http_internal_redirect`, named locations.

use std::sync::Arc;

use super::exchange::Exchange;
use crate::config::Goal;
use crate::error::{Error, Kind};
use crate::hook::Template;

/// How many turns a request may take. nginx: `NGX_HTTP_MAX_URI_CHANGES`.
const MOST: u8 = 10;

/// Take a turn; the route phase finds the route that it leads to.
///
/// # Errors
/// [`Kind::Circles`] where there were too many, [`Kind::UnknownTarget`] for a route that is
/// not there, or the status of a goal that is one.
pub(super) fn take(exchange: &mut Exchange, goal: &Goal) -> Result<(), Error> {
    match goal {
        Goal::Status(status) => Err(Kind::NoneOfThese(*status).into()),
        Goal::Path(path) => {
            let target = text(exchange, path);
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            to_path(exchange, path, query)
        }
        Goal::Route(name) => {
            count(exchange)?;
            let route = exchange.snapshot.routes.get(name);
            let unknown = || Error::new(Kind::UnknownTarget, format!("no route `{name}`"));
            exchange.next_route = Some(Arc::clone(route.ok_or_else(unknown)?));
            exchange.target_path.clone_from(&exchange.view.path_with_query);
            Ok(())
        }
    }
}

/// Go on by a decoded path and a query, which may be empty.
///
/// # Errors
/// [`Kind::Circles`].
pub(super) fn to_path(exchange: &mut Exchange, path: &str, query: &str) -> Result<(), Error> {
    count(exchange)?;
    let mut target = escaped(path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(query);
    }
    exchange.target_path.clone_from(&target);
    let view = exchange.view_mut();
    path.clone_into(&mut view.path);
    let before = std::mem::replace(&mut view.path_with_query, target);
    view.original.get_or_insert_with(|| before.into());
    Ok(())
}

fn count(exchange: &mut Exchange) -> Result<(), Error> {
    exchange.turns += 1;
    exchange.answered = false;
    if exchange.turns > MOST {
        return Err(Error::new(Kind::Circles, format!("{MOST} turns within the proxy")));
    }
    Ok(())
}

/// A template's value as text.
pub(super) fn text(exchange: &Exchange, template: &Template) -> String {
    let mut out = Vec::new();
    template.render(&exchange.view, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A decoded path as it stands in a request, escaped where nginx does it (`NGX_ESCAPE_URI`).
pub(super) fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (at, byte) in path.bytes().enumerate() {
        // A byte that is not UTF-8 has stayed escaped.
        let stays = byte == b'%' && path.get(at + 1..at + 3).is_some_and(is_high);
        let plain = (b'!'..=b'~').contains(&byte) && !b"\"#%<>?\\^`{|}".contains(&byte);
        if plain || stays {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether two digits are a byte that is not ASCII.
fn is_high(digits: &str) -> bool {
    u8::from_str_radix(digits, 16).is_ok_and(|byte| byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn paths_are_escaped_as_by_nginx() {
        for (path, wanted) in [
            ("/a/b-._~!$&'()*+,;=:@[]", "/a/b-._~!$&'()*+,;=:@[]"),
            ("/a b?#%", "/a%20b%3F%23%25"),
            ("/é", "/%C3%A9"),
            ("/x%FF", "/x%FF"),
            ("/x%41", "/x%2541"),
            ("/\r\n", "/%0D%0A"),
        ] {
            assert_eq!(escaped(path), wanted, "{path}");
        }
    }
}
