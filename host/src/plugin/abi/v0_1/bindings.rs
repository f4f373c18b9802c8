//! Generated from `wit/v0.1`: types, and traits for what plugins import.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::indexing_slicing,
    reason = "generated; wit/v0.1 is the documentation"
)]

wasmtime::component::bindgen!({
    path: "../wit/v0.1",
    world: "tidegate:plugin/host",
    imports: {
        "tidegate:plugin/http-client.fetch": async | trappable,
        "tidegate:plugin/kv.open": async | trappable,
        "tidegate:plugin/kv.get": async | trappable,
        "tidegate:plugin/kv.set": async | trappable,
        "tidegate:plugin/kv.delete": async | trappable,
        "tidegate:plugin/kv.increment": async | trappable,
        "tidegate:plugin/kv.compare-and-swap": async | trappable,
        "tidegate:plugin/kv.raise": async | trappable,
        default: trappable,
    },
    additional_derives: [PartialEq, Eq],
});
