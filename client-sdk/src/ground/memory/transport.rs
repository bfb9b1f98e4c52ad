//! Servers that answer in this process.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    future::{BoxFuture, ready},
};
use http_body_util::BodyExt;
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
    answer: Box<AnswerTo>,
}

type AnswerTo = dyn Fn(http::Request<Bytes>) -> BoxFuture<'static, Answer> + Send + Sync;

impl MemoryServer {
    /// Answers one request after the other by this function; what it answers with comes in its pieces.
    pub fn new(
        certificate: Sha256Digest,
        answer: impl FnMut(http::Request<Bytes>) -> http::Response<Vec<Bytes>> + Send + 'static,
    ) -> Self {
        let answer = Mutex::new(answer);
        Self::answering(certificate, move |request| {
            let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
            ready((*answer)(request).map(Pieces::from))
        })
    }

    /// Answers each request by the future that this function makes of it, as many at once as are asked; the body comes as it is made.
    pub fn answering<F, B>(
        certificate: Sha256Digest,
        answer: impl Fn(http::Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = http::Response<B>> + Send + 'static,
        B: BodyExt<Data = Bytes, Error: fmt::Display> + Send + 'static,
    {
        let broken = |error: B::Error| TransportFailure::Transport(error.to_string());
        let answer = move |request| {
            let answered = answer(request).map(move |response| {
                let (head, body) = response.into_parts();
                let body = body.into_data_stream().map_err(broken).boxed();
                Answer { head, body }
            });
            answered.boxed()
        };
        Self(Arc::new(ServerInMemory {
            certificate,
            answer: Box::new(answer),
        }))
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
            let whole = |pieces: Pieces| Bytes::from(pieces.pieces().collect::<Vec<_>>().concat());
            Ok((self.server.0.answer)(request.map(whole)).await)
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
