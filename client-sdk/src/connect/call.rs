//! One request of the API: signed anew for each attempt, repeated while that can help, refusals as errors.

use std::{cell::Cell, time::Duration};

use bytes::Bytes;
use crypto::SigningIdentity;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use prost::{Message, Name};
use protocol_spec::{
    api::{Query, RequestTarget},
    messages::decode,
    problem::Problem,
    request::{self, Params, SignatureLabel, Signer},
};

use super::{
    Server,
    answer::{Refusal, Retry, answered, lost},
    http::{Http, Incoming},
    trace::Names,
};
use crate::{
    Error, Result,
    error::Addressee,
    ground::{Pieces, System},
};

/// What is to be sent, before it is signed.
pub(crate) struct Call<'a> {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, String)>,
    body: Pieces,
    possession: Option<Possession<'a>>,
    /// A refusal that passes by itself.
    passing: Option<Problem>,
    /// What is said where the call is traced.
    names: Names,
}

/// The second signer of a presentation.
pub(crate) struct Possession<'a> {
    pub(crate) permission: String,
    pub(crate) key: &'a SigningIdentity,
}
/// How often and how long to try.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    attempts: u32,
}

impl Patience {
    /// For a person who waits: gives up within a second.
    pub(crate) const SHORT: Self = Self { attempts: 5 };
    /// For transfers: outlasts the restart of a server, about half a minute.
    pub(crate) const LONG: Self = Self { attempts: 13 };

    /// Waits before attempt `done + 1`, if there is to be one.
    pub(crate) async fn pause(self, done: u32, system: &dyn System) -> bool {
        if done >= self.attempts {
            return false;
        }
        let factor = 1_u32 << done.saturating_sub(1).min(8);
        system.sleep((FIRST_PAUSE * factor).min(LONGEST_PAUSE)).await;
        true
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Pieces::default(),
            possession: None,
            passing: None,
            names: Names::default(),
        }
    }

    /// A message, with the digest that the signature covers (API-3).
    pub(crate) fn message<M: Message + Name>(mut self, message: &M) -> Self {
        let body = Bytes::from(message.encode_to_vec());
        self.names.body = Some(M::NAME);
        self = self.header(request::CONTENT_DIGEST, &request::content_digest(&body));
        self = self.header(header::CONTENT_TYPE, MESSAGE_TYPE);
        self.pieces(vec![body])
    }

    /// It is answered by such a message.
    pub(crate) fn answered_by<M: Name>(mut self) -> Self {
        self.names.answer = Some(M::NAME);
        self
    }

    pub(crate) fn pieces(mut self, pieces: Vec<Bytes>) -> Self {
        self.body = pieces.into();
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn possession(mut self, possession: Possession<'a>) -> Self {
        self.possession = Some(possession);
        self
    }

    /// This refusal is not final: try again.
    pub(crate) fn passing(mut self, problem: Problem) -> Self {
        self.passing = Some(problem);
        self
    }

    fn request(&self, authority: &str) -> Result<http::Request<Pieces>> {
        let malformed = || Error::Usage(format!("{authority} is not an address: check the link"));
        let uri: Uri = format!("https://{authority}{}", self.path)
            .parse()
            .map_err(|_| malformed())?;
        let mut headers = HeaderMap::new();
        let host = (header::HOST, authority.to_owned());
        for (name, value) in self.headers.iter().chain([&host]) {
            headers.append(
                name,
                HeaderValue::try_from(value.as_str()).map_err(|_| malformed())?,
            );
        }
        let mut request = http::Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(self.names);
        Ok(request)
    }
}

impl Server {
    /// Sends a call until it is answered, refused, or patience ends; the whole answer.
    pub(crate) async fn execute(&self, call: &Call<'_>, patience: Patience) -> Result<Bytes> {
        let mut done = 0;
        loop {
            match self.attempt_whole(call).await {
                Ok(body) => return Ok(body),
                Err(Retry { error, useful }) => {
                    done += 1;
                    if !useful || !patience.pause(done, self.clock.system()).await {
                        return Err(error);
                    }
                    tracing::debug!(attempt = done, %error, "trying again");
                    self.http.again(done);
                }
            }
        }
    }

    pub(crate) async fn attempt_message<M: Message + Default + Name>(
        &self,
        call: &Call<'_>,
    ) -> Result<M, Retry> {
        let body = self.attempt_whole(call).await?;
        decode(&body).map_err(|error| Retry {
            error: error.into(),
            useful: false,
        })
    }

    async fn attempt_whole(&self, call: &Call<'_>) -> Result<Bytes, Retry> {
        let body = self.attempt(call).await?;
        body.collect(MAX_ANSWER)
            .await
            .map_err(|failure| lost(failure, self.pins.link.authority()))
    }

    /// One attempt, or two when the server says that the clocks differ.
    ///
    /// On the heap: each caller's future would hold this large one, and a caller of several calls one of each.
    pub(crate) async fn attempt(&self, call: &Call<'_>) -> Result<Incoming, Retry> {
        match Box::pin(self.attempt_once(call)).await {
            Err(Refusal {
                problem: Some(Problem::SignatureExpired),
                now: Some(now),
                ..
            }) => {
                self.clock.follow(now);
                Box::pin(self.attempt_once(call))
                    .await
                    .map_err(|refusal| refusal.retry)
            }
            result => result.map_err(|refusal| refusal.retry),
        }
    }

    async fn attempt_once(&self, call: &Call<'_>) -> Result<Incoming, Refusal> {
        let authority = self.pins.link.authority();
        let request = self
            .sign(call, authority)
            .map_err(|error| Refusal::own(Retry { error, useful: false }))?;
        let answer = self.http.send(request).await;
        if let Ok((parts, _)) = &answer {
            self.growth.take(&parts.headers);
        }
        let reader = Addressee::of(self.principal.as_ref().map(|principal| principal.key_id.as_str()));
        answered(answer, authority, reader).await.map_err(|mut refusal| {
            refusal.retry.useful |= refusal.problem.is_some() && refusal.problem == call.passing;
            refusal
        })
    }

    fn sign(&self, call: &Call<'_>, authority: &str) -> Result<http::Request<Pieces>> {
        let mut request = call.request(authority)?;
        self.growth.ask(request.headers_mut());
        let Some(principal) = &self.principal else {
            return Ok(request);
        };
        let (mut parts, body) = request.into_parts();
        set_id(&mut parts.headers, request::OPERATOR, &self.operator_id)?;
        if let Some(delegation) = &self.delegation {
            set_id(&mut parts.headers, request::DELEGATION, delegation)?;
        }
        // The profile's signer cannot fail; what is not signed is not sent.
        let unsigned = Cell::new(None);
        let by_principal = |message: &[u8]| {
            principal.key.sign(message).unwrap_or_else(|error| {
                unsigned.set(Some(error));
                [0; 64]
            })
        };
        let by_possession = |message: &[u8]| {
            call.possession
                .as_ref()
                .map_or([0; 64], |possession| possession.key.sign_bytes(message))
        };
        let mut signers = vec![Signer {
            label: SignatureLabel::Id,
            params: self.params(&principal.key_id)?,
            sign: &by_principal,
        }];
        if let Some(Possession { permission, .. }) = &call.possession {
            let params = self.params(permission)?;
            signers.push(Signer {
                label: SignatureLabel::Pop,
                params,
                sign: &by_possession,
            });
        }
        request::sign(&mut parts, authority, &signers)?;
        if let Some(error) = unsigned.take() {
            return Err(error);
        }
        Ok(http::Request::from_parts(parts, body))
    }

    fn params(&self, key_id: &str) -> Result<Params> {
        let created = self.clock.for_signatures() / 1000;
        Ok(Params {
            created,
            expires: created + LIFETIME,
            nonce: self.clock.system().token()?,
            key_id: key_id.to_owned(),
        })
    }
}

/// GET of a public message from a server that is not pinned yet.
pub(crate) async fn fetch_unsigned<M: Message + Default + Name, X: Query>(
    http: Http,
    authority: &str,
    at: RequestTarget<(), M, X>,
) -> Result<M> {
    let call = Call::new(Method::GET, &at.path()).answered_by::<M>();
    let mut done = 0;
    loop {
        let answer = http.send(call.request(authority)?).await;
        let answer = answered(answer, authority, Addressee::Anybody).await;
        let whole = match answer {
            Ok(body) => body
                .collect(MAX_ANSWER)
                .await
                .map_err(|failure| lost(failure, authority)),
            Err(refusal) => Err(refusal.retry),
        };
        match whole {
            Ok(body) => return Ok(decode(&body)?),
            Err(Retry { error, useful }) => {
                done += 1;
                if !useful || !Patience::SHORT.pause(done, &*http.system).await {
                    return Err(error);
                }
            }
        }
    }
}
fn set_id(headers: &mut HeaderMap, name: HeaderName, id: &impl ToString) -> Result<()> {
    let value =
        HeaderValue::try_from(id.to_string()).map_err(|_| Error::Usage("an id is not text".into()))?;
    headers.insert(name, value);
    Ok(())
}

const MESSAGE_TYPE: &str = "application/protobuf";
/// Seconds for which a signature holds.
const LIFETIME: u64 = 60;
/// A page of records with their sealed manifests.
const MAX_ANSWER: usize = 64 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
