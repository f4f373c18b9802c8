//! The stock plugins: Wasm components embedded in the binary, built from `plugins/` by
//! `cargo xtask plugins`.

/// The component of a stock plugin by name.
pub fn component(name: &str) -> Option<&'static [u8]> {
    let bytes: &'static [u8] = match name {
        "router" => include_bytes!("../../plugins/dist/router.wasm"),
        "header-map" => include_bytes!("../../plugins/dist/header-map.wasm"),
        "origin-check" => include_bytes!("../../plugins/dist/origin-check.wasm"),
        "cors" => include_bytes!("../../plugins/dist/cors.wasm"),
        "access-list" => include_bytes!("../../plugins/dist/access-list.wasm"),
        "auth-basic" => include_bytes!("../../plugins/dist/auth-basic.wasm"),
        "auth-jwt" => include_bytes!("../../plugins/dist/auth-jwt.wasm"),
        "auth-request" => include_bytes!("../../plugins/dist/auth-request.wasm"),
        "rate-limit" => include_bytes!("../../plugins/dist/rate-limit.wasm"),
        "affinity" => include_bytes!("../../plugins/dist/affinity.wasm"),
        "message-guard" => include_bytes!("../../plugins/dist/message-guard.wasm"),
        "security-headers" => include_bytes!("../../plugins/dist/security-headers.wasm"),
        _ => return None,
    };
    Some(bytes)
}
