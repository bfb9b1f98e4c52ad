//! Servers that answer in this process.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use protocol_spec::hash::Sha256Digest;

use crate::{
    CertificateFault, Result,
    ground::{Answer, Certificate, Connection, Pieces, Transport, TransportFailure, Trust},
};

/// A server that answers by a function, whatever its name, and shows one certificate that no authority vouches for. Nothing of what
/// is sent to it leaves the process.
#[derive(Clone)]
pub struct MemoryServer(Arc<ServerInMemory>);

struct ServerInMemory {
    certificate: Sha256Digest,
    answer: Mutex<Box<AnswerTo>>,
}

type AnswerTo = dyn FnMut(http::Request<Bytes>) -> http::Response<Vec<Bytes>> + Send;

impl MemoryServer {
    /// Answers one request after the other by this function; what it answers with comes in its pieces.
    pub fn new(
        certificate: Sha256Digest,
        answer: impl FnMut(http::Request<Bytes>) -> http::Response<Vec<Bytes>> + Send + 'static,
    ) -> Self {
        Self(Arc::new(ServerInMemory {
            certificate,
            answer: Mutex::new(Box::new(answer)),
        }))
    }

    fn answer(&self) -> MutexGuard<'_, Box<AnswerTo>> {
        self.0.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for MemoryServer {
    fn to(&self, _: &str, trust: Trust) -> Result<Arc<dyn Connection>> {
        Ok(Arc::new(Way {
            server: self.clone(),
            trust,
        }))
    }
}

#[derive(Debug)]
struct Way {
    server: MemoryServer,
    trust: Trust,
}

impl Way {
    fn look_at_certificate(&self) -> Result<(), TransportFailure> {
        let digest = self.server.0.certificate;
        match &self.trust {
            Trust::Any(first) => {
                let fault = Some(CertificateFault::UnknownIssuer);
                first.put(Certificate { digest, fault });
                Ok(())
            }
            Trust::Pinned(pin) if *pin == digest => Ok(()),
            Trust::Pinned(_) => Err(TransportFailure::Certificate(CertificateFault::NotPinned)),
            Trust::System => Err(TransportFailure::Certificate(CertificateFault::UnknownIssuer)),
        }
    }
}

impl Connection for Way {
    fn send(&self, request: http::Request<Pieces>) -> BoxFuture<'_, Result<Answer, TransportFailure>> {
        async move {
            self.look_at_certificate()?;
            let whole = |pieces: Pieces| Bytes::from(pieces.collect::<Vec<_>>().concat());
            let answer = (self.server.answer())(request.map(whole));
            let (head, pieces) = answer.into_parts();
            Ok(Answer {
                head,
                body: stream::iter(pieces.into_iter().map(Ok)).boxed(),
            })
        }
        .boxed()
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerInMemory {
            certificate,
            answer: _,
        } = &*self.0;
        f.debug_struct("MemoryServer")
            .field("certificate", certificate)
            .finish_non_exhaustive()
    }
}
