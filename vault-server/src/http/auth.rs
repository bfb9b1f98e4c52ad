//! Who signed a request: audience, profile, time, key, signature, replay, in this order. See
//! `spec/api.md` §1 and §3. Whatever is wrong before the signature verifies looks the same.

mod nonces;
mod quota;

use axum::extract::FromRequestParts;
use http::{HeaderMap, Uri, header, request::Parts};
use protocol_spec::{
    defence::Defence,
    ids::{DelegationId, OperatorId},
    keys::IdentityKey,
    problem::Problem,
    request::{self, RequestSignature, SignatureLabel, Target},
};

pub(super) use self::quota::{Quota, QuotaPermit};
use crate::{
    config::ClientLimits,
    http::{
        App,
        accept::Connection,
        api::{Describe, Endpoint, Signatures},
        auth::nonces::{Admission, Nonces, Signer},
        callers::OfRoutes,
        memory::Principal,
        prefix::Origin,
        problem::RefusedRequest,
    },
    vault::{
        Caller, Refusal,
        delegation::delegated,
        who::{enrol, standing},
    },
};

/// How far ahead of ours a client's clock may be, in seconds. The protocol tolerates more, but what is
/// signed for the future could come again after a restart; such a client is told our time and tries again.
pub(crate) const MAX_AHEAD: u64 = 2;

/// What the server checks signed requests against.
pub(crate) struct Gate {
    operator_key: IdentityKey,
    operator: String,
    authorities: Vec<String>,
    /// Signatures made before this second may have been seen by a process before this one.
    not_before: u64,
    nonces: Nonces,
    in_flight: Quota,
}

impl Gate {
    /// `authorities` are the `host:port` texts that clients know this server by. `not_before`, in
    /// seconds, is when this process began to remember signatures.
    pub(crate) fn new(
        operator_key: &IdentityKey,
        authorities: Vec<String>,
        not_before: u64,
        limits: &ClientLimits,
    ) -> Self {
        Self {
            operator_key: *operator_key,
            operator: OperatorId::from(operator_key).to_string(),
            authorities,
            not_before,
            nonces: Nonces::new(limits.nonces),
            in_flight: Quota::new(limits.requests_per_principal),
        }
    }

    /// Reads a signature of a request that is meant for this server, now (API-1, API-4 to API-7).
    pub(super) fn signature(
        &self,
        parts: &Parts,
        label: SignatureLabel,
        now_ms: u64,
    ) -> Result<RequestSignature, Refusal> {
        let Parts {
            method, uri, headers, ..
        } = parts;
        let target = Target {
            method,
            authority: self.authority(uri, headers)?,
            uri,
            headers,
        };
        let signature = RequestSignature::parse(&target, label)?;
        let meant = headers
            .get(&request::OPERATOR)
            .is_some_and(|id| id.as_bytes() == self.operator.as_bytes());
        if !Defence::Audience.holds(meant) {
            return Err(Refusal::new(
                Problem::Unauthenticated,
                "the request is meant for another operator",
            ));
        }
        self.check_time(&signature, now_ms / 1000)?;
        Ok(signature)
    }

    /// Admits what `caller`, found by the signature's key id, has signed: once (API-8).
    pub(super) fn admit(
        &self,
        caller: Option<Caller>,
        signature: RequestSignature,
        from: Origin,
        now_ms: u64,
    ) -> Result<Authenticated, Refusal> {
        // An unknown key costs the same time as a bad signature.
        let key = caller.as_ref().map_or(&self.operator_key, Caller::key);
        let verified = signature.verify(key);
        let (Some(caller), Ok(())) = (caller, verified) else {
            return Err(Refusal::new(
                Problem::Unauthenticated,
                "unknown key or wrong signature",
            ));
        };
        let signer = match &caller {
            known if known.is_enrolled() => Signer::Principal(known.principal()),
            _ => Signer::New,
        };
        match self.nonces.admit(signer, &signature.params, now_ms / 1000) {
            Admission::Fresh => {}
            Admission::Seen if Defence::Nonces.is_off() => {}
            Admission::Seen => return Err(Problem::Replayed.into()),
            Admission::Forgotten => {
                let cause = "so many signatures came since that this one may have been forgotten";
                return Err(Refusal::new(Problem::SignatureExpired, cause));
            }
            Admission::Full => {
                return Err(Refusal::new(
                    Problem::Unavailable,
                    "too many signatures to remember",
                ));
            }
        }
        let permit = self
            .in_flight
            .acquire(principal(&caller, from))
            .ok_or_else(|| Refusal::new(Problem::TooMany, "requests of one principal at once"))?;
        Ok(Authenticated {
            caller,
            signature,
            permit,
        })
    }

    /// The one of our names that the client used. A browser-like client leaves out port 443.
    fn authority(&self, uri: &Uri, headers: &HeaderMap) -> Result<&str, Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (uri.authority(), hosts.next(), hosts.next()) {
            (Some(authority), _, _) => Some(authority.as_str()),
            (None, Some(host), None) => host.to_str().ok(),
            _ => None,
        };
        let named = |name: &&String| {
            host.is_some_and(|host| {
                host.eq_ignore_ascii_case(name)
                    || name
                        .strip_suffix(":443")
                        .is_some_and(|bare| host.eq_ignore_ascii_case(bare))
            })
        };
        self.authorities
            .iter()
            .find(named)
            .map(String::as_str)
            .ok_or_else(|| {
                let cause = "the host is not one of ours: start the server with --public-authority";
                Refusal::new(Problem::Unauthenticated, cause)
            })
    }

    fn check_time(&self, signature: &RequestSignature, now: u64) -> Result<(), Refusal> {
        let created = signature.params.created;
        let known = Defence::Nonces.holds(created >= self.not_before);
        if signature.check_time(now).is_err() || !known || created > now + MAX_AHEAD {
            return Err(Problem::SignatureExpired.into());
        }
        Ok(())
    }
}

/// In whose share a caller's bodies are counted.
pub(super) fn principal(caller: &Caller, from: Origin) -> Principal {
    match caller.institution() {
        Ok(_) => Principal::Institution(caller.principal()),
        Err(_) => Principal::Patient(caller.principal(), from),
    }
}

/// By which of our names the client has called us, whoever it is; none that is not ours.
pub(super) struct Called(Option<String>);

impl Called {
    pub(super) fn authority(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl FromRequestParts<App> for Called {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, RefusedRequest> {
        let named = app.gate.authority(&parts.uri, &parts.headers);
        Ok(Self(named.ok().map(str::to_owned)))
    }
}

impl Describe for Called {
    fn describe(_: &mut Endpoint) {}
}

/// A request whose caller is proven.
pub(super) struct Authenticated {
    /// The patient's device, institution or terminal that has signed.
    pub(super) caller: Caller,
    /// The caller's signature, as evidence.
    pub(super) signature: RequestSignature,
    /// Counts the request as running.
    pub(super) permit: QuotaPermit,
}

impl FromRequestParts<App> for Authenticated {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, RefusedRequest> {
        let now_ms = app.vault.now_ms();
        let signature = app.gate.signature(parts, SignatureLabel::Id, now_ms)?;
        let caller = enrol::find_key(&app.vault, &signature.params.key_id).await?;
        let mut admitted = app.gate.admit(caller, signature, origin(parts)?, now_ms)?;
        app.callers.check(&admitted.caller, parts)?;
        match delegation(parts, &app.callers)? {
            Some(delegation) => {
                let Self {
                    caller, signature, ..
                } = &admitted;
                admitted.caller = delegated::act(&app.vault, caller.clone(), delegation, signature).await?;
            }
            None => standing::check_standing(&app.vault, &admitted.caller).await?,
        }
        Ok(admitted)
    }
}

/// Where the request comes from.
fn origin(parts: &Parts) -> Result<Origin, Refusal> {
    let connection = parts.extensions.get::<Connection>();
    let origin = connection.map(Connection::origin);
    origin.ok_or_else(|| Refusal::new(Problem::Internal, "a request without connection"))
}

impl Describe for Authenticated {
    fn describe(endpoint: &mut Endpoint) {
        Self::describe_signature(endpoint);
        endpoint.refuses(&[
            Problem::NotPermitted,
            Problem::TerminalRemoved,
            Problem::TerminalExpired,
            Problem::InstitutionRetired,
            Problem::AccreditationWithdrawn,
        ]);
        if endpoint.row.for_delegates {
            endpoint.fields.push(request::DELEGATION);
            endpoint.refuses(&[
                Problem::DelegationEnded,
                Problem::DelegationExpired,
                Problem::DelegationNotYetValid,
                Problem::NotAccepted,
                Problem::DelegationPower,
            ]);
        }
    }
}

/// The delegation by which the caller acts for another, where a request has one. It is signed with the rest; what a
/// delegate cannot ask for at all is refused here (DLG-5).
fn delegation(parts: &Parts, callers: &OfRoutes) -> Result<Option<DelegationId>, Refusal> {
    let Some(value) = parts.headers.get(&request::DELEGATION) else {
        return Ok(None);
    };
    let unknown = |_| Refusal::new(Problem::NotPermitted, "no such delegation");
    if !Defence::DelegationScope.holds(callers.is_for_delegates(parts)) {
        return Err(Refusal::new(Problem::NotPermitted, "this is not for delegates"));
    }
    let text = value.to_str().unwrap_or_default();
    text.parse().map(Some).map_err(unknown)
}

impl Authenticated {
    /// A request signed by a key that is only being enrolled.
    pub(super) fn enrolling(app: &App, parts: &Parts, caller: Caller) -> Result<Self, Refusal> {
        let now_ms = app.vault.now_ms();
        let signature = app.gate.signature(parts, SignatureLabel::Id, now_ms)?;
        let named = signature.params.key_id == caller.key_id();
        let caller = named.then_some(caller);
        app.gate.admit(caller, signature, origin(parts)?, now_ms)
    }

    /// A signature, by whatever key.
    pub(super) fn describe_signature(endpoint: &mut Endpoint) {
        endpoint.signatures = Signatures::Id;
        endpoint.refuses(&[
            Problem::Unauthenticated,
            Problem::SignatureExpired,
            Problem::Replayed,
            Problem::TooMany,
        ]);
    }
}

#[cfg(test)]
mod tests;
