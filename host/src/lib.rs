//! Tidegate.
pub mod config;
pub mod hook;
pub mod plugin;
