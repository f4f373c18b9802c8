//! One step of a case: a hook is called, and what it answers becomes comparable.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::file::{Event, Said, Side, Step};
use super::{peers, request, show};
use crate::hook::{
    BodyWish, Call, Choice, Content, Counts, Hook, HookFailure, HookSet, Message, OpenedBody, Plugin, ResponseView,
    Session, Summary, TunnelSummary, View, Way,
};

/// A step that can be taken: its hook is known and its request is one.
pub(super) struct Ready {
    pub(super) hook: Hook,
    pub(super) view: Arc<View>,
    pub(super) response: Arc<ResponseView>,
    pub(super) step: Step,
    pub(super) choice: Option<Choice>,
}

/// Make a step ready for a plugin of these hooks.
///
/// # Errors
/// What in it cannot be.
pub(super) fn ready(step: Step, hooks: HookSet) -> Result<Ready, String> {
    let hook = hook_of(&step, hooks)?;
    let is_tunnel = matches!(hook, Hook::Messages | Hook::Tunnel);
    let websocket = step.request.is_websocket(is_tunnel);
    let view = Arc::new(step.request.view(websocket)?);
    let mut response = step.response.view(is_tunnel || (websocket && hook == Hook::AccessLog))?;
    if let Some(response) = Arc::get_mut(&mut response).filter(|response| response.status.as_u16() == 101) {
        request::accepted(response);
    }
    let choice = match (hook, &step.peers) {
        (Hook::Balancer, Some(list)) => Some(peers::choice(list, step.tried.as_deref().unwrap_or_default())?),
        (Hook::Balancer, None) => return Err("hook `balancer` needs `peers`".to_owned()),
        _ => None,
    };
    if hook != Hook::Messages && !step.messages.is_empty() {
        return Err(format!("hook `{hook}` sees no messages"));
    }
    if hook == Hook::Handler {
        return Err("hook `handler` has no cases: what it speaks is wasi:http".to_owned());
    }
    Ok(Ready { hook, view, response, step, choice })
}

fn hook_of(step: &Step, hooks: HookSet) -> Result<Hook, String> {
    let list = || hooks.iter().map(|hook| format!("`{hook}`")).collect::<Vec<_>>().join(", ");
    match &step.hook {
        Some(name) => {
            let hook = hooks.iter().find(|hook| hook.name() == name);
            hook.ok_or_else(|| format!("the plugin has no hook `{name}`; it has {}", list()))
        }
        None if !step.messages.is_empty() && hooks.contains(Hook::Messages) => Ok(Hook::Messages),
        None => {
            let mut all = hooks.iter();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(format!("`hook` says which of {} is called", list())),
            }
        }
    }
}

/// The answer of a hook other than `messages`.
pub(super) async fn ask(plugin: &Arc<dyn Plugin>, ready: &Ready) -> Value {
    match answer(plugin, ready).await {
        Ok(value) => value,
        Err(failure) => show::failure(&failure),
    }
}

async fn answer(plugin: &Arc<dyn Plugin>, ready: &Ready) -> Result<Value, HookFailure> {
    let Ready { view, response, step, .. } = ready;
    Ok(match ready.hook {
        Hook::Router => show::routed(plugin.route(view).answer().await?),
        Hook::Origin => show::decision(&plugin.check_origin(view).answer().await?),
        Hook::Authorizer => show::verdict(&plugin.authorize(view).answer().await?),
        Hook::RequestHeaders => show::edited(&plugin.on_request(view).answer().await?),
        Hook::ResponseHeaders => show::edited(&plugin.on_response(view, response).answer().await?),
        Hook::Balancer => {
            let Some(choice) = ready.choice.clone() else { return Ok(show::kind("next")) };
            let list = step.peers.as_deref().unwrap_or_default();
            let picked = plugin.pick(view, choice).answer().await?;
            match picked.and_then(|id| peers::name(list, id)) {
                Some(name) => json!({ "pick": name }),
                None => show::kind("next"),
            }
        }
        Hook::RequestBody => wish(plugin.open_body(view, None).answer().await?),
        Hook::ResponseBody => wish(plugin.open_body(view, Some(response)).answer().await?),
        // Refused by `ready`.
        Hook::Handler => show::kind("next"),
        Hook::Messages => show::opened(plugin.open(view, response).answer().await?.map(|s| s.subscription())),
        Hook::Tunnel => {
            match step.event {
                Some(Event::Close) => plugin.on_tunnel_close(view, response, &tunnel_summary(step)).answer().await?,
                _ => plugin.on_tunnel_open(view, response).answer().await?,
            }
            show::kind("done")
        }
        Hook::AccessLog => {
            plugin.on_end(view, response, &summary(step, response)).answer().await?;
            show::kind("done")
        }
    })
}

/// How a plugin wants to see a body.
fn wish(opened: OpenedBody) -> Value {
    show::kind(match opened.map(|session| session.wish()) {
        None => "none",
        Some(BodyWish::Whole(_)) => "whole",
        Some(BodyWish::Chunks) => "chunks",
    })
}

/// Call a hook and throw its answer away: what is measured. Hooks `messages` and `balancer` are
/// called as they are in [`answer`]; a message alone goes through its session.
pub(super) fn call(plugin: &Arc<dyn Plugin>, ready: &Ready) -> Called {
    let Ready { view, response, step, .. } = ready;
    match ready.hook {
        Hook::Router => Called::of(plugin.route(view)),
        Hook::Origin => Called::of(plugin.check_origin(view)),
        Hook::Authorizer => Called::of(plugin.authorize(view)),
        Hook::RequestHeaders => Called::of(plugin.on_request(view)),
        Hook::ResponseHeaders => Called::of(plugin.on_response(view, response)),
        Hook::Balancer => match ready.choice.clone() {
            Some(choice) => Called::of(plugin.pick(view, choice)),
            None => Called::of(Call::Ready(Ok(()))),
        },
        Hook::RequestBody => Called::of(plugin.open_body(view, None)),
        Hook::ResponseBody => Called::of(plugin.open_body(view, Some(response))),
        Hook::Handler => Called::of(Call::Ready(Ok(()))),
        Hook::Messages => Called::of(plugin.open(view, response)),
        Hook::Tunnel => match step.event {
            Some(Event::Close) => Called::of(plugin.on_tunnel_close(view, response, &tunnel_summary(step))),
            _ => Called::of(plugin.on_tunnel_open(view, response)),
        },
        Hook::AccessLog => Called::of(plugin.on_end(view, response, &summary(step, response))),
    }
}

/// A call whose answer nobody reads: it has come already, or will.
pub(super) enum Called {
    Now(Result<(), HookFailure>),
    Later(std::pin::Pin<Box<dyn Future<Output = Result<(), HookFailure>>>>),
}

impl Called {
    pub(super) fn of<T: 'static>(call: Call<T>) -> Self {
        fn seen<T>(answer: T) {
            drop(std::hint::black_box(answer));
        }
        match call {
            Call::Ready(answer) => Self::Now(answer.map(seen)),
            Call::Later(later) => Self::Later(Box::pin(async move { later.await.map(seen) })),
        }
    }

    pub(super) async fn done(self) -> Result<(), HookFailure> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(later) => later.await,
        }
    }
}

fn summary(step: &Step, response: &ResponseView) -> Summary {
    let part = &step.summary;
    Summary {
        status: part.status.unwrap_or_else(|| response.status.as_u16()),
        upstream: part.upstream.as_deref().map(Into::into),
        tunnel: part.tunnel,
        cause: cause(part.cause.as_deref().unwrap_or("done")),
        duration_us: part.duration_us,
        bytes_in: part.bytes_in,
        bytes_out: part.bytes_out,
    }
}

fn tunnel_summary(step: &Step) -> TunnelSummary {
    let part = &step.summary;
    let counted = part.messages_in.is_some() || part.messages_out.is_some();
    let messages = Counts { up: part.messages_in.unwrap_or_default(), down: part.messages_out.unwrap_or_default() };
    TunnelSummary {
        cause: cause(part.cause.as_deref().unwrap_or("tunnel.client_closed")),
        close_code: part.close_code,
        duration_us: part.duration_us,
        bytes: Counts { up: part.bytes_in, down: part.bytes_out },
        messages: counted.then_some(messages),
    }
}

/// In the proxy these are constants.
fn cause(text: &str) -> &'static str {
    static KNOWN: parking_lot::Mutex<Vec<&'static str>> = parking_lot::Mutex::new(Vec::new());
    let mut known = KNOWN.lock();
    if let Some(found) = known.iter().find(|known| **known == text) {
        return found;
    }
    // As many as a case file has, once in a process.
    let new: &'static str = Box::leak(text.to_owned().into_boxed_str());
    known.push(new);
    new
}

/// The tunnels of a case, by number.
#[derive(Default)]
pub(super) struct Tunnels(BTreeMap<u64, Option<Box<dyn Session>>>);

impl Tunnels {
    /// What a message of a tunnel comes to, and first what its opening came to where it was not open.
    pub(super) async fn say(
        &mut self,
        plugin: &Arc<dyn Plugin>,
        ready: &Ready,
        said: &Said,
    ) -> (Option<Value>, Option<Value>) {
        let mut opening = None;
        if !self.0.contains_key(&said.tunnel) {
            match self.open(plugin, ready, said.tunnel).await {
                Ok(shown) => opening = Some(shown),
                Err(failure) => return (Some(show::failure(&failure)), None),
            }
        }
        let Some(Some(session)) = self.0.get_mut(&said.tunnel) else { return (opening, Some(show::kind("unseen"))) };
        (opening, Some(message(session.as_mut(), said).await))
    }

    /// Open a tunnel; what that came to.
    pub(super) async fn open(
        &mut self,
        plugin: &Arc<dyn Plugin>,
        ready: &Ready,
        tunnel: u64,
    ) -> Result<Value, HookFailure> {
        let mut view = View::clone(&ready.view);
        // Tunnels are told apart by the numbers of their requests.
        view.serial = view.serial.wrapping_add(tunnel << 32);
        let session = plugin.open(&Arc::new(view), &ready.response).answer().await?;
        let shown = show::opened(session.as_ref().map(|session| session.subscription()));
        self.0.insert(tunnel, session);
        Ok(shown)
    }

    pub(super) fn session(&mut self, tunnel: u64) -> Option<&mut Box<dyn Session>> {
        self.0.get_mut(&tunnel)?.as_mut()
    }
}

async fn message(session: &mut dyn Session, said: &Said) -> Value {
    let (way, content, data) = parts(said);
    let subscription = session.subscription();
    if !subscription.interest.has(way, content) {
        return show::kind("unseen");
    }
    let length = u64::try_from(data.len()).ok();
    let message = Message { way, content, length, data: cut(&data, content, subscription.first) };
    match session.on_message(&message).answer().await {
        Ok(judgement) => show::judgement(&judgement, content),
        Err(failure) => show::failure(&failure),
    }
}

/// As the relay hands it over: so many bytes, text at a character's end.
pub(super) fn cut(data: &[u8], content: Content, first: Option<usize>) -> &[u8] {
    let most = first.unwrap_or(data.len()).min(data.len());
    let part = data.get(..most).unwrap_or(data);
    match std::str::from_utf8(part) {
        Err(error) if content == Content::Text => part.get(..error.valid_up_to()).unwrap_or_default(),
        _ => part,
    }
}

/// Which way it goes, what it carries, and its bytes.
pub(super) fn parts(said: &Said) -> (Way, Content, Vec<u8>) {
    let way = match said.from {
        Side::Client => Way::Up,
        Side::Upstream => Way::Down,
    };
    match (&said.text, &said.hex) {
        (Some(text), _) => (way, Content::Text, text.clone().into_bytes()),
        (None, hex) => (way, Content::Binary, hex.as_deref().and_then(show::unhex).unwrap_or_default()),
    }
}
