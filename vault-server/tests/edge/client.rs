//! Servers in this process and clients that write what they like.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actors::tls::believing;
use protocol_spec::keys::IdentityKey;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use vault_server::{Running, config::Config, identity::OperatorIdentity, serve};

/// Longer than any limit that a test sets, shorter than any that it leaves off.
pub(crate) const WATCHED: Duration = Duration::from_millis(2500);

/// The seed of the registrar whom all servers here believe.
pub(crate) const REGISTRAR: [u8; 32] = [7; 32];

pub(crate) fn registrar_key() -> String {
    let registrar = OperatorIdentity::from_seed(&REGISTRAR).unwrap();
    registrar.key().to_text(IdentityKey::REGISTRAR_PREFIX)
}

/// A server with its own data directory, which goes with it.
pub(crate) struct Server {
    pub(crate) running: Running,
    data: TempDir,
}

impl Server {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let running = Self::run(&data, "127.0.0.1:0", flags).await;
        Self { running, data }
    }

    /// Stopped and started again, with the same data and address.
    pub(crate) async fn restart(self) -> Self {
        let listen = self.addr().to_string();
        self.running.stop();
        self.running.wait().await.unwrap();
        let running = Self::run(&self.data, &listen, &[]).await;
        Self {
            running,
            data: self.data,
        }
    }

    async fn run(data: &TempDir, listen: &str, flags: &[&str]) -> Running {
        let registrar = registrar_key();
        let path = data.path().to_str().unwrap();
        let base = ["vault-server", "--data", path, "--registrar", &registrar];
        // With a certificate of its own making, unless another is named.
        let own: &[&str] = if flags.contains(&"--tls-cert") {
            &[]
        } else {
            &["--dev"]
        };
        let addresses = ["--listen", listen, "--admin", "127.0.0.1:0"];
        let config = Config::from_args(base.iter().chain(own).chain(&addresses).chain(flags)).unwrap();
        serve(config).await.unwrap()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    pub(crate) async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    pub(crate) async fn try_connect(&self) -> std::io::Result<Client> {
        connect(self.addr(), &[]).await
    }

    /// From another address of the loopback interface.
    pub(crate) async fn connect_from(&self, address: [u8; 4]) -> std::io::Result<Client> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        let stream = socket.connect(self.addr()).await?;
        shake_hands(stream, believing(&[&rustls::version::TLS13])).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &[u8]) -> String {
        send(self.addr(), request).await
    }

    /// The same from another address.
    pub(crate) async fn send_from(&self, address: [u8; 4], request: &[u8]) -> String {
        let mut client = self.connect_from(address).await.unwrap();
        client.write_all(request).await.unwrap();
        answer(&mut client).await
    }

    /// A number that the admin address shows.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.admin("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    }

    /// One request to the admin address.
    pub(crate) async fn admin(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.running.admin_addr().unwrap())
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}

pub(crate) type Client = TlsStream<TcpStream>;

pub(crate) async fn connect(addr: SocketAddr, alpn: &[&[u8]]) -> std::io::Result<Client> {
    let mut config = believing(&[&rustls::version::TLS13]);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    handshake(addr, config).await
}

pub(crate) async fn handshake(addr: SocketAddr, config: ClientConfig) -> std::io::Result<Client> {
    shake_hands(TcpStream::connect(addr).await?, config).await
}

async fn shake_hands(stream: TcpStream, config: ClientConfig) -> std::io::Result<Client> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// One request on a connection of its own.
pub(crate) async fn send(addr: SocketAddr, request: &[u8]) -> String {
    let mut client = connect(addr, &[]).await.unwrap();
    client.write_all(request).await.unwrap();
    answer(&mut client).await
}

/// The same, and the whole body of its answer, which must be 200.
pub(crate) async fn send_for_all(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut client = connect(addr, &[]).await.unwrap();
    client.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    client.read_exact(&mut body).await.unwrap();
    body
}

/// Sends a request and reads one response's head and what comes with it.
pub(crate) async fn ask(client: &mut Client, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    answer(client).await
}

/// Sends a request and reads the body of a short answer.
pub(crate) async fn raw_body(client: &mut Client, request: &str) -> Vec<u8> {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 64 << 10];
    let length = client.read(&mut bytes).await.unwrap();
    let text = bytes[..length]
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    bytes[text + 4..length].to_vec()
}

/// What the server says within [`WATCHED`]; empty if it says nothing or closes.
pub(crate) async fn answer(client: &mut Client) -> String {
    let mut bytes = vec![0; 64 << 10];
    let read = timeout(WATCHED, client.read(&mut bytes)).await;
    let length = read.ok().and_then(Result::ok).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// What the server says within [`WATCHED`]: empty if it ends the connection, none if it stays open and silent.
pub(crate) async fn heard(client: &mut Client) -> Option<String> {
    let mut bytes = vec![0; 64 << 10];
    let read = timeout(WATCHED, client.read(&mut bytes)).await.ok()?;
    let length = read.unwrap_or_default();
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// Whether the server ends the connection within [`WATCHED`], whatever it says before.
pub(crate) async fn is_closed(client: &mut (impl AsyncReadExt + Unpin)) -> bool {
    let mut bytes = vec![0; 64 << 10];
    let ended = async { while client.read(&mut bytes).await.is_ok_and(|length| length > 0) {} };
    timeout(WATCHED, ended).await.is_ok()
}
