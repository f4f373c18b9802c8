//! The frozen hostile and odd plugins of `tests/guests/dist`.

use std::path::PathBuf;

/// Where a guest's component is: `guest("trap")`.
#[track_caller]
pub fn guest(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("guests/dist").join(format!("{name}.wasm"));
    assert!(path.exists(), "no guest {}: its component is committed and should be there", path.display());
    path.display().to_string()
}
