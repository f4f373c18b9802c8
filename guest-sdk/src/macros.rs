//! [`export!`]: a component of a plugin type.

/// Make the crate a component: `export!(MyPlugin: router, origin);`.
///
/// The type implements [`Plugin`](crate::Plugin) and the trait of each hook named:
/// `router`, `origin`, `authorizer`, `request_headers`, `request_body`, `balancer`, `response_headers`,
/// `response_body`, `messages`, `tunnel`, `access_log`; and [`ConfigSchema`](crate::ConfigSchema): `config_schema`. Hooks that are not named are not exported. To be used once in a crate;
/// it does nothing but check the traits when the crate is not built for wasm32.
///
/// ```
/// use tidegate_plugin::{ConfigError, Edit, NoConfig, Plugin, Reply, RequestHeaders, ResponseHeaders};
///
/// struct Stamp;
///
/// impl Plugin for Stamp {
///     type Config = NoConfig;
///     fn configure(_: NoConfig) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
/// }
///
/// impl RequestHeaders for Stamp {
///     fn on_request(&mut self) -> Result<Vec<Edit>, Reply> {
///         Ok(vec![Edit::set("x-stamp", "1"), Edit::remove("x-debug")])
///     }
/// }
///
/// impl ResponseHeaders for Stamp {
///     fn on_response(&mut self) -> Result<Vec<Edit>, Reply> {
///         Ok(vec![Edit::set_default("cache-control", "no-store")])
///     }
/// }
///
/// tidegate_plugin::export!(Stamp: request_headers, response_headers);
/// # fn main() {}
/// ```
///
/// A hook whose trait is missing, or that does not exist, does not compile:
///
/// ```compile_fail
/// # use tidegate_plugin::{ConfigError, NoConfig, Plugin};
/// struct Empty;
/// impl Plugin for Empty {
///     type Config = NoConfig;
///     fn configure(_: NoConfig) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
/// }
/// tidegate_plugin::export!(Empty: router);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty $(: $($hook:ident),+ $(,)?)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exported functions are named by attributes that can break a program")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: $crate::Instance<$plugin> = const { $crate::Instance::new() };
            }
            struct Component;
            impl $crate::bindings::lifecycle::exports::tidegate::plugin::lifecycle::Guest for Component {
                fn configure(document: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    INSTANCE.with(|instance| instance.configure(&document))
                }
            }
            $crate::bindings::lifecycle::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
            $($($crate::__hook!($hook);)+)?
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const fn plugin<P: $crate::Plugin>() {}
            plugin::<$plugin>();
            $($($crate::__assert_hook!($hook, $plugin);)+)?
        };
    };
}

/// The export of one hook, inside of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __hook {
    (router) => {
        impl $crate::bindings::router::exports::tidegate::plugin::router::Guest for Component {
            fn route() -> ::std::result::Result<::std::option::Option<$crate::Target>, $crate::Reply> {
                INSTANCE.with(|instance| instance.call($crate::Router::route))
            }
        }
        $crate::bindings::router::export_router!(Component with_types_in $crate::bindings::router);
    };
    (origin) => {
        impl $crate::bindings::origin::exports::tidegate::plugin::origin::Guest for Component {
            fn check() -> $crate::Decision {
                INSTANCE.with(|instance| instance.call($crate::Origin::check))
            }
        }
        $crate::bindings::origin::export_origin!(Component with_types_in $crate::bindings::origin);
    };
    (authorizer) => {
        impl $crate::bindings::authorizer::exports::tidegate::plugin::authorizer::Guest for Component {
            fn authorize() -> $crate::Verdict {
                INSTANCE.with(|instance| instance.call($crate::Authorizer::authorize))
            }
        }
        $crate::bindings::authorizer::export_authorizer!(Component with_types_in $crate::bindings::authorizer);
    };
    (request_headers) => {
        impl $crate::bindings::request_headers::exports::tidegate::plugin::request_headers::Guest for Component {
            fn on_request() -> ::std::result::Result<::std::vec::Vec<$crate::Edit>, $crate::Reply> {
                INSTANCE.with(|instance| instance.call($crate::RequestHeaders::on_request))
            }
        }
        $crate::bindings::request_headers::export_request_headers!(
            Component with_types_in $crate::bindings::request_headers
        );
    };
    (balancer) => {
        impl $crate::bindings::balancer::exports::tidegate::plugin::balancer::Guest for Component {
            fn update(group: u32, name: ::std::string::String, peers: ::std::vec::Vec<$crate::Peer>) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::Balancer::update(plugin, group, name, peers)))
            }
            fn pick(group: u32) -> ::std::option::Option<u32> {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::Balancer::pick(plugin, group)))
            }
        }
        $crate::bindings::balancer::export_balancer!(Component with_types_in $crate::bindings::balancer);
    };
    (response_headers) => {
        impl $crate::bindings::response_headers::exports::tidegate::plugin::response_headers::Guest for Component {
            fn on_response() -> ::std::result::Result<::std::vec::Vec<$crate::Edit>, $crate::Reply> {
                INSTANCE.with(|instance| instance.call($crate::ResponseHeaders::on_response))
            }
        }
        $crate::bindings::response_headers::export_response_headers!(
            Component with_types_in $crate::bindings::response_headers
        );
    };
    (request_body) => {
        impl $crate::bindings::request_body::exports::tidegate::plugin::request_body::Guest for Component {
            fn open(exchange: u64) -> $crate::bodies::Wish {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::RequestBody::open(plugin, exchange)))
            }
            fn on_body(
                exchange: u64,
                body: ::std::vec::Vec<u8>,
                trailers: ::std::vec::Vec<$crate::Field>,
            ) -> ::std::result::Result<$crate::bodies::Changes, $crate::Reply> {
                INSTANCE
                    .with(|instance| instance.call(|plugin| $crate::RequestBody::on_body(plugin, exchange, body, trailers)))
            }
            fn on_chunk(exchange: u64, data: ::std::vec::Vec<u8>) -> $crate::bodies::ChunkVerdict {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::RequestBody::on_chunk(plugin, exchange, data)))
            }
            fn on_end(exchange: u64, trailers: ::std::vec::Vec<$crate::Field>) -> $crate::bodies::EndVerdict {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::RequestBody::on_end(plugin, exchange, trailers)))
            }
            fn close(exchange: u64) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::RequestBody::close(plugin, exchange)))
            }
        }
        $crate::bindings::request_body::export_request_body!(Component with_types_in $crate::bindings::request_body);
    };
    (response_body) => {
        impl $crate::bindings::response_body::exports::tidegate::plugin::response_body::Guest for Component {
            fn open(exchange: u64) -> $crate::bodies::Wish {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::ResponseBody::open(plugin, exchange)))
            }
            fn on_body(
                exchange: u64,
                body: ::std::vec::Vec<u8>,
                trailers: ::std::vec::Vec<$crate::Field>,
            ) -> ::std::result::Result<$crate::bodies::Changes, $crate::Reply> {
                INSTANCE
                    .with(|instance| instance.call(|plugin| $crate::ResponseBody::on_body(plugin, exchange, body, trailers)))
            }
            fn on_chunk(exchange: u64, data: ::std::vec::Vec<u8>) -> $crate::bodies::ChunkVerdict {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::ResponseBody::on_chunk(plugin, exchange, data)))
            }
            fn on_end(exchange: u64, trailers: ::std::vec::Vec<$crate::Field>) -> $crate::bodies::EndVerdict {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::ResponseBody::on_end(plugin, exchange, trailers)))
            }
            fn close(exchange: u64) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::ResponseBody::close(plugin, exchange)))
            }
        }
        $crate::bindings::response_body::export_response_body!(Component with_types_in $crate::bindings::response_body);
    };
    (messages) => {
        impl $crate::bindings::messages::exports::tidegate::plugin::messages::Guest for Component {
            fn open(tunnel: u64) -> ::std::option::Option<$crate::messages::Subscription> {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::Messages::open(plugin, tunnel)))
            }
            fn on_message(
                tunnel: u64,
                message: $crate::messages::Message,
                data: ::std::vec::Vec<u8>,
            ) -> $crate::messages::Verdict {
                INSTANCE
                    .with(|instance| instance.call(|plugin| $crate::Messages::on_message(plugin, tunnel, message, data)))
            }
            fn close(tunnel: u64) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::Messages::close(plugin, tunnel)))
            }
        }
        $crate::bindings::messages::export_messages!(Component with_types_in $crate::bindings::messages);
    };
    (tunnel) => {
        impl $crate::bindings::tunnel::exports::tidegate::plugin::tunnel::Guest for Component {
            fn on_open(tunnel: u64) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::Tunnel::on_open(plugin, tunnel)))
            }
            fn on_close(tunnel: u64, summary: $crate::messages::Summary) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::Tunnel::on_close(plugin, tunnel, summary)))
            }
        }
        $crate::bindings::tunnel::export_tunnel!(Component with_types_in $crate::bindings::tunnel);
    };
    (config_schema) => {
        impl $crate::bindings::config_schema::exports::tidegate::plugin::config_schema::Guest for Component {
            fn schema() -> ::std::string::String {
                INSTANCE.with(|instance| instance.config_schema())
            }
        }
        $crate::bindings::config_schema::export_config_schema!(
            Component with_types_in $crate::bindings::config_schema
        );
    };
    (access_log) => {
        impl $crate::bindings::access_log::exports::tidegate::plugin::access_log::Guest for Component {
            fn on_end(summary: $crate::Summary) {
                INSTANCE.with(|instance| instance.call(|plugin| $crate::AccessLog::on_end(plugin, summary)))
            }
        }
        $crate::bindings::access_log::export_access_log!(Component with_types_in $crate::bindings::access_log);
    };
    ($other:ident) => {
        ::std::compile_error!(::std::concat!("no hook `", ::std::stringify!($other), "`"));
    };
}

/// That a type has the trait of a hook, for builds that export nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_hook {
    (router, $plugin:ty) => { $crate::__assert_hook!(@ Router, $plugin); };
    (origin, $plugin:ty) => { $crate::__assert_hook!(@ Origin, $plugin); };
    (authorizer, $plugin:ty) => { $crate::__assert_hook!(@ Authorizer, $plugin); };
    (request_headers, $plugin:ty) => { $crate::__assert_hook!(@ RequestHeaders, $plugin); };
    (request_body, $plugin:ty) => { $crate::__assert_hook!(@ RequestBody, $plugin); };
    (balancer, $plugin:ty) => { $crate::__assert_hook!(@ Balancer, $plugin); };
    (response_headers, $plugin:ty) => { $crate::__assert_hook!(@ ResponseHeaders, $plugin); };
    (response_body, $plugin:ty) => { $crate::__assert_hook!(@ ResponseBody, $plugin); };
    (messages, $plugin:ty) => { $crate::__assert_hook!(@ Messages, $plugin); };
    (tunnel, $plugin:ty) => { $crate::__assert_hook!(@ Tunnel, $plugin); };
    (access_log, $plugin:ty) => { $crate::__assert_hook!(@ AccessLog, $plugin); };
    (config_schema, $plugin:ty) => { $crate::__assert_hook!(@ ConfigSchema, $plugin); };
    (@ $hook:ident, $plugin:ty) => {
        const _: () = {
            const fn hook<P: $crate::$hook>() {}
            hook::<$plugin>();
        };
    };
    ($other:ident, $plugin:ty) => {
        ::std::compile_error!(::std::concat!(
            "no hook `", ::std::stringify!($other), "`: the hooks are router, origin, authorizer, request_headers, ",
            "request_body, balancer, response_headers, response_body, messages, tunnel and access_log, ",
            "and beside them config_schema"
        ));
    };
}
