//! Phase 3: is it too much. The size of the body, the rate of requests, and how many are open.
//!
//! In nginx's order: the size is checked where the location is found, then `limit_req` and
//! `limit_conn` run in PREACCESS.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::exchange::{Exchange, Target};
use super::handshake::Upgrade;
use crate::body::{Body, Piece, Source};
use crate::config::Level;
use crate::error::{Error, Kind};
use crate::hook::View;
use crate::http1::Length;
use crate::limit::{self, Class, Full, Limits, Rated};

/// Judge what is declared of the body's size, where there is a route.
///
/// # Errors
/// [`Kind::BodyTooLarge`].
pub(super) fn declared(exchange: &Exchange, body: &Body) -> Result<(), Error> {
    let most = exchange.target.as_ref().and_then(|target| target.route.limits.max_body);
    match (most, body.length()) {
        (Some(most), Length::Known(length)) if length > most => too_large(most),
        _ => Ok(()),
    }
}

/// Judge the request by its route's limits; wait where a rate says so. Gives the body back,
/// with a limit on it where its length is not declared.
///
/// # Errors
/// [`Kind::RateLimit`] or [`Kind::OpenLimit`].
pub(super) async fn check(exchange: &mut Exchange, body: Body) -> Result<Body, Error> {
    let Some(Target { route, .. }) = &exchange.target else { return Ok(body) };
    let route = Arc::clone(route);
    let limits = &route.limits;
    let body = measured(body, limits.max_body);
    if exchange.turns > 0 {
        // It was counted when it came.
        return Ok(body);
    }
    if !limits.rates.is_empty() {
        let wait = rate(exchange, limits)?;
        if !wait.is_zero() {
            // Nothing is locked or held meanwhile; a client that leaves drops this future.
            tokio::time::sleep(wait).await;
        }
    }
    if !limits.open.is_empty() {
        open(exchange, limits)?;
    }
    Ok(body)
}

/// What was not declared is measured as it comes.
fn measured(body: Body, most: Option<u64>) -> Body {
    match (most, body.length()) {
        (None, _) | (_, Length::Known(_)) => body,
        (Some(most), _) => Body::Stream(Box::new(Measured { body, most, left: most })),
    }
}

fn too_large<T>(most: u64) -> Result<T, Error> {
    Err(Error::new(Kind::BodyTooLarge, format!("the limit is {most} bytes")))
}

/// A body that breaks off where it has more bytes than it may.
struct Measured {
    body: Body,
    most: u64,
    left: u64,
}

impl Source for Measured {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let polled = self.body.poll_piece(cx);
        if let Poll::Ready(Ok(Piece::Data(data))) = &polled {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(too_large(self.most)),
            }
        }
        polled
    }

    fn length(&self) -> Length {
        self.body.length()
    }
}

/// How long the request has to wait.
fn rate(exchange: &mut Exchange, limits: &Limits) -> Result<Duration, Error> {
    let refusal = &limits.rate_refusal;
    let dry = if refusal.dry_run { ", dry run" } else { "" };
    let (status, outcome) = match limits.rate(&exchange.view, limit::now()) {
        Rated::NotCounted => return Ok(Duration::ZERO),
        Rated::Passed => ("PASSED", Ok(Duration::ZERO)),
        Rated::Delayed(ms, excess, zone) => {
            let what = format_args!("delaying request{dry}, excess: {} by zone \"{}\"", Thousandths(excess), zone.name);
            say(lower(refusal.level), &exchange.view, what);
            if refusal.dry_run {
                ("DELAYED_DRY_RUN", Ok(Duration::ZERO))
            } else {
                ("DELAYED", Ok(Duration::from_millis(ms)))
            }
        }
        Rated::Refused(excess, zone) => {
            let what =
                format_args!("limiting requests{dry}, excess: {} by zone \"{}\"", Thousandths(excess), zone.name);
            say(refusal.level, &exchange.view, what);
            if refusal.dry_run {
                ("REJECTED_DRY_RUN", Ok(Duration::ZERO))
            } else {
                ("REJECTED", Err(Error::new(Kind::RateLimit(refusal.status), &*zone.name)))
            }
        }
    };
    exchange.view_mut().limit_req_status = status;
    note(exchange, "limit_req_status", status);
    outcome
}

/// Take a place in each zone; they are the record's, which lives as long as the exchange, its
/// body, or the tunnel that it becomes.
fn open(exchange: &mut Exchange, limits: &Limits) -> Result<(), Error> {
    let refusal = &limits.open_refusal;
    let class = if exchange.upgrade == Upgrade::None { Class::Request } else { Class::Tunnel };
    let (status, outcome) = match limits.enter(&exchange.view, class) {
        Ok(slots) if slots.is_empty() => return Ok(()),
        Ok(slots) => {
            if let Some(record) = &mut exchange.record {
                record.slots = slots;
            }
            ("PASSED", Ok(()))
        }
        Err(Full(zone)) => {
            let dry = if refusal.dry_run { ", dry run" } else { "" };
            say(refusal.level, &exchange.view, format_args!("limiting connections{dry} by zone \"{}\"", zone.name));
            if refusal.dry_run {
                ("REJECTED_DRY_RUN", Ok(()))
            } else {
                ("REJECTED", Err(Error::new(Kind::OpenLimit(refusal.status), &*zone.name)))
            }
        }
    };
    exchange.view_mut().limit_conn_status = status;
    note(exchange, "limit_conn_status", status);
    outcome
}

/// What lines will say of the request is copied with its route, before this phase.
fn note(exchange: &mut Exchange, name: &str, status: &str) {
    if let Some(log) = exchange.record.as_mut().and_then(|record| record.log.as_mut()) {
        log.set(name, status);
    }
}

/// nginx says of what waits one level lower than of what is refused.
fn lower(level: Level) -> Level {
    match level {
        Level::Error => Level::Warn,
        Level::Warn | Level::Info => Level::Info,
    }
}

fn say(level: Level, view: &View, what: fmt::Arguments<'_>) {
    let (client, host, path, route) = (view.client.ip(), &view.host, &view.path_with_query, &view.route);
    match level {
        Level::Error => tracing::error!(%client, %host, %path, %route, "{what}"),
        Level::Warn => tracing::warn!(%client, %host, %path, %route, "{what}"),
        Level::Info => tracing::info!(%client, %host, %path, %route, "{what}"),
    }
}

/// `1.250`, as nginx writes an excess.
struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
