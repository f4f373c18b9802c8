//! What `tidegate plugin new` and `tidegate plugin build` do: projects for plugins in nine languages, and the
//! way from a project to a component. The same templates are the guests of the end-to-end tests.

mod bindings;
mod build;
mod component;
mod embedded;
mod error;
mod language;
mod new;
mod project;
mod tool;
mod typescript;
pub mod wasm_target;

pub use build::{Built, build};
pub use component::componentize;
pub use embedded::digest_of;
pub use error::Error;
pub use language::Language;
pub use new::new;
pub use project::Project;
pub use tool::{APT, NPM, PIP};
