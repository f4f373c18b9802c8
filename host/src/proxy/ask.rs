//! Asking one plugin, and what its failure means.

use crate::error::{Error, Kind};
use crate::hook::{Call, OnFailure, Plugin};

/// Wait for a plugin's answer. None where it failed and fails open: the request goes on as
/// if it had no objection.
///
/// # Errors
/// [`Kind::Plugin`] where it failed and fails closed.
pub(super) async fn ask<T>(plugin: &dyn Plugin, call: Call<T>) -> Result<Option<T>, Error> {
    match call.answer().await {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) => match plugin.on_failure() {
            OnFailure::Closed => Err(Error::new(Kind::Plugin(failure.kind), failure.to_string())),
            OnFailure::Open => Ok(None),
        },
    }
}
