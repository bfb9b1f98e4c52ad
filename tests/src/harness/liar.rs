//! A malicious operator: it has the server's certificate and passes everything on, but what its answers say is up to
//! the test.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prost::Message;
use protocol_spec::problem::Problem;
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use crate::raw::{HttpsClient, believing_client};

/// What becomes of an answer: path and query, and the body.
type Lie = dyn Fn(&str, Bytes) -> Bytes + Send + Sync;

/// What the operator answers by itself, without its server: method and path, and the body of the request.
type Own = dyn Fn(&str, &Bytes) -> Option<Bytes> + Send + Sync;

/// What becomes of its header section.
type FieldLie = dyn Fn(&mut HeaderMap) + Send + Sync;

/// A front before a server; ends with the process.
#[derive(Clone)]
pub struct Liar {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: SocketAddr,
    /// The server's data directory, which has its certificate.
    data: PathBuf,
    lie: Mutex<Arc<Lie>>,
    own: Mutex<Arc<Own>>,
    field_lie: Mutex<Arc<FieldLie>>,
    /// What the next request is answered instead of being passed on.
    refusal: Mutex<Option<(StatusCode, Bytes)>>,
    /// Of which requests each is refused, by what their method and path contain.
    refused: Mutex<Option<(&'static str, Problem)>>,
    /// Methods and paths, in the order in which they came.
    asked: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Liar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Liar")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Liar {
    /// Takes a free port of the loopback interface. At first it tells the truth.
    pub fn start(upstream: SocketAddr, data: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let state = Arc::new(State {
            upstream,
            data: data.to_owned(),
            lie: Mutex::new(Arc::new(|_: &str, body| body)),
            own: Mutex::new(Arc::new(|_: &str, _: &Bytes| None)),
            field_lie: Mutex::new(Arc::new(|_: &mut HeaderMap| ())),
            refusal: Mutex::default(),
            refused: Mutex::default(),
            asked: Mutex::default(),
        });
        let liar = Self {
            address: listener.local_addr()?,
            state: state.clone(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        thread::spawn(move || runtime.block_on(serve(listener, state)));
        Ok(liar)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes successful answers from now on.
    pub fn tell(&self, lie: impl Fn(&str, Bytes) -> Bytes + Send + Sync + 'static) {
        *self.state.lie.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(lie);
    }

    /// Changes the message that is answered to requests of paths that begin so.
    pub fn tell_of<M: Message + Default>(
        &self,
        path: &'static str,
        change: impl Fn(M) -> M + Send + Sync + 'static,
    ) {
        self.tell(move |asked, body| match M::decode(body.clone()) {
            Ok(message) if asked.starts_with(path) => change(message).encode_to_vec().into(),
            _ => body,
        });
    }

    /// Takes requests from now on that this has an answer for, such as `POST /v1/denials`: the server never
    /// sees them.
    pub fn take(&self, own: impl Fn(&str, &Bytes) -> Option<Bytes> + Send + Sync + 'static) {
        *self.state.own.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
    }

    /// Changes header sections from now on.
    pub fn tell_in_fields(&self, lie: impl Fn(&mut HeaderMap) + Send + Sync + 'static) {
        *self
            .state
            .field_lie
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(lie);
    }

    /// Refuses the next signed request, as if it had been signed at another time than `now_ms`.
    pub fn say_the_time(&self, now_ms: u64) {
        let problem = serde_json::json!({
            "type": format!("{}{}", Problem::TYPE_PREFIX, Problem::SignatureExpired.code()), "title": "signed at another time", "status": 401, "now": now_ms,
        });
        let refusal = (StatusCode::UNAUTHORIZED, problem.to_string().into());
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// Refuses all requests from now on whose method and path contain this.
    pub fn refuse(&self, part: &'static str, problem: Problem) {
        *self.state.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((part, problem));
    }

    /// How many requests have come whose method and path begin so.
    pub fn asked(&self, begins: &str) -> usize {
        let asked = self.state.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|asked| asked.starts_with(begins)).count()
    }

    /// Tells the truth again.
    pub fn be_honest(&self) {
        self.tell(|_, body| body);
        self.take(|_, _| None);
        *self.state.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let (Ok(listener), Ok(client)) = (tokio::net::TcpListener::from_std(listener), believing_client()) else {
        return;
    };
    while let Ok((connection, _)) = listener.accept().await {
        let (state, client) = (state.clone(), client.clone());
        tokio::spawn(async move {
            let Ok(acceptor) = acceptor(&state.data) else {
                return;
            };
            let Ok(tls) = acceptor.accept(connection).await else {
                return;
            };
            let service = service_fn(move |request| {
                let (state, client) = (state.clone(), client.clone());
                async move { Ok::<_, Infallible>(answer(&state, &client, request).await) }
            });
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(tls), service)
                    .await,
            );
        });
    }
}

/// With the server's own certificate, as a link pins it.
fn acceptor(data: &Path) -> Result<TlsAcceptor> {
    let certificate = std::fs::read(data.join("dev-tls.crt"))?;
    let key = std::fs::read(data.join("dev-tls.key"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

async fn answer(state: &State, client: &HttpsClient, request: Request<Incoming>) -> Response<Full<Bytes>> {
    pass_on(state, client, request).await.unwrap_or_else(|error| {
        let mut response = Response::new(Full::from(format!("{error:#}")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

async fn pass_on(
    state: &State,
    client: &HttpsClient,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let asked = parts.uri.path_and_query().context("no path")?.to_string();
    let named = format!("{} {asked}", parts.method);
    state
        .asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(named.clone());
    let refused = *state.refused.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, problem)) = refused.filter(|(part, _)| named.contains(part)) {
        return refusal(problem);
    }
    if parts.headers.contains_key("signature") {
        let refusal = state
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((status, body)) = refusal {
            let answer = Response::builder().status(status);
            return Ok(answer
                .header(header::CONTENT_TYPE, "application/problem+json")
                .body(Full::new(body))?);
        }
    }
    parts.uri = format!("https://{}{asked}", state.upstream).parse()?;
    let body = body.collect().await?.to_bytes();
    let own = state.own.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(answer) = own(&format!("{} {asked}", parts.method), &body) {
        return Ok(Response::new(Full::new(answer)));
    }
    let body = Full::new(body);
    let (mut parts, body) = client
        .request(Request::from_parts(parts, body))
        .await?
        .into_parts();
    let mut body = body.collect().await?.to_bytes();
    if parts.status.is_success() {
        let lie = state.lie.lock().unwrap_or_else(PoisonError::into_inner).clone();
        body = lie(&asked, body);
        parts.headers.remove(header::CONTENT_LENGTH);
        let lie = state
            .field_lie
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        lie(&mut parts.headers);
    }
    Ok(Response::from_parts(parts, Full::new(body)))
}

fn refusal(problem: Problem) -> Result<Response<Full<Bytes>>> {
    let (status, title) = (problem.status(), problem.title());
    let body = serde_json::json!({
        "type": format!("{}{}", Problem::TYPE_PREFIX, problem.code()), "title": title, "status": status,
    });
    let answer = Response::builder().status(status);
    Ok(answer
        .header(header::CONTENT_TYPE, "application/problem+json")
        .body(Full::from(body.to_string()))?)
}
