//! Asking one plugin, and what its failure means.

use crate::error::{Error, Kind};
use crate::hook::{Call, HookFailure, OnFailure, Plugin};

/// Wait for a plugin's answer. None where it failed and fails open: the request goes on as
/// if it had no objection.
///
/// # Errors
/// [`Kind::Plugin`] where it failed and fails closed.
pub(super) async fn ask<T>(plugin: &dyn Plugin, call: Call<T>) -> Result<Option<T>, Error> {
    judged(plugin.on_failure(), call.answer().await)
}

/// What the answer of a plugin with this `on_failure` means, as [`ask`].
///
/// # Errors
/// As [`ask`].
pub(super) fn judged<T>(on_failure: OnFailure, answer: Result<T, HookFailure>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) => match on_failure {
            OnFailure::Closed => Err(Error::new(Kind::Plugin(failure.kind), failure.to_string())),
            OnFailure::Open => Ok(None),
        },
    }
}
