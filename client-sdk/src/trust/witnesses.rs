//! Whose cosignatures this home asks for: a policy in the form of c2sp.org/tlog-policy, and what follows from it for
//! everything that the log proves. See `protocol-spec/spec/log.md` §5.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol_spec::{
    api::{self, CheckpointQuery, RequestTarget, SignedNote},
    defence::Defence,
    log::{NoteKey, Policy, SignedCheckpoint, VerifiedCheckpoint},
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, connect::Server, home::Home};

/// What a home knows of the witnesses of its server's log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WitnessPolicy {
    /// The file as it was given; empty if no witness is asked for.
    #[serde(rename = "policy")]
    pub file: String,
    /// Names of the witnesses, in the order of the file.
    pub witnesses: Vec<String>,
    /// Whether cosignatures are asked for at all.
    pub required: bool,
}

impl WitnessPolicy {
    /// Reads a policy before anything depends on it.
    /// Errors: [`Error::Protocol`] for a file that is no policy.
    pub fn parse(file: &[u8]) -> Result<Self> {
        let policy = Policy::parse(file)?;
        let name = |witness: &protocol_spec::log::Witness| witness.key.name().to_owned();
        Ok(Self {
            file: String::from_utf8_lossy(file).into_owned(),
            witnesses: policy.witnesses().iter().map(name).collect(),
            required: policy.asks_for_witnesses(),
        })
    }

    pub(super) fn of(home: &Home) -> Result<Self> {
        let file = home.read(POLICY)?.unwrap_or_else(|| b"quorum none\n".to_vec());
        Self::parse(&file).map_err(|_| home.damaged(POLICY))
    }

    /// Has a home ask for these witnesses of its server's log from now on (LOG-11).
    pub(super) async fn keep(&self, home: &Home, log: &NoteKey) -> Result<()> {
        if !Policy::parse(self.file.as_bytes())?.speaks_of(log) {
            return Err(Error::Usage(format!(
                "the policy is about other logs: this server's is {log}, ask whoever made the policy for the right one"
            )));
        }
        let _lock = home.lock().await?;
        home.write(POLICY, self.file.as_bytes())?;
        home.seal()
    }
}

/// The witnesses whose cosignatures are asked for, and what they have cosigned.
pub(crate) struct Witnesses {
    policy: Policy,
    server: Arc<Server>,
    home: Home,
    looked: Mutex<Looked>,
}

/// What was found when the log was last compared with what the quorum has cosigned.
#[derive(Default)]
struct Looked {
    /// How many leaves a quorum has cosigned.
    witnessed: u64,
    at: Option<Duration>,
}

impl Witnesses {
    /// Those of the home's policy.
    pub(crate) fn new(home: Home, server: Arc<Server>) -> Result<Self> {
        let policy = match home.read(POLICY)? {
            Some(file) => Policy::parse(&file).map_err(|_| home.damaged(POLICY))?,
            None => Policy::none(),
        };
        Ok(Self {
            policy,
            server,
            home,
            looked: Mutex::default(),
        })
    }

    /// Whether cosignatures are asked for at all.
    pub(super) fn are_asked_for(&self) -> bool {
        self.policy.asks_for_witnesses()
    }

    /// The checkpoint that the server shows now. With a policy (LOG-8), the quorum has cosigned it lately (LOG-11);
    /// it is not compared with others yet.
    pub(crate) async fn shown(&self) -> Result<VerifiedCheckpoint> {
        self.believe(&self.server.get_file(api::LOG_CHECKPOINT.here()).await?)
    }

    /// The same of a note that came with something else.
    pub(super) fn believe(&self, note: &[u8]) -> Result<VerifiedCheckpoint> {
        let checkpoint = self.signed_by_log(note)?;
        let lately = self.seconds().saturating_sub(LAG.as_secs());
        let witnessed = self.policy.witnessed(checkpoint, lately);
        Ok(witnessed.map_err(not_witnessed)?.into_checkpoint())
    }

    /// With a policy, notes what is cosigned now, for [`Self::since`].
    pub(crate) async fn begin(&self) -> Result<Began> {
        if !self.policy.asks_for_witnesses() || Defence::FreshCosignature.is_off() {
            return Ok(Began::default());
        }
        let at = self.seconds();
        let shown = self.note_shown(api::LOG_CHECKPOINT.here()).await?;
        let cosigned = self.policy.cosigned_since(&shown);
        let cosigned = cosigned.map_err(not_witnessed)?.unwrap_or_default();
        Ok(Began {
            since: at
                .saturating_sub(CLOCKS.as_secs())
                .max(cosigned.saturating_add(1)),
        })
    }

    /// With a policy, what the quorum has cosigned since something began, of so many leaves or more (LOG-23). On an old copy of its
    /// data a server gets no cosignature any more. It waits for one round of the witnesses, at most [`ROUND`].
    pub(super) async fn since(&self, began: Began, leaves: u64) -> Result<Option<VerifiedCheckpoint>> {
        if !self.policy.asks_for_witnesses() || Defence::FreshCosignature.is_off() {
            return Ok(None);
        }
        let system = self.home.system();
        let until = system.uptime() + ROUND;
        loop {
            let shown = self
                .note_shown(api::LOG_CHECKPOINT.ask([], CheckpointQuery { fresh: Some(true) }))
                .await?;
            let cause = match self.policy.witnessed(shown, began.since) {
                Ok(witnessed) if witnessed.checkpoint().size >= leaves => {
                    return Ok(Some(witnessed.into_checkpoint()));
                }
                Ok(witnessed) => format!(
                    "{} leaves are cosigned, and this is about {leaves}",
                    witnessed.checkpoint().size
                ),
                Err(error) => error.to_string(),
            };
            if system.uptime() >= until {
                return Err(Error::NotWitnessed {
                    cause: format!(
                        "no quorum has cosigned it since this began, waited for {} seconds: {cause}; the server may work on an old \
                         copy of its data, its witnesses may be silent, or this machine's clock is ahead of theirs",
                        ROUND.as_secs()
                    ),
                });
            }
            system.sleep(PAUSE).await;
        }
    }

    async fn note_shown(
        &self,
        at: RequestTarget<(), SignedNote, CheckpointQuery>,
    ) -> Result<VerifiedCheckpoint> {
        self.signed_by_log(&self.server.get_file(at).await?)
    }

    fn signed_by_log(&self, note: &[u8]) -> Result<VerifiedCheckpoint> {
        SignedCheckpoint::parse(note)
            .and_then(|checkpoint| checkpoint.verify_by(self.server.operator()))
            .map_err(Error::tampered("the log's checkpoint"))
    }

    /// Once a minute, what the quorum has cosigned lately, for the log to be compared with; then [`Self::compared`].
    pub(super) async fn due(&self) -> Result<Option<VerifiedCheckpoint>> {
        let fresh = self
            .looked()
            .at
            .is_some_and(|at| self.home.system().since(at) < LOOK_EVERY);
        if fresh || !self.policy.asks_for_witnesses() {
            return Ok(None);
        }
        self.shown().await.map(Some)
    }

    /// The log continues what is cosigned. What was accepted before it was cosigned must be cosigned within a day.
    pub(super) async fn compared(&self, witnessed: &VerifiedCheckpoint) -> Result<()> {
        let pending: Option<Option<Pending>> = self.home.read_json(PENDING)?;
        if let Some(pending) = pending.flatten() {
            if pending.size <= witnessed.size {
                let _lock = self.home.lock().await?;
                self.home.write_json(PENDING, &None::<Pending>)?;
            } else if self.seconds().saturating_sub(pending.since) > LAG.as_secs() {
                return Err(Error::NotWitnessed {
                    cause: format!(
                        "{} leaves that were shown more than a day ago are not cosigned, only {}",
                        pending.size, witnessed.size
                    ),
                });
            }
        }
        *self.looked() = Looked {
            witnessed: witnessed.size,
            at: Some(self.home.system().uptime()),
        };
        Ok(())
    }

    /// Remembers since when something is believed that is not cosigned yet.
    pub(super) async fn note_pending(&self, seen: &VerifiedCheckpoint) -> Result<()> {
        if !self.policy.asks_for_witnesses() || seen.size <= self.looked().witnessed {
            return Ok(());
        }
        let kept: Option<Option<Pending>> = self.home.read_json(PENDING)?;
        if kept.flatten().is_some() {
            return Ok(());
        }
        let pending = Pending {
            size: seen.size,
            since: self.seconds(),
        };
        let _lock = self.home.lock().await?;
        self.home.write_json(PENDING, &pending)
    }

    /// This machine's time in seconds since 1970.
    fn seconds(&self) -> u64 {
        self.server.clock().own_ms() / 1000
    }

    /// Each change is one assignment, so no panic leaves it half-changed.
    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_witnessed(cause: protocol_spec::Error) -> Error {
    Error::NotWitnessed {
        cause: cause.to_string(),
    }
}

/// When something began that wants newer cosignatures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Began {
    /// From this time of the witnesses' clocks on they are newer, in seconds since 1970.
    since: u64,
}

/// What was accepted and is not cosigned yet.
#[derive(Serialize, Deserialize)]
struct Pending {
    /// How many leaves the log had.
    size: u64,
    /// When it was seen, in seconds since 1970.
    since: u64,
}

/// How old the newest cosignatures may be, and how long something may wait for them (LOG-11).
const LAG: Duration = Duration::from_secs(24 * 3600);
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How far the clocks of witnesses may be behind this machine's (LOG-23): as far as those of servers and clients (API-7).
const CLOCKS: Duration = Duration::from_secs(120);
/// How long a download waits for cosignatures: a server asks each witness twice, five seconds long (LOG-23).
const ROUND: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);

const POLICY: &str = "witness.policy";
const PENDING: &str = "log-pending.json";
