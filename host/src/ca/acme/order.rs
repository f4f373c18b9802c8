//! One order, from its names to the certificate (RFC 8555 §7.4).

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::account::Failed;
use super::challenges::{Challenges, Open};
use super::{Challenge, Settings, Wish};

/// How the authority is asked how far it is: soon at first, then more rarely.
const POLLS: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(180));

/// What was issued, as PEM.
pub(super) struct Issued {
    pub(super) key: String,
    pub(super) chain: String,
}

/// Order a certificate and wait for it. `replaces` is the one before, where the authority wants
/// to know (RFC 9773 §5).
pub(super) async fn obtain(
    account: &Account,
    settings: &Settings,
    wish: &Wish,
    challenges: &Arc<Challenges>,
    replaces: Option<CertificateIdentifier<'static>>,
) -> Result<Issued, Failed> {
    let names: Vec<Identifier> = wish.names().iter().cloned().map(Identifier::Dns).collect();
    let new = NewOrder::new(&names);
    let new = match replaces {
        Some(replaces) => new.replaces(replaces),
        None => new,
    };
    let mut order = account.new_order(&new).await?;
    prove(&mut order, settings.challenge, challenges).await?;
    let (key, request) = signing_request(wish).map_err(|error| Failed::Other(error.to_string()))?;
    order.finalize_csr(&request).await?;
    let chain = order.poll_certificate(&POLLS).await?;
    Ok(Issued { key, chain })
}

/// Prove every name that is not proved yet.
async fn prove(order: &mut Order, kind: Challenge, challenges: &Arc<Challenges>) -> Result<(), Failed> {
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => {}
            AuthorizationStatus::Pending => open.push(begin(authorization, kind, challenges).await?),
            other => return Err(Failed::Other(format!("an authorization of a new order is {other:?}"))),
        }
    }
    if !open.is_empty() && order.poll_ready(&POLLS).await? == OrderStatus::Invalid {
        return Err(why_not(order).await);
    }
    Ok(())
}

/// Let the authority look whether one name leads here.
async fn begin(
    mut authorization: AuthorizationHandle<'_>,
    kind: Challenge,
    challenges: &Arc<Challenges>,
) -> Result<Open, Failed> {
    let name = authorization.identifier().to_string();
    let wanted = match kind {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    };
    let none = || Failed::Other(format!("the authority offers no {} for {name}", kind.name()));
    let mut challenge = authorization.challenge(wanted).ok_or_else(none)?;
    let answer = challenge.key_authorization();
    let open = challenges.open(kind, &name, &challenge.token, &answer).map_err(Failed::Other)?;
    challenge.set_ready().await?;
    Ok(open)
}

/// What the authority found wrong.
async fn why_not(order: &mut Order) -> Failed {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return Failed::Unproved { name: state.identifier().to_string(), why: problem.to_string() };
        }
    }
    Failed::Other("the order became invalid, and the authority does not say why".to_owned())
}

/// A new key, as PEM, and the request for its certificate, as DER.
fn signing_request(wish: &Wish) -> Result<(String, Vec<u8>), rcgen::Error> {
    let mut params = CertificateParams::new(wish.names())?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate()?;
    let request = params.serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

impl Challenge {
    /// Its name in RFC 8555 and RFC 8737.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}
