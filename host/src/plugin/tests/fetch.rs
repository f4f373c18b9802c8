//! `http-client`, with the stock plugin that uses it.

use std::future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::*;
use crate::hook::{Fetch, FetchError, FetchRequest, FetchResponse, Fetching, HookFailureKind, Verdict};

const AUTH_REQUEST: &[u8] = include_bytes!("../../../../plugins/dist/auth-request.wasm");

/// Answers with a status, or never; keeps what it was asked.
#[derive(Default)]
struct Fake {
    status: Option<u16>,
    asked: Mutex<Vec<FetchRequest>>,
    /// Answers that are awaited.
    waiting: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fetch for Fake {
    fn fetch(&self, request: FetchRequest) -> Fetching {
        self.asked.lock().push(request);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(Arc::clone(&self.waiting));
        let status = self.status.map(|status| StatusCode::from_u16(status).unwrap());
        Box::pin(async move {
            let _waiting = waiting;
            let Some(status) = status else { return future::pending::<Result<_, FetchError>>().await };
            let fields = [("X-User", "ann")].into_iter().collect();
            Ok(FetchResponse { status, fields, body: Vec::new() })
        })
    }
}

fn asking(fake: Option<&Arc<Fake>>, deadline: Duration) -> Spec {
    let fetch = fake.map(|fake| Arc::clone(fake) as Arc<dyn Fetch>);
    let config = r#"{"destination":"upstream:auth","path":"/verify?x=1","timeout_ms":1500,
        "variables":[["auth_user","X-User"]]}"#;
    Spec { config: config.into(), deadline, fetch, memory: 16 << 20, ..spec(AUTH_REQUEST) }
}

fn authorize(spec: &Spec) -> Result<Verdict, HookFailure> {
    let plugin = runtime().load(spec).unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(plugin.authorize(&view()).answer())
}

#[test]
fn who_imports_it_is_in_the_fiber_lane() {
    let found = runtime().inspect(AUTH_REQUEST).unwrap();
    assert_eq!(found.lane, Lane::Fiber);
    assert!(found.services.contains(&"tidegate:plugin/http-client@0.1.0".to_owned()), "{:?}", found.services);
}

#[test]
fn what_a_plugin_asks_is_sent_and_answered() {
    let fake = Arc::new(Fake { status: Some(204), ..Fake::default() });
    let Ok(Verdict::Grant(grant)) = authorize(&asking(Some(&fake), Duration::from_secs(5))) else { panic!() };
    assert_eq!(grant.variables, [("auth_user".to_owned(), "ann".to_owned())]);
    let asked = fake.asked.lock().pop().unwrap();
    assert_eq!((asked.method, asked.destination.as_str()), (Method::GET, "upstream:auth"));
    assert_eq!((asked.target.as_str(), asked.timeout), ("/verify?x=1", Some(Duration::from_millis(1500))));
    let origin = asked.fields.iter().find(|(name, _)| name.as_str() == "origin").unwrap();
    assert_eq!(origin.1.as_bytes(), b"https://app.example.com");
}

#[test]
fn a_plugin_without_a_grant_loads_and_is_denied() {
    let Ok(Verdict::Deny(reply)) = authorize(&asking(None, Duration::from_secs(5))) else { panic!() };
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
}

/// A wait counts towards the deadline, and what was awaited is given up.
#[test]
fn a_wait_for_an_answer_ends_at_the_deadline() {
    let fake = Arc::new(Fake::default());
    let since = Instant::now();
    let failure = authorize(&asking(Some(&fake), Duration::from_millis(60))).unwrap_err();
    assert_eq!(failure.kind, HookFailureKind::Deadline);
    assert!(since.elapsed() >= Duration::from_millis(60));
    assert_eq!((fake.asked.lock().len(), fake.waiting.load(Ordering::SeqCst)), (1, 0));
}
