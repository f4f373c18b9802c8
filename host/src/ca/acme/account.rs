//! The account at the authority, and how the authority is spoken to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{Account, BodyWrapper, BytesResponse, Error, ExternalAccountKey, HttpClient, NewAccount};
use parking_lot::Mutex;

use super::Settings;
use super::store::{self, Unkept};
use crate::ca::Trust;
use crate::ca::http::{retry_after, send};

/// Why there is no account, or no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// What the authority says, or that it says nothing.
    #[error(transparent)]
    Authority(#[from] Error),
    /// What it found wrong with a name.
    #[error("{name} was not proved: {why}")]
    Unproved {
        /// The name.
        name: String,
        /// What it says.
        why: String,
    },
    /// The disk.
    #[error(transparent)]
    Kept(#[from] Unkept),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What an authority that has enough of us said last: how long to wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience(Arc<Mutex<Option<Duration>>>);

impl Patience {
    /// Take what it said.
    pub(super) fn take(&self) -> Option<Duration> {
        self.0.lock().take()
    }
}

/// The account: the one that is kept, or a new one, which is kept then.
pub(super) async fn open(settings: &Arc<Settings>, patience: &Patience) -> Result<Account, Failed> {
    let asking = Asking { trust: settings.trust.clone(), patience: patience.clone() };
    let builder = Account::builder_with_http(Box::new(asking));
    let reading = Arc::clone(settings);
    let kept = off_thread(move || store::account(&reading)).await??;
    if let Some(kept) = kept {
        return Ok(builder.from_credentials(kept).await?);
    }
    let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let linked = settings.eab.as_ref().map(|eab| ExternalAccountKey::new(eab.kid.clone(), &eab.key));
    let (account, credentials) = builder.create(&new, settings.directory.clone(), linked.as_ref()).await?;
    let writing = Arc::clone(settings);
    off_thread(move || store::keep_account(&writing, &credentials)).await??;
    tracing::info!(directory = %settings.directory, account = account.id(), "an ACME account was opened");
    Ok(account)
}

/// Do what waits for the disk where nobody waits for it.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failed::Other(error.to_string()))
}

/// Our HTTP for the crate.
struct Asking {
    trust: Trust,
    patience: Patience,
}

type Answering = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for Asking {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answering {
        let (trust, patience) = (self.trust.clone(), self.patience.clone());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let answer = send(Some(&trust), Request::from_parts(head, body)).await;
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            // RFC 8555 §6.6: a limit on the rate comes with the time to wait.
            if matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                *patience.0.lock() = retry_after(answer.headers());
            }
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}
