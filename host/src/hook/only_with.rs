//! A plugin that has something to do only where an answer has certain headers.

use std::sync::Arc;

use http::HeaderName;

use super::{
    Call, Choice, Decision, FieldEdit, HandlerRequest, Handling, HookSet, LocalReply, OnFailure, OpenedBody, Plugin,
    ResponseView, Session, Summary, Target, TunnelSummary, Verdict, View,
};

/// Spares a plugin the calls of hook `response-headers` for answers without these headers;
/// everything else is its own.
pub struct OnlyWith {
    plugin: Arc<dyn Plugin>,
    headers: Box<[HeaderName]>,
}

impl OnlyWith {
    /// The plugin, called for answers with at least one of the headers.
    pub fn new(plugin: Arc<dyn Plugin>, headers: impl Into<Box<[HeaderName]>>) -> Self {
        Self { plugin, headers: headers.into() }
    }
}

impl Plugin for OnlyWith {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn hooks(&self) -> HookSet {
        self.plugin.hooks()
    }

    fn on_failure(&self) -> OnFailure {
        self.plugin.on_failure()
    }

    fn route(&self, view: &Arc<View>) -> Call<Result<Option<Target>, LocalReply>> {
        self.plugin.route(view)
    }

    fn check_origin(&self, view: &Arc<View>) -> Call<Decision> {
        self.plugin.check_origin(view)
    }

    fn authorize(&self, view: &Arc<View>) -> Call<Verdict> {
        self.plugin.authorize(view)
    }

    fn on_request(&self, view: &Arc<View>) -> Call<Result<Vec<FieldEdit>, LocalReply>> {
        self.plugin.on_request(view)
    }

    fn pick(&self, view: &Arc<View>, choice: Choice) -> Call<Option<u32>> {
        self.plugin.pick(view, choice)
    }

    fn handle(&self, request: HandlerRequest) -> Handling {
        self.plugin.handle(request)
    }

    fn on_response(&self, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<Result<Vec<FieldEdit>, LocalReply>> {
        if self.headers.iter().any(|name| response.headers.contains(name.as_str())) {
            self.plugin.on_response(view, response)
        } else {
            Call::Ready(Ok(Ok(Vec::new())))
        }
    }

    fn open_body(&self, view: &Arc<View>, response: Option<&Arc<ResponseView>>) -> Call<OpenedBody> {
        self.plugin.open_body(view, response)
    }

    fn open(&self, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<Option<Box<dyn Session>>> {
        self.plugin.open(view, response)
    }

    fn on_tunnel_open(&self, view: &Arc<View>, response: &Arc<ResponseView>) -> Call<()> {
        self.plugin.on_tunnel_open(view, response)
    }

    fn on_tunnel_close(&self, view: &Arc<View>, response: &Arc<ResponseView>, summary: &TunnelSummary) -> Call<()> {
        self.plugin.on_tunnel_close(view, response, summary)
    }

    fn take_over(&self) {
        self.plugin.take_over();
    }

    fn on_end(&self, view: &Arc<View>, response: &Arc<ResponseView>, summary: &Summary) -> Call<()> {
        self.plugin.on_end(view, response, summary)
    }
}
