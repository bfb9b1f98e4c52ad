//! Those who flood: all from one address, without an account or with as many as they make.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::Result;
use protocol_spec::{defence::Defence, ids::UploadId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::raw::{Call, RawPatient, Wire, now_ms, random};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};

const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 1));
/// Connections that begin bodies.
const BODIES: usize = 300;
/// Connections that say nothing.
const IDLE: usize = 3000;
/// Accounts that the attacker has made.
const ACCOUNTS: usize = 3;

/// What is flooded.
#[derive(Clone, Copy)]
pub(super) enum Flood {
    /// Bodies of enrolments that do not come.
    Public,
    /// Commits of uploads that the accounts do not have.
    Transfers,
    /// Long messages that they may send, byte by byte.
    Messages,
    /// Signed requests, as fast as they go.
    Nonces,
    /// Bare TCP connections.
    Connections,
}

impl Flood {
    pub(super) const ALL: [Self; 5] = [
        Self::Public,
        Self::Transfers,
        Self::Messages,
        Self::Nonces,
        Self::Connections,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Public => "memory for the public",
            Self::Transfers => "memory for transfers, others' uploads",
            Self::Messages => "memory for transfers, long messages",
            Self::Nonces => "signatures",
            Self::Connections => "idle connections",
        }
    }

    pub(super) fn defence(self) -> Defence {
        match self {
            Self::Public => Defence::PublicShares,
            Self::Transfers | Self::Messages => Defence::TransferShares,
            Self::Nonces => Defence::NonceShares,
            Self::Connections => Defence::ConnectionShares,
        }
    }

    /// With fewer signatures than by default, so that a flood of seconds fills their memory.
    pub(super) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Nonces => &["--nonces", "5000"],
            _ => &[],
        }
    }

    /// Begins it; it ends when what is returned is dropped.
    pub(super) async fn begin(self, wire: &Wire) -> Result<JoinSet<()>> {
        let mut attack = JoinSet::new();
        match self {
            Self::Public => {
                for _ in 0..BODIES {
                    attack.spawn(again_and_again(wire.clone(), |_| Ok(ENROLMENT.to_owned())));
                }
            }
            Self::Transfers => with_accounts(&mut attack, wire, 2, foreign_commit).await?,
            Self::Messages => with_accounts(&mut attack, wire, 60, long_message).await?,
            Self::Nonces => {
                for _ in 0..8 {
                    let kept = wire.kept_from(ATTACKER)?;
                    let account = RawPatient::enrol(&kept).await?;
                    attack.spawn(async move {
                        loop {
                            drop(account.get(&kept, "/v1/log/salt").await);
                        }
                    });
                }
            }
            Self::Connections => {
                for _ in 0..IDLE {
                    attack.spawn(hold(wire.clone()));
                }
            }
        }
        Ok(attack)
    }
}

const ENROLMENT: &str =
    "POST /v1/patients HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\ncontent-length: 16384\r\n\r\n";

/// A body that its account may not send.
fn foreign_commit(wire: &Wire, account: &RawPatient) -> Result<String> {
    let upload = UploadId::mint(now_ms(), random()?);
    let call = Call::post(format!("/v1/uploads/{upload}/commit"), &())?;
    wire.head(&call, account.key(), 19 << 20)
}

/// A body that it may.
fn long_message(wire: &Wire, account: &RawPatient) -> Result<String> {
    wire.head(&Call::post("/v1/vault/index", &())?, account.key(), 1_000_000)
}

/// So many connections for each account.
async fn with_accounts(
    attack: &mut JoinSet<()>,
    wire: &Wire,
    connections: usize,
    head: fn(&Wire, &RawPatient) -> Result<String>,
) -> Result<()> {
    let near = wire.from_address(ATTACKER)?;
    for _ in 0..ACCOUNTS {
        let account = std::sync::Arc::new(RawPatient::enrol(&near).await?);
        for _ in 0..connections {
            let account = std::sync::Arc::clone(&account);
            attack.spawn(again_and_again(wire.clone(), move |wire| head(wire, &account)));
        }
    }
    Ok(())
}

/// Begins a body, and goes on with it slowly; when it is cut off or refused, another one.
async fn again_and_again(wire: Wire, head: impl Fn(&Wire) -> Result<String>) {
    loop {
        drop(dribble(&wire, &head).await);
        sleep(Duration::from_millis(50)).await;
    }
}

async fn dribble(wire: &Wire, head: &impl Fn(&Wire) -> Result<String>) -> Result<()> {
    let mut connection = wire.tls_from(ATTACKER).await?;
    connection.write_all(head(wire)?.as_bytes()).await?;
    let mut answer = [0; 512];
    loop {
        if timeout(Duration::from_secs(1), connection.read(&mut answer))
            .await
            .is_ok()
        {
            return Ok(());
        }
        connection.write_all(&[0; 64]).await?;
    }
}

/// Holds a connection, and takes another one when it is lost.
async fn hold(wire: Wire) {
    loop {
        if let Ok(mut connection) = wire.tcp_from(ATTACKER).await {
            drop(connection.read(&mut [0; 1]).await);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Both sides of the connections are in one user's processes; the server raises its own limit.
pub(super) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}
