//! The hooks of this version: which a component exports, and how each is called.

use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{AsContextMut, Engine};

use super::bindings::exports::tidegate::plugin as wit;
use super::bindings::tidegate::plugin::types;
use super::{HANDLER, PACKAGE, VERSION, convert};
use crate::hook::{self, Hook, HookSet};
use crate::plugin::error::PluginError;
use crate::plugin::failure::Fault;
use crate::plugin::instance::Ctx;

/// A function that takes nothing.
pub(in crate::plugin) type Ask<R> = TypedFunc<(), (R,)>;
type Edits = Result<Vec<types::FieldEdit>, types::LocalReply>;
type Routed = Result<Option<wit::router::Target>, types::LocalReply>;
/// `balancer.update`: the group's number and name, and its peers.
pub(in crate::plugin) type Update = TypedFunc<(u32, String, Vec<wit::balancer::Peer>), ()>;
/// `lifecycle.configure`.
pub(in crate::plugin) type Configure<'a> = TypedFunc<(&'a str,), (Result<(), String>,)>;

/// Where a component's hooks are.
#[derive(Default)]
pub(in crate::plugin) struct Exports {
    configure: Option<ComponentExportIndex>,
    schema: Option<ComponentExportIndex>,
    hooks: [Option<ComponentExportIndex>; Hook::ALL.len()],
    /// Hook `balancer` has a second function.
    update: Option<ComponentExportIndex>,
    /// Hook `tunnel` has two.
    tunnel_open: Option<ComponentExportIndex>,
}

/// A hook's one function, or the one that answers.
fn function_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Router => "route",
        Hook::Origin => "check",
        Hook::Authorizer => "authorize",
        Hook::RequestHeaders => "on-request",
        Hook::RequestBody | Hook::ResponseBody => "on-body",
        Hook::Balancer => "pick",
        Hook::Handler => "handle",
        Hook::ResponseHeaders => "on-response",
        Hook::Messages => "on-message",
        Hook::Tunnel => "on-close",
        Hook::AccessLog => "on-end",
    }
}

impl Exports {
    /// Find the hooks. An absent one is fine; one without its function is an error.
    ///
    /// # Errors
    /// [`PluginError::WrongShape`], [`PluginError::WrongVersion`], [`PluginError::NoHooks`].
    pub(in crate::plugin) fn of(engine: &Engine, component: &Component) -> Result<Self, PluginError> {
        let find = |name: String, function: &str| {
            // Semver-aware: never compare these names as strings.
            let Some(instance) = component.get_export_index(None, &*name) else { return Ok(None) };
            match component.get_export_index(Some(&instance), function) {
                Some(index) => Ok(Some(index)),
                None => {
                    Err(PluginError::WrongShape { interface: name, detail: format!("it has no function `{function}`") })
                }
            }
        };
        let mut exports = Self {
            configure: find(interface("lifecycle"), "configure")?,
            schema: find(interface("config-schema"), "schema")?,
            ..Self::default()
        };
        for (hook, place) in Hook::ALL.into_iter().zip(&mut exports.hooks) {
            *place = find(interface_of(hook), function_name(hook))?;
        }
        exports.update = find(interface_of(Hook::Balancer), "update")?;
        exports.tunnel_open = find(interface_of(Hook::Tunnel), "on-open")?;
        // One hook of another version would go uncalled in silence: refuse it, whatever
        // else there is.
        let ty = component.component_type();
        let other = ty.exports(engine).find(|(name, _)| version_of(name).is_some_and(|v| !v.starts_with("0.1.")));
        if let Some((found, _)) = other {
            return Err(PluginError::WrongVersion { found: found.to_owned() });
        }
        if exports.set() == HookSet::default() { Err(PluginError::NoHooks) } else { Ok(exports) }
    }

    /// The hooks that there are.
    pub(in crate::plugin) fn set(&self) -> HookSet {
        Hook::ALL.into_iter().zip(&self.hooks).filter(|(_, index)| index.is_some()).map(|(hook, _)| hook).collect()
    }

    /// Whether there is `lifecycle.configure`.
    pub(in crate::plugin) fn configurable(&self) -> bool {
        self.configure.is_some()
    }

    /// Whether there is `config-schema.schema`.
    pub(in crate::plugin) fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    /// An instance's `config-schema.schema`, if it has one.
    pub(in crate::plugin) fn schema(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<Option<Ask<String>>> {
        self.schema.as_ref().map(|index| instance.get_typed_func(store, index)).transpose()
    }

    /// An instance's `lifecycle.configure`, if it has one.
    pub(in crate::plugin) fn configure<'a>(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<Option<Configure<'a>>> {
        self.configure.as_ref().map(|index| instance.get_typed_func(store, index)).transpose()
    }
}

/// The hook functions of one instance, with their types checked.
pub(in crate::plugin) struct Functions {
    route: Option<Ask<Routed>>,
    check: Option<Ask<types::Decision>>,
    authorize: Option<Ask<wit::authorizer::Verdict>>,
    on_request: Option<Ask<Edits>>,
    update: Option<Update>,
    pick: Option<TypedFunc<(u32,), (Option<u32>,)>>,
    on_response: Option<Ask<Edits>>,
    /// Their functions take borrowed bytes, which a type with a lifetime of its own cannot say.
    request_body: Option<wit::request_body::Guest>,
    response_body: Option<wit::response_body::Guest>,
    messages: Option<wit::messages::Guest>,
    tunnel_open: Option<TypedFunc<(u64,), ()>>,
    tunnel_close: Option<TypedFunc<(u64, wit::tunnel::Summary), ()>>,
    on_end: Option<TypedFunc<(wit::access_log::Summary,), ()>>,
}

impl Functions {
    /// Look the functions up in an instance.
    ///
    /// # Errors
    /// [`Fault::Shape`] where one has another type than the contract says.
    pub(in crate::plugin) fn load(
        exports: &Exports,
        mut store: impl AsContextMut,
        instance: &Instance,
    ) -> Result<Self, Fault> {
        let [route, check, authorize, on_request, request_body, pick, rest @ ..] = &exports.hooks;
        let [_handler, on_response, response_body, messages, tunnel_close, on_end] = rest;
        let store = &mut store;
        Ok(Self {
            route: typed(Hook::Router, route, store, instance)?,
            check: typed(Hook::Origin, check, store, instance)?,
            authorize: typed(Hook::Authorizer, authorize, store, instance)?,
            on_request: typed(Hook::RequestHeaders, on_request, store, instance)?,
            update: typed(Hook::Balancer, &exports.update, store, instance)?,
            pick: typed(Hook::Balancer, pick, store, instance)?,
            on_response: typed(Hook::ResponseHeaders, on_response, store, instance)?,
            request_body: request_body.as_ref().map(|_| request_body_of(store, instance)).transpose()?,
            response_body: response_body.as_ref().map(|_| response_body_of(store, instance)).transpose()?,
            messages: messages.as_ref().map(|_| messages_of(store, instance)).transpose()?,
            tunnel_open: typed(Hook::Tunnel, &exports.tunnel_open, store, instance)?,
            tunnel_close: typed(Hook::Tunnel, tunnel_close, store, instance)?,
            on_end: typed(Hook::AccessLog, on_end, store, instance)?,
        })
    }
}

impl Functions {
    /// `balancer.update`, if the plugin has it.
    pub(in crate::plugin) fn update(&self) -> Option<Update> {
        self.update
    }

    /// Hook `request-body`, if the plugin has it.
    pub(in crate::plugin) fn request_body(&self) -> Option<&wit::request_body::Guest> {
        self.request_body.as_ref()
    }

    /// Hook `response-body`, if the plugin has it.
    pub(in crate::plugin) fn response_body(&self) -> Option<&wit::response_body::Guest> {
        self.response_body.as_ref()
    }

    /// Hook `messages`, if the plugin has it.
    pub(in crate::plugin) fn messages(&self) -> Option<&wit::messages::Guest> {
        self.messages.as_ref()
    }
}

/// All functions of a hook of several, whose types the bindings know.
macro_rules! all_functions {
    ($name:ident, $module:ident, $hook:ident) => {
        fn $name(store: &mut impl AsContextMut, instance: &Instance) -> Result<wit::$module::Guest, Fault> {
            let pre = instance.instance_pre(&*store);
            let indices = wit::$module::GuestIndices::new(&pre);
            let guest = indices.and_then(|indices| indices.load(store, instance));
            guest.map_err(|error| Fault::Shape(interface(Hook::$hook.name()), error))
        }
    };
}

all_functions!(messages_of, messages, Messages);
all_functions!(request_body_of, request_body, RequestBody);
all_functions!(response_body_of, response_body, ResponseBody);

fn typed<P, R>(
    hook: Hook,
    index: &Option<ComponentExportIndex>,
    store: &mut impl AsContextMut,
    instance: &Instance,
) -> Result<Option<TypedFunc<P, R>>, Fault>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let function = index.as_ref().map(|index| instance.get_typed_func(store, index)).transpose();
    function.map_err(|error| Fault::Shape(interface_of(hook), error))
}

/// The version in the name of an interface of ours.
pub(in crate::plugin) fn version_of(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@').map(|(_, version)| version)
}

/// The interface that a plugin exports for a hook.
fn interface_of(hook: Hook) -> String {
    if hook == Hook::Handler { HANDLER.to_owned() } else { interface(hook.name()) }
}

/// The full name of one of our interfaces.
fn interface(name: &str) -> String {
    format!("{PACKAGE}/{name}@{VERSION}")
}

/// A hook as a function: its types, and how its answer becomes the core's.
pub(in crate::plugin) trait HookFunction {
    /// Which hook.
    const HOOK: Hook;
    /// What goes in.
    type Params: ComponentNamedList + Lower + Send + Sync + 'static;
    /// What comes out, in the guest's types.
    type Raw: ComponentNamedList + Lift + Send + Sync + 'static;
    /// What comes out, in the core's types.
    type Answer: Send + 'static;

    /// This hook's function, if the plugin has it.
    fn function(functions: &Functions) -> Option<TypedFunc<Self::Params, Self::Raw>>;

    /// Check and convert an answer.
    ///
    /// # Errors
    /// Which rule of the contract it breaks.
    fn convert(raw: Self::Raw) -> Result<Self::Answer, String>;

    /// Judge an answer by what the call was about.
    ///
    /// # Errors
    /// Which rule of the contract it breaks.
    fn judge(answer: Self::Answer, _ctx: &Ctx) -> Result<Self::Answer, String> {
        Ok(answer)
    }
}

/// The hooks as types, for [`HookFunction`].
pub(in crate::plugin) mod call {
    pub(in crate::plugin) struct Route;
    pub(in crate::plugin) struct CheckOrigin;
    pub(in crate::plugin) struct Authorize;
    pub(in crate::plugin) struct OnRequest;
    pub(in crate::plugin) struct Pick;
    pub(in crate::plugin) struct OnResponse;
    pub(in crate::plugin) struct TunnelOpen;
    pub(in crate::plugin) struct TunnelClose;
    pub(in crate::plugin) struct OnEnd;
}

macro_rules! hook_function {
    ($name:ident, $hook:ident, $field:ident, ($($param:ty)?) -> $raw:ty, $answer:ty, |$out:pat_param| $convert:expr) => {
        impl HookFunction for call::$name {
            const HOOK: Hook = Hook::$hook;
            type Params = ($($param,)?);
            type Raw = $raw;
            type Answer = $answer;

            fn function(functions: &Functions) -> Option<TypedFunc<Self::Params, Self::Raw>> {
                functions.$field
            }

            fn convert($out: Self::Raw) -> Result<Self::Answer, String> {
                $convert
            }
        }
    };
}

hook_function!(Route, Router, route, () -> (Routed,), Result<Option<hook::Target>, hook::LocalReply>, |(raw,)| {
    convert::route(raw)
});
hook_function!(CheckOrigin, Origin, check, () -> (types::Decision,), hook::Decision, |(raw,)| convert::decision(raw));
hook_function!(OnRequest, RequestHeaders, on_request, () -> (Edits,), Result<Vec<hook::FieldEdit>, hook::LocalReply>, |(raw,)| {
    convert::edits_or_reply(raw)
});
hook_function!(OnResponse, ResponseHeaders, on_response, () -> (Edits,), Result<Vec<hook::FieldEdit>, hook::LocalReply>, |(raw,)| {
    convert::edits_or_reply(raw)
});
hook_function!(TunnelOpen, Tunnel, tunnel_open, (u64) -> (), (), |()| Ok(()));
hook_function!(OnEnd, AccessLog, on_end, (wit::access_log::Summary) -> (), (), |()| Ok(()));

impl HookFunction for call::Authorize {
    const HOOK: Hook = Hook::Authorizer;
    type Params = ();
    type Raw = (wit::authorizer::Verdict,);
    type Answer = hook::Verdict;

    fn function(functions: &Functions) -> Option<TypedFunc<Self::Params, Self::Raw>> {
        functions.authorize
    }

    fn convert((raw,): Self::Raw) -> Result<Self::Answer, String> {
        convert::verdict(raw)
    }

    fn judge(answer: Self::Answer, ctx: &Ctx) -> Result<Self::Answer, String> {
        match (answer, &ctx.access) {
            (hook::Verdict::Grant(grant), Some(said)) => Ok(hook::Verdict::Grant(said.bind(grant)?)),
            (answer, _) => Ok(answer),
        }
    }
}

impl HookFunction for call::TunnelClose {
    const HOOK: Hook = Hook::Tunnel;
    type Params = (u64, wit::tunnel::Summary);
    type Raw = ();
    type Answer = ();

    fn function(functions: &Functions) -> Option<TypedFunc<Self::Params, Self::Raw>> {
        functions.tunnel_close
    }

    fn convert((): Self::Raw) -> Result<Self::Answer, String> {
        Ok(())
    }
}

impl HookFunction for call::Pick {
    const HOOK: Hook = Hook::Balancer;
    type Params = (u32,);
    type Raw = (Option<u32>,);
    type Answer = Option<u32>;

    fn function(functions: &Functions) -> Option<TypedFunc<Self::Params, Self::Raw>> {
        functions.pick
    }

    fn convert((raw,): Self::Raw) -> Result<Self::Answer, String> {
        Ok(raw)
    }

    fn judge(answer: Self::Answer, ctx: &Ctx) -> Result<Self::Answer, String> {
        let (Some(id), Some(asked)) = (answer, &ctx.balance) else { return Ok(None) };
        asked.judge(id)
    }
}
