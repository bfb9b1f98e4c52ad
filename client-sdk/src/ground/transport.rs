//! How servers are reached: what whoever carries requests owes them, and what is asked of it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use protocol_spec::hash::Sha256Digest;

use super::Pieces;
use crate::{CertificateFault, Result};

/// Makes the ways to servers.
///
/// What is carried is confidential and whole between this side and whoever shows the certificate that [`Trust`] asks for: TLS 1.3,
/// or what comes up to it. Nothing else is owed by the way: what travels is signed or verified above it, and a request that got no
/// answer may have been carried out.
pub trait Transport: fmt::Debug + Send + Sync {
    /// The way to the server at `authority`, `host:port`. Nothing leaves the machine yet.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a proxy that cannot be used, [`crate::Error::Certificate`] where this system has no roots.
    fn to(&self, authority: &str, trust: Trust) -> Result<Arc<dyn Connection>>;
}

/// The way to one server. Many requests may be under way at once, in no order.
pub trait Connection: fmt::Debug + Send + Sync {
    /// Sends a request, and is done with the head of its answer, whatever its status. It goes to the authority of this way and
    /// nowhere else: a redirect is an answer like any other. It is sent once: whether to repeat it is for the caller to say.
    ///
    /// The pieces of the body are handed on as they are, and those of the answer as they come, in order and without a gap; the stream
    /// ends without an error only where the answer was complete. Whoever drops the future or the stream wants no more of it.
    /// Nothing is waited for in vain: the caller ends what takes too long.
    ///
    /// # Errors
    /// [`TransportFailure`]; nothing is known then of what the server has done.
    fn send(&self, request: http::Request<Pieces>) -> BoxFuture<'_, Result<Answer, TransportFailure>>;
}

/// An answer, as it arrives.
pub struct Answer {
    /// The status and the header fields.
    pub head: http::response::Parts,
    /// The pieces of its body.
    pub body: BoxStream<'static, Result<Bytes, TransportFailure>>,
}

/// The certificates that are accepted from a server.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Any, at first contact: it is put there before the first answer, and what the answer says decides.
    Any(FirstCertificate),
    /// The one with this SHA-256 of its DER.
    Pinned(Sha256Digest),
    /// One that the authorities vouch for which this system trusts.
    System,
}

/// What the server showed at first contact.
#[derive(Clone, Debug, Default)]
pub struct FirstCertificate(Arc<Mutex<Option<Certificate>>>);

/// A certificate that was looked at, and taken whatever was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the end-entity certificate (DER).
    pub digest: Sha256Digest,
    /// Why the authorities that this system trusts do not vouch for it, if they do not.
    pub fault: Option<CertificateFault>,
}

impl FirstCertificate {
    /// The server has shown this one.
    pub fn put(&self, certificate: Certificate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    pub(crate) fn take(&self) -> Option<Certificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why a request got no answer, or half of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportFailure {
    /// The certificate is not taken. Nothing was sent.
    Certificate(CertificateFault),
    /// A proxy does not lead to the server. Nothing was sent.
    Proxy {
        /// Which, and who has named it.
        proxy: String,
        /// Why the proxy does not lead there.
        cause: String,
    },
    /// Anything else of the transport, in the words of its innermost cause.
    Transport(String),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, body: _ } = self;
        f.debug_struct("Answer")
            .field("status", &head.status)
            .finish_non_exhaustive()
    }
}
