//! The host's side of the imports, for tests: the same functions as the generated ones.

use std::cell::RefCell;
use std::time::Duration;

use super::exchange::{Request, Response};
use super::granted::{Access, label, least};
use super::load::Load;
use crate::bindings::imports::tidegate::plugin::log::Level;
use crate::bindings::imports::tidegate::plugin::metrics::MetricError;

#[derive(Default)]
struct Host {
    request: Option<Request>,
    response: Option<Response>,
    load: Option<Load>,
    access: Option<Access>,
    log: Vec<(Level, String)>,
    series: Vec<Series>,
    monotonic: Duration,
    unix: Duration,
    fetches: Vec<http_client::Request>,
    answer: Option<std::rc::Rc<http_client::Answer>>,
}

struct Series {
    kind: Kind,
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Puts back what was current before, also when the hook panics.
struct Restore(Option<(Option<Request>, Option<Response>)>);

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some((request, response)) = self.0.take() {
            HOST.with_borrow_mut(|host| (host.request, host.response) = (request, response));
        }
    }
}

pub(super) fn during<R>(request: Option<Request>, response: Option<Response>, hook: impl FnOnce() -> R) -> R {
    let _restore = HOST.with_borrow_mut(|host| {
        let before = (host.request.take(), host.response.take());
        (host.request, host.response) = (request, response);
        Restore(Some(before))
    });
    hook()
}

/// Takes the load away again, also when the hook panics.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        HOST.with_borrow_mut(|host| host.load = None);
    }
}

pub(super) fn during_pick<R>(load: Load, hook: impl FnOnce() -> R) -> R {
    let _forget = Forget;
    HOST.with_borrow_mut(|host| host.load = Some(load));
    hook()
}

/// What is said of access is kept until this is dropped, also when the hook panics.
struct Hear;

impl Drop for Hear {
    fn drop(&mut self) {
        HOST.with_borrow_mut(|host| host.access = None);
    }
}

pub(super) fn hearing<R>(hook: impl FnOnce() -> R) -> (R, Access) {
    let _hear = Hear;
    HOST.with_borrow_mut(|host| host.access = Some(Access::default()));
    let answer = hook();
    (answer, HOST.with_borrow_mut(|host| host.access.take()).unwrap_or_default())
}

pub(super) fn take_log() -> Vec<(Level, String)> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.log))
}

pub(super) fn metric(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    HOST.with_borrow(|host| {
        let same = |series: &&Series| {
            series.name == name
                && series.labels.len() == labels.len()
                && series.labels.iter().zip(labels).all(|((a, b), (c, d))| a == c && b == d)
        };
        host.series.iter().find(same).map(|series| series.value)
    })
}

pub(super) fn set_clock(monotonic: Duration, unix: Duration) {
    HOST.with_borrow_mut(|host| (host.monotonic, host.unix) = (monotonic, unix));
}

pub(super) fn advance_clock(by: Duration) {
    HOST.with_borrow_mut(|host| {
        host.monotonic += by;
        host.unix += by;
    });
}

pub(super) fn answer_fetches(answer: Box<http_client::Answer>) {
    HOST.with_borrow_mut(|host| host.answer = Some(answer.into()));
}

pub(super) fn take_fetches() -> Vec<http_client::Request> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.fetches))
}

#[expect(clippy::panic, reason = "the host traps here, and a test should say why it fails")]
fn current<R>(read: impl FnOnce(&Request) -> R) -> R {
    HOST.with_borrow(|host| match &host.request {
        Some(request) => read(request),
        None => panic!("there is no request here: run the hook in `tidegate_plugin::testing::with`"),
    })
}

#[expect(clippy::panic, reason = "the host traps here, and a test should say why it fails")]
fn answered<R>(read: impl FnOnce(&Response) -> R) -> R {
    HOST.with_borrow(|host| match &host.response {
        Some(response) => read(response),
        None => panic!("there is no response here: run the hook in `tidegate_plugin::testing::with_response`"),
    })
}

#[expect(clippy::panic, reason = "the host traps here, and a test should say why it fails")]
fn loaded<R>(read: impl FnOnce(&Load) -> R) -> R {
    HOST.with_borrow(|host| match &host.load {
        Some(load) => read(load),
        None => panic!("there is nothing to pick here: run the hook in `tidegate_plugin::testing::with_peers`"),
    })
}

fn lines(headers: &[(String, Vec<u8>)]) -> Vec<crate::Field> {
    headers.iter().map(|(name, value)| crate::Field { name: name.clone(), value: value.clone() }).collect()
}

/// Interface `request`.
pub(crate) mod request {
    use super::current;
    use crate::{Endpoint, Field};

    pub(crate) fn method() -> String {
        current(|r| r.method.clone())
    }
    pub(crate) fn path_with_query() -> String {
        current(|r| r.target.clone())
    }
    pub(crate) fn path() -> String {
        current(|r| r.path())
    }
    pub(crate) fn query() -> Option<String> {
        current(|r| r.query().map(str::to_owned))
    }
    pub(crate) fn authority() -> String {
        current(|r| r.authority())
    }
    pub(crate) fn host() -> String {
        current(|r| r.host())
    }
    pub(crate) fn scheme() -> String {
        current(|r| r.scheme.to_owned())
    }
    pub(crate) fn is_websocket() -> bool {
        current(|r| r.websocket)
    }
    pub(crate) fn get(name: &str) -> Option<Vec<u8>> {
        current(|r| r.values(name).next().map(<[u8]>::to_vec))
    }
    pub(crate) fn get_all(name: &str) -> Vec<Vec<u8>> {
        current(|r| r.values(name).map(<[u8]>::to_vec).collect())
    }
    pub(crate) fn has(name: &str) -> bool {
        current(|r| r.values(name).next().is_some())
    }
    pub(crate) fn entries() -> Vec<Field> {
        current(|r| super::lines(&r.headers))
    }
    pub(crate) fn client() -> Endpoint {
        current(|r| r.client.into())
    }
    pub(crate) fn local() -> Endpoint {
        current(|r| r.local.into())
    }
    pub(crate) fn variable(name: &str) -> Option<String> {
        current(|r| r.variable_value(name))
    }
}

/// Interface `response`.
pub(crate) mod response {
    use super::answered;
    use crate::Field;

    pub(crate) fn status() -> u16 {
        answered(|r| r.status)
    }
    pub(crate) fn get(name: &str) -> Option<Vec<u8>> {
        get_all(name).into_iter().next()
    }
    pub(crate) fn get_all(name: &str) -> Vec<Vec<u8>> {
        answered(|r| {
            let same = r.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            same.map(|(_, value)| value.clone()).collect()
        })
    }
    pub(crate) fn entries() -> Vec<Field> {
        answered(|r| super::lines(&r.headers))
    }
}

/// Interface `peers`.
pub(crate) mod peers {
    use super::loaded;

    pub(crate) fn active(id: u32) -> Option<u32> {
        loaded(|load| load.active(id))
    }
    pub(crate) fn total() -> u32 {
        loaded(|load| load.total())
    }
    pub(crate) fn tried() -> Vec<u32> {
        loaded(|load| load.ids_tried().to_vec())
    }
}

/// Interface `access`: without [`super::with_access`] it is checked, and forgotten.
pub(crate) mod access {
    use std::time::Duration;

    use super::{Access, HOST, current, label, least};

    fn say(what: impl FnOnce(&mut Access)) {
        // There must be a request.
        current(|_| ());
        HOST.with_borrow_mut(|host| what(host.access.as_mut().unwrap_or(&mut Access::default())));
    }

    pub(crate) fn subject(name: &str) {
        say(|access| access.subject = Some(label(name)));
    }
    pub(crate) fn tag(name: &str) {
        say(|access| access.tag(name));
    }
    pub(crate) fn expires_at(unix_ms: u64) {
        say(|access| least(&mut access.expires_at, Duration::from_millis(unix_ms)));
    }
    pub(crate) fn max_lifetime(ms: u64) {
        say(|access| least(&mut access.max_lifetime, Duration::from_millis(ms)));
    }
    pub(crate) fn max_message(bytes: u64) {
        say(|access| least(&mut access.max_message, bytes));
    }
    pub(crate) fn is_renewal() -> bool {
        current(|request| request.renewal)
    }
}

/// Interface `log`: everything is enabled.
pub(crate) mod log {
    use super::{HOST, Level};

    pub(crate) fn enabled(_: Level) -> bool {
        true
    }
    pub(crate) fn write(level: Level, message: &str) {
        HOST.with_borrow_mut(|host| host.log.push((level, message.to_owned())));
    }
}

/// Interface `http-client`.
pub(crate) mod http_client {
    use super::HOST;
    pub(super) use crate::bindings::imports::tidegate::plugin::http_client::Request;
    use crate::bindings::imports::tidegate::plugin::http_client::{FetchError, Response};

    /// What a test answers.
    pub(super) type Answer = dyn Fn(&Request) -> Result<Response, FetchError>;

    pub(crate) fn fetch(request: &Request) -> Result<Response, FetchError> {
        let answer = HOST.with_borrow_mut(|host| {
            host.fetches.push(request.clone());
            // Without a request there is no hook to fetch for.
            host.request.as_ref().and(host.answer.clone())
        });
        match answer {
            // Outside of the borrow: the test may look at what it set up.
            Some(answer) => answer(request),
            None => Err(FetchError::Denied("no grant: `testing::answer_fetches` gives one within a hook".to_owned())),
        }
    }
}

/// Interface `clock`.
pub(crate) mod clock {
    use super::HOST;

    pub(crate) fn monotonic() -> u64 {
        HOST.with_borrow(|host| u64::try_from(host.monotonic.as_nanos()).unwrap_or(u64::MAX))
    }
    pub(crate) fn unix_ms() -> u64 {
        HOST.with_borrow(|host| u64::try_from(host.unix.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Interface `metrics`.
pub(crate) mod metrics {
    use super::{HOST, Kind, MetricError, Series};

    type Labels = [(String, String)];

    pub(crate) fn counter(name: &str, _help: &str, labels: &Labels) -> Result<u32, MetricError> {
        register(Kind::Counter, name, labels)
    }
    pub(crate) fn gauge(name: &str, _help: &str, labels: &Labels) -> Result<u32, MetricError> {
        register(Kind::Gauge, name, labels)
    }
    pub(crate) fn histogram(name: &str, _: &str, labels: &Labels, bounds: &[f64]) -> Result<u32, MetricError> {
        if !bounds.is_sorted_by(|a, b| a < b) {
            return Err(MetricError::BadName);
        }
        register(Kind::Histogram, name, labels)
    }
    pub(crate) fn add(id: u32, n: u64) {
        update(id, Kind::Counter, |value| value + n as f64);
    }
    pub(crate) fn set(id: u32, value: f64) {
        update(id, Kind::Gauge, |_| value);
    }
    pub(crate) fn observe(id: u32, _value: f64) {
        update(id, Kind::Histogram, |observations| observations + 1.0);
    }

    fn is_name(name: &str) -> bool {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }

    fn register(kind: Kind, name: &str, labels: &Labels) -> Result<u32, MetricError> {
        if !is_name(name) || !labels.iter().all(|(label, _)| is_name(label)) {
            return Err(MetricError::BadName);
        }
        HOST.with_borrow_mut(|host| {
            if host.series.iter().any(|series| series.name == name && series.kind != kind) {
                return Err(MetricError::TypeMismatch);
            }
            let same = host.series.iter().position(|series| series.name == name && series.labels == labels);
            let index = same.unwrap_or_else(|| {
                host.series.push(Series { kind, name: name.to_owned(), labels: labels.to_vec(), value: 0.0 });
                host.series.len() - 1
            });
            u32::try_from(index).map_err(|_too_large| MetricError::TooMany)
        })
    }

    fn update(id: u32, kind: Kind, change: impl FnOnce(f64) -> f64) {
        HOST.with_borrow_mut(|host| {
            let series = usize::try_from(id).ok().and_then(|index| host.series.get_mut(index));
            if let Some(series) = series.filter(|series| series.kind == kind) {
                series.value = change(series.value);
            }
        });
    }
}
