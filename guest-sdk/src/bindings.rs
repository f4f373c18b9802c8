//! What `wit-bindgen` makes of `wit/v0.1`: one module for the imports and the shared
//! types, and one per hook, so that a plugin exports only the hooks that it names.
#![allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, reason = "generated code")]
#![allow(clippy::all, clippy::indexing_slicing, clippy::unwrap_used, reason = "generated code")]

/// The imported interfaces and the types that all hooks share.
pub mod imports {
    wit_bindgen::generate!({ path: "../wit/v0.1", world: "imports", additional_derives: [PartialEq, Eq] });
}

macro_rules! hook {
    ($module:ident, $world:literal, $path:literal, $export:literal $(, $shared:literal = $($at:ident)::+)?) => {
        #[doc = concat!("World `", $world, "`.")]
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/v0.1",
                world: $world,
                pub_export_macro: true,
                default_bindings_module: $path,
                export_macro_name: $export,
                additional_derives: [PartialEq, Eq],
                with: {
                    "tidegate:plugin/types@0.1.0": crate::bindings::imports::tidegate::plugin::types,
                    "tidegate:plugin/request@0.1.0": crate::bindings::imports::tidegate::plugin::request,
                    "tidegate:plugin/response@0.1.0": crate::bindings::imports::tidegate::plugin::response,
                    "tidegate:plugin/log@0.1.0": crate::bindings::imports::tidegate::plugin::log,
                    "tidegate:plugin/config@0.1.0": crate::bindings::imports::tidegate::plugin::config,
                    "tidegate:plugin/clock@0.1.0": crate::bindings::imports::tidegate::plugin::clock,
                    "tidegate:plugin/metrics@0.1.0": crate::bindings::imports::tidegate::plugin::metrics,
                    "tidegate:plugin/http-client@0.1.0": crate::bindings::imports::tidegate::plugin::http_client,
                    "tidegate:plugin/peers@0.1.0": crate::bindings::imports::tidegate::plugin::peers,
                    "tidegate:plugin/access@0.1.0": crate::bindings::imports::tidegate::plugin::access,
                    "tidegate:plugin/kv@0.1.0": crate::bindings::imports::tidegate::plugin::kv,
                    "tidegate:plugin/secrets@0.1.0": crate::bindings::imports::tidegate::plugin::secrets,
                    $($shared: $($at)::+,)?
                },
            });
        }
    };
}

hook!(lifecycle, "lifecycle-plugin", "tidegate_plugin::bindings::lifecycle", "export_lifecycle");
hook!(router, "router-plugin", "tidegate_plugin::bindings::router", "export_router");
hook!(origin, "origin-plugin", "tidegate_plugin::bindings::origin", "export_origin");
hook!(authorizer, "authorizer-plugin", "tidegate_plugin::bindings::authorizer", "export_authorizer");
hook!(
    request_headers,
    "request-headers-plugin",
    "tidegate_plugin::bindings::request_headers",
    "export_request_headers"
);
hook!(balancer, "balancer-plugin", "tidegate_plugin::bindings::balancer", "export_balancer");
hook!(
    response_headers,
    "response-headers-plugin",
    "tidegate_plugin::bindings::response_headers",
    "export_response_headers"
);
hook!(request_body, "request-body-plugin", "tidegate_plugin::bindings::request_body", "export_request_body");
hook!(
    response_body,
    "response-body-plugin",
    "tidegate_plugin::bindings::response_body",
    "export_response_body",
    "tidegate:plugin/bodies@0.1.0" = crate::bindings::request_body::tidegate::plugin::bodies
);
hook!(messages, "messages-plugin", "tidegate_plugin::bindings::messages", "export_messages");
hook!(tunnel, "tunnel-plugin", "tidegate_plugin::bindings::tunnel", "export_tunnel");
hook!(access_log, "access-log-plugin", "tidegate_plugin::bindings::access_log", "export_access_log");
hook!(config_schema, "config-schema-plugin", "tidegate_plugin::bindings::config_schema", "export_config_schema");
