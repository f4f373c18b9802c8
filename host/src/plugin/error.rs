//! Why a plugin cannot be loaded. Each message says what its author or operator can do.

use std::path::PathBuf;
use std::time::Duration;

use super::schema::Misfit;
use crate::hook::Hook;

/// Why a plugin cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is larger than any component may be.
    #[error("the component has {size} bytes and may have {most}: strip it (`wasm-tools strip`) or build it for size")]
    TooLarge {
        /// Its size, bytes.
        size: u64,
        /// The most, bytes.
        most: u64,
    },
    /// The bytes are not Wasm at all.
    #[error("this is not a WebAssembly file: it must begin with `\\0asm`")]
    NotWasm,
    /// The bytes are a core module.
    #[error(
        "this is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    NotAComponent,
    /// The component uses async functions, streams or futures of the component model.
    #[error(
        "the component uses the component model's async ABI, which this version does not run: build it for WASI 0.2 with synchronous exports, an HTTP handler with `wasi:http/incoming-handler@0.2` ({detail})"
    )]
    AsyncAbi {
        /// What was found.
        detail: String,
    },
    /// The bytes are not valid, or use a proposal that is switched off.
    #[error("the component does not compile: {detail}")]
    Compile {
        /// What the compiler said.
        detail: String,
    },
    /// It exports no hook that this version knows.
    #[error("the component exports no hook: export at least one of {}", known_hooks())]
    NoHooks,
    /// The configuration asks for a hook that the component does not export.
    #[error("the component does not export the hook `{hook}`: take it out of `hooks`")]
    HookNotExported {
        /// The hook.
        hook: Hook,
    },
    /// It was built for another version of the contract.
    #[error(
        "the component was built for `{found}`, and this tidegate speaks `tidegate:plugin@0.1`: rebuild it with an SDK of that version"
    )]
    WrongVersion {
        /// The name with the version that was found.
        found: String,
    },
    /// A hook's interface is there, but not as the contract has it.
    #[error("the export `{interface}` is not as `wit/v0.1` has it: {detail}")]
    WrongShape {
        /// The interface.
        interface: String,
        /// What differs.
        detail: String,
    },
    /// It needs something that the host does not offer.
    #[error("the component imports `{import}`, which tidegate does not offer: build without it ({detail})")]
    MissingImport {
        /// The interface or function.
        import: String,
        /// What the linker said.
        detail: String,
    },
    /// `memory` is above what the host can give.
    #[error("`memory` is {asked} bytes and may be {most}")]
    MemoryTooLarge {
        /// The configured value.
        asked: u64,
        /// The most.
        most: u64,
    },
    /// It needs more memory to start than it may have.
    #[error("it needs {needed} bytes of memory to start, and `memory` allows {limit}: raise `memory`")]
    Memory {
        /// What it asked for.
        needed: u64,
        /// What it may have.
        limit: u64,
    },
    /// It needs larger tables to start than it may have.
    #[error("it needs tables of {needed} elements to start, and `table` allows {limit}: raise `table`")]
    Table {
        /// How many it asked for.
        needed: u64,
        /// How many it may have.
        limit: u64,
    },
    /// Its configuration is not a JSON object.
    #[error("its configuration is not JSON: {0}")]
    Document(serde_json::Error),
    /// It refused its configuration.
    #[error("{}{message}", pointer.as_deref().filter(|p| !p.is_empty()).map(|p| format!("{p}: ")).unwrap_or_default())]
    Configure {
        /// What it said, without the pointer.
        message: String,
        /// The key that it named, as a JSON pointer into its configuration.
        pointer: Option<String>,
    },
    /// Values of its configuration are not as its schema says: all of them, by JSON pointer.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Schema(Vec<Misfit>),
    /// Its schema cannot be used.
    #[error("the schema of its configuration: {detail}")]
    BadSchema {
        /// Where in it, and what.
        detail: String,
    },
    /// It did not come to an end.
    #[error("`configure` took longer than {limit:?}: do less there")]
    Slow {
        /// What it was given.
        limit: Duration,
    },
    /// It failed while it started or configured itself.
    #[error("it failed to start: {detail}")]
    Start {
        /// What the guest or the engine said, with a backtrace where there is one.
        detail: String,
    },
    /// The engine itself cannot start: out of address space, say.
    #[error("the plugin engine does not start: {detail}")]
    Engine {
        /// What it said.
        detail: String,
    },
}

impl PluginError {
    /// A refusal by `configure`: `/realm: must not be empty` names the key by its JSON
    /// pointer, which is taken off the message. The empty pointer is the whole document.
    pub(super) fn configure(said: String) -> Self {
        if (said.starts_with('/') || said.starts_with(": "))
            && let Some((pointer, message)) = said.split_once(": ")
        {
            return Self::Configure { message: message.to_owned(), pointer: Some(pointer.to_owned()) };
        }
        Self::Configure { message: said, pointer: None }
    }
}

fn known_hooks() -> String {
    Hook::ALL.map(|h| format!("`{h}`")).join(", ")
}
