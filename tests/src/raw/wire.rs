//! Requests as they go over the wire: signed once, sent as often as a test likes.

use std::{net::IpAddr, sync::Arc};

use actors::Setting;
use anyhow::{Context, Result};
use bytes::Bytes;
use crypto::SigningIdentity;
use data_encoding::HEXLOWER;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message;
use protocol_spec::{
    ids::OperatorId,
    keys::IdentityKey,
    link::ServerLink,
    messages as pb,
    problem::Problem,
    request::{self, SignatureLabel},
};
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{pair, random};

/// Sends requests over TLS.
pub(crate) type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that believes any certificate, with a connection for each request.
pub(crate) fn believing_client() -> Result<HttpsClient> {
    believing_client_at(None, 0)
}

/// TLS that believes any certificate.
fn believing_tls() -> rustls::ClientConfig {
    actors::tls::believing(&[&rustls::version::TLS13])
}

/// A client whose connections begin at this address, and of which it keeps so many for the next requests.
fn believing_client_at(address: Option<IpAddr>, kept: usize) -> Result<HttpsClient> {
    let tls = believing_tls();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_local_address(address);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(kept)
        .build(connector))
}

/// The way to one server, which believes any certificate: the tests of the link are elsewhere. Each request
/// has a connection of its own, so that a restarted server is reached again.
#[derive(Clone)]
pub struct Wire {
    client: HttpsClient,
    authority: String,
    /// Header `medvault-operator` of every request; a test may change it.
    pub operator: String,
    /// The operator's key, as the server shows it.
    pub operator_key: IdentityKey,
    /// The registrar's key, as the server shows it.
    pub registrar_key: IdentityKey,
    /// Seconds that the clock of whoever signs is ahead.
    pub ahead: u64,
}

/// Who signs: the id as `keyid`, and the key.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// Text form of a principal's or a permission's id.
    pub id: &'a str,
    /// Signs.
    pub signing: &'a SigningIdentity,
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Body; empty for reads.
    pub body: Bytes,
    /// Further header fields, covered if the profile says so.
    pub headers: Vec<(&'static str, String)>,
}

impl Call {
    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: Bytes::new(),
            headers: Vec::new(),
        }
    }

    /// A mutation with a message and a fresh idempotency key.
    pub fn post(path: impl Into<String>, message: &impl Message) -> Result<Self> {
        let body = Bytes::from(message.encode_to_vec());
        let headers = vec![
            ("content-type", "application/protobuf".to_owned()),
            ("content-digest", request::content_digest(&body)),
            ("idempotency-key", HEXLOWER.encode(&random::<16>()?)),
        ];
        Ok(Self {
            method: Method::POST,
            path: path.into(),
            body,
            headers,
        })
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: http::HeaderMap,
    /// The whole body; cut when the server broke off.
    pub body: Bytes,
    /// Whether the body came to its end.
    pub complete: bool,
}

impl Answer {
    /// The message in a successful answer.
    pub fn message<M: Message + Default>(&self) -> Result<M> {
        anyhow::ensure!(
            self.status.is_success(),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(M::decode(self.body.clone())?)
    }

    /// The refusal, if it is one.
    pub fn problem(&self) -> Option<Problem> {
        let document: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Problem::from_type(document.get("type")?.as_str()?)
    }
}

impl Wire {
    /// Connects and asks the server for its keys.
    pub async fn connect(link: &ServerLink) -> Result<Self> {
        let client = believing_client()?;
        let url = format!("https://{}/v1/server", link.authority());
        let body = client
            .get(url.parse()?)
            .await?
            .into_body()
            .collect()
            .await?
            .to_bytes();
        let info = pb::ServerInfo::decode(body)?;
        let operator_key = IdentityKey::try_from(info.operator_key.as_ref())?;
        Ok(Self {
            client,
            authority: link.authority().to_owned(),
            operator: OperatorId::from(&operator_key).to_string(),
            operator_key,
            registrar_key: IdentityKey::try_from(info.registrar_key.as_ref())?,
            ahead: 0,
        })
    }

    /// The same way to the server from another address of the loopback interface.
    pub fn from_address(&self, address: IpAddr) -> Result<Self> {
        Ok(Self {
            client: believing_client_at(Some(address), 0)?,
            ..self.clone()
        })
    }

    /// The same from another address, with one connection that is kept from request to request.
    pub fn kept_from(&self, address: IpAddr) -> Result<Self> {
        Ok(Self {
            client: believing_client_at(Some(address), 1)?,
            ..self.clone()
        })
    }

    /// A TCP connection from this address, on which nothing was said yet.
    pub async fn tcp_from(&self, address: IpAddr) -> Result<TcpStream> {
        let socket = match address {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind((address, 0).into())?;
        Ok(socket.connect(self.authority.parse()?).await?)
    }

    /// A TLS connection from this address, on which a test writes what it likes.
    pub async fn tls_from(&self, address: IpAddr) -> Result<TlsStream<TcpStream>> {
        let stream = self.tcp_from(address).await?;
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::new(believing_tls()))
            .connect(name, stream)
            .await?)
    }

    /// The head of a signed request as HTTP/1.1 has it, which announces a body of so many bytes.
    pub fn head(&self, call: &Call, id: Key<'_>, bytes: u64) -> Result<String> {
        let (parts, _) = self.sign(call, id, None)?.into_parts();
        let target = parts.uri.path_and_query().context("a request without path")?;
        let mut text = format!("{} {target} HTTP/1.1\r\n", parts.method);
        for (name, value) in &parts.headers {
            text.push_str(&format!("{name}: {}\r\n", value.to_str()?));
        }
        Ok(format!("{text}content-length: {bytes}\r\n\r\n"))
    }

    /// The operator's id.
    pub fn operator_id(&self) -> OperatorId {
        OperatorId::from(&self.operator_key)
    }

    /// The server, and the time there.
    pub fn setting(&self) -> Setting {
        Setting::live(&self.operator_key)
    }

    /// Signs a call as the profile demands.
    pub fn sign(&self, call: &Call, id: Key<'_>, pop: Option<Key<'_>>) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("https://{}{}", self.authority, call.path))
            .header(request::OPERATOR, &self.operator)
            .header(header::HOST, &self.authority);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let (mut parts, body) = request.body(Full::new(call.body.clone()))?.into_parts();
        let (id_key, pop_key) = (pair(id.signing), pop.map(|pop| pair(pop.signing)));
        let mut keys = vec![(SignatureLabel::Id, id.id, &id_key)];
        if let (Some(pop), Some(key)) = (pop, &pop_key) {
            keys.push((SignatureLabel::Pop, pop.id, key));
        }
        let created = super::now_ms() / 1000 + self.ahead;
        actors::request::sign(&mut parts, &self.authority, created, &keys);
        Ok(Request::from_parts(parts, body))
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        Ok(rest(self.begin(request).await?).await)
    }

    /// Sends a request, and leaves the body of the answer unread.
    pub async fn begin(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        self.client.request(request).await.context("no answer")
    }

    /// Asks, unsigned, for what everybody may have.
    pub async fn ask(&self, path: &str) -> Result<Answer> {
        let request = Request::get(format!("https://{}{path}", self.authority));
        self.send(request.body(Full::default())?).await
    }

    /// Signs and sends.
    pub async fn call(&self, call: &Call, id: Key<'_>) -> Result<Answer> {
        self.send(self.sign(call, id, None)?).await
    }

    /// Signs with both keys and sends.
    pub async fn present(&self, call: &Call, id: Key<'_>, pop: Key<'_>) -> Result<Answer> {
        self.send(self.sign(call, id, Some(pop))?).await
    }
}

/// Reads an answer to its end, or to where it is cut.
pub async fn rest(answer: Response<Incoming>) -> Answer {
    let (parts, mut body) = answer.into_parts();
    let (mut bytes, mut complete) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend(frame.into_data().unwrap_or_default()),
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: bytes.into(),
        complete,
    }
}
