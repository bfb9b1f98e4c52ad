//! One server: found by its link, pinned, spoken to with signed requests.
//!
//! | module | does |
//! |---|---|
//! | `bootstrap` | first contact: what the link's fingerprint proves |
//! | `fault` | what is wrong with a certificate, for people |
//! | `http` | requests and answers as bytes |
//! | `call` | one request: signatures, retries |
//! | `answer` | what comes of one attempt |
//! | `growth` | proofs of the log's growth that come along |
//! | [`trace`] | what travels, for a user who asks to see it |
//!
//! Only the link's authority is ever spoken to: redirects are refusals (ATK-51). Where the user or her system names a proxy, that one
//! carries the connection, which TLS closes to it.

mod answer;
mod bootstrap;
mod call;
mod fault;
mod growth;
mod http;
#[cfg(test)]
pub(crate) mod tests;
pub mod trace;

use std::sync::Arc;

use ::http::Method;
use bytes::Bytes;
use crypto::SigningIdentity;
use prost::{Message, Name};
use protocol_spec::{
    api::{self, FirstLeaf, Query, RequestTarget},
    hash::{LeafHash, Sha256Digest},
    ids::{DelegationId, OperatorId, PermissionId, UploadId},
    keys::IdentityKey,
    link::ServerLink,
    log::Hash,
    messages as pb,
    problem::Problem,
    request,
    submitted::Submitted,
};

pub(crate) use self::bootstrap::{bootstrap, follow};
pub use self::fault::CertificateFault;
pub(crate) use self::{
    answer::{Retry, lost},
    call::Patience,
    http::Incoming,
};
use self::{
    call::{Call, Possession},
    growth::Growth,
    http::Http,
};
use crate::{
    Result,
    clock::Clock,
    ground::{Ground, Trust},
    home::Pins,
};

/// A pinned server and the principal that speaks to it.
pub(crate) struct Server {
    pins: Pins,
    operator_id: OperatorId,
    http: Http,
    principal: Option<Credentials>,
    ground: Ground,
    /// By which the principal acts for another one.
    delegation: Option<DelegationId>,
    clock: Arc<Clock>,
    growth: Growth,
}

/// The principal whose key signs requests.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// Text form of the principal's id.
    pub(crate) key_id: String,
    pub(crate) key: Arc<dyn Signs>,
}

/// A key that signs requests, wherever it is kept.
pub(crate) trait Signs: Send + Sync {
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]>;
}

impl Signs for SigningIdentity {
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.sign_bytes(message))
    }
}

impl Server {
    pub(crate) fn new(pins: Pins, principal: Option<Credentials>, ground: &Ground) -> Result<Self> {
        let trust = pins.certificate.map_or(Trust::System, Trust::Pinned);
        let http = Http::to(pins.link.authority(), trust, ground)?;
        let operator_id = OperatorId::from(&pins.operator);
        Ok(Self {
            pins,
            operator_id,
            http,
            principal,
            ground: ground.clone(),
            delegation: None,
            clock: Arc::new(Clock::new(ground.system.clone())),
            growth: Growth::default(),
        })
    }

    /// The same server, asked by the same principal for another one (DLG-5).
    pub(crate) fn acting(&self, delegation: DelegationId) -> Result<Self> {
        Ok(Self {
            delegation: Some(delegation),
            clock: self.clock.clone(),
            ..Self::new(self.pins.clone(), self.principal.clone(), &self.ground)?
        })
    }

    /// Where the server is reached, as `host:port`.
    pub(crate) fn authority(&self) -> &str {
        self.pins.link.authority()
    }

    /// Verifies what the server signs.
    pub(crate) fn operator(&self) -> &IdentityKey {
        &self.pins.operator
    }

    pub(crate) fn operator_id(&self) -> OperatorId {
        self.operator_id
    }

    /// What time it is, with what this server says of it.
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// From now on answers need prove the log's growth from this size on only (LOG-19).
    pub(crate) fn has_seen_log(&self, size: u64) {
        self.growth.begin_at(size);
    }

    /// What came along to prove that the log of one size continues that of another, if anything did; unverified.
    pub(crate) fn growth(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        self.growth.between(from, to)
    }

    /// The link that was followed here.
    pub(crate) fn link(&self) -> &ServerLink {
        &self.pins.link
    }

    /// SHA-256 of its certificate, if it made that itself.
    pub(crate) fn certificate(&self) -> Option<&Sha256Digest> {
        self.pins.certificate.as_ref()
    }

    /// The key that verifies accreditations.
    pub(crate) fn registrar(&self) -> &IdentityKey {
        &self.pins.registrar
    }

    /// GET of a file of the log.
    pub(crate) async fn get_file<A, X: Query>(&self, at: RequestTarget<(), A, X>) -> Result<Bytes> {
        let call = Call::new(Method::GET, &at.path());
        self.execute(&call, Patience::SHORT).await
    }

    /// GET that is answered by a message.
    pub(crate) async fn get<A: Message + Default + Name, X: Query>(
        &self,
        at: RequestTarget<(), A, X>,
    ) -> Result<A> {
        let call = Call::new(Method::GET, &at.path()).answered_by::<A>();
        self.message(&call, Patience::SHORT).await
    }

    /// POST of a message under an idempotency key of its own.
    pub(crate) async fn post<M: Submitted<Wire: Message + Name>, A: Message + Default + Name>(
        &self,
        at: RequestTarget<M::Wire, A>,
        body: &M,
    ) -> Result<A> {
        self.post_as(at, body, &self.clock.system().token()?, Patience::SHORT)
            .await
    }

    /// POST of a message under a key that an earlier run may have used: the effect happens once.
    pub(crate) async fn post_once<M: Submitted<Wire: Message + Name>, A: Message + Default + Name>(
        &self,
        at: RequestTarget<M::Wire, A>,
        body: &M,
        idempotency_key: &str,
    ) -> Result<A> {
        self.post_as(at, body, idempotency_key, Patience::LONG).await
    }

    async fn post_as<M: Submitted<Wire: Message + Name>, A: Message + Default + Name>(
        &self,
        at: RequestTarget<M::Wire, A>,
        body: &M,
        idempotency_key: &str,
        patience: Patience,
    ) -> Result<A> {
        let call = Call::new(Method::POST, &at.path())
            .message(&body.write())
            .answered_by::<A>()
            .header(request::IDEMPOTENCY_KEY, idempotency_key);
        self.message(&call, patience).await
    }

    /// Presents a permission key over a fresh challenge, signed by both keys (API-5).
    ///
    /// Tried once: the challenge is spent with the first attempt, so whoever repeats it asks for a new one,
    /// under the same idempotency key.
    pub(crate) async fn present(
        &self,
        permission: &PermissionId,
        possession: &SigningIdentity,
        challenge: &[u8],
        body: &pb::Presentation,
        idempotency_key: &str,
    ) -> Result<pb::PresentationAnswer, Retry> {
        let call = Call::new(Method::POST, &api::PRESENT.at([permission]).path())
            .message(body)
            .answered_by::<pb::PresentationAnswer>()
            .header(request::IDEMPOTENCY_KEY, idempotency_key)
            .header(request::CHALLENGE, &request::bytes_field(challenge))
            .possession(Possession {
                permission: permission.to_string(),
                key: possession,
            });
        self.attempt_message(&call).await
    }

    /// PUT of leaves from this one on, one behind the other. Repeating it does no harm.
    pub(crate) async fn put_leaves(
        &self,
        upload: &UploadId,
        first: u64,
        leaves: &[Bytes],
        hashes: &[LeafHash],
    ) -> Result<()> {
        let hashes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        let at = api::RECEIVE_LEAVES.ask([upload], FirstLeaf::from_number(first));
        let call = Call::new(Method::PUT, &at.path())
            .pieces(leaves.to_vec())
            // The server may still be busy with an attempt whose connection broke.
            .passing(Problem::LeafConflict)
            .header(request::LEAVES, &request::bytes_field(&hashes));
        self.execute(&call, Patience::LONG).await?;
        Ok(())
    }

    /// GET of raw bytes that arrive as they come. Tried once; whoever reads knows where to go on.
    pub(crate) async fn stream<A, X: Query>(&self, at: RequestTarget<(), A, X>) -> Result<Incoming, Retry> {
        self.attempt(&Call::new(Method::GET, &at.path())).await
    }

    async fn message<M: Message + Default + Name>(&self, call: &Call<'_>, patience: Patience) -> Result<M> {
        let body = Box::pin(self.execute(call, patience)).await?;
        Ok(protocol_spec::messages::decode(&body)?)
    }
}
