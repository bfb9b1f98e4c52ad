//! A presentation as it comes: two signatures over one challenge. See `spec/api.md` §4.

use axum::extract::{FromRequest, Request};
use protocol_spec::{
    messages as pb,
    problem::Problem,
    request::{CHALLENGE, RequestSignature, SignatureLabel, read_bytes_field},
};

use super::{
    App,
    api::{Describe, Endpoint, Signatures},
    body::SignedRequest,
    problem::RefusedRequest,
};

/// Signed by the caller, and by the possession key of a permission.
pub(super) struct Presenting {
    pub(super) signed: SignedRequest<pb::Presentation>,
    pub(super) pop: RequestSignature,
    pub(super) challenge: [u8; 32],
}

impl FromRequest<App> for Presenting {
    type Rejection = RefusedRequest;

    async fn from_request(request: Request, app: &App) -> Result<Self, RefusedRequest> {
        let signed = SignedRequest::from_request(request, app).await?;
        let pop = app
            .gate
            .signature(&signed.parts, SignatureLabel::Pop, app.vault.now_ms())?;
        let challenge = read_bytes_field(&signed.parts.headers, &CHALLENGE)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Problem::ChallengeInvalid)?;
        Ok(Self {
            signed,
            pop,
            challenge,
        })
    }
}

impl Describe for Presenting {
    fn describe(endpoint: &mut Endpoint) {
        SignedRequest::<pb::Presentation>::describe(endpoint);
        endpoint.fields.push(CHALLENGE);
        endpoint.signatures = Signatures::IdAndPop;
        endpoint.refuses(&[Problem::ChallengeInvalid]);
    }
}
