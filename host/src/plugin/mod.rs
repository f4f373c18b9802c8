//! Running plugins: the Wasm side of the hook contract.
