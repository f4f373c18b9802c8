//! Cases against real components.
