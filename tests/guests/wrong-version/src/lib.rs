//! Exports a hook of a contract that does not exist: `tidegate:plugin/origin@0.2.0`.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated code")]

wit_bindgen::generate!({
    inline: "
        package tidegate:plugin@0.2.0;
        interface lifecycle { configure: func(document: string) -> result<_, string>; }
        interface origin { check: func() -> bool; }
        world plugin { export lifecycle; export origin; }
    ",
});

struct WrongVersion;

impl exports::tidegate::plugin::lifecycle::Guest for WrongVersion {
    fn configure(_document: String) -> Result<(), String> {
        Ok(())
    }
}

impl exports::tidegate::plugin::origin::Guest for WrongVersion {
    fn check() -> bool {
        true
    }
}

#[cfg(target_arch = "wasm32")]
export!(WrongVersion);
