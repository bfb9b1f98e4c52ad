//! What patients and institutions share: a home, its server, and what has been believed so far.

use std::sync::Arc;

use protocol_spec::log::Policy;
use tokio::sync::Mutex;

use crate::{
    Error, Result,
    clock::Clock,
    connect::{Credentials, Server, Signs},
    home::{Home, Pins},
    trust::{log::Log, mirror::Mirror},
};

/// An enrolled principal's connection. Everything that comes out of it has been verified.
pub(crate) struct Session {
    pub(crate) home: Home,
    pub(crate) server: Server,
    /// What time it is.
    pub(crate) clock: Arc<Clock>,
    /// The directory as the log has it.
    pub(crate) mirror: Mutex<Mirror>,
    /// What this session has found consistent with the pinned checkpoint of the log.
    pub(crate) log: Mutex<Log>,
    /// Whose cosignatures of the log are asked for.
    pub(crate) policy: Policy,
}

impl Session {
    /// No request leaves before the first is asked for.
    pub(crate) fn new(home: Home, pins: Pins, id: &impl ToString, key: Arc<dyn Signs>) -> Result<Self> {
        let server = Server::new(
            pins,
            Some(Credentials {
                key_id: id.to_string(),
                key,
            }),
        )?;
        let clock = server.clock().clone();
        clock.begin(&home)?;
        let mut session = Self {
            clock,
            policy: home.policy()?,
            home,
            server,
            mirror: Mutex::default(),
            log: Mutex::default(),
        };
        session.begin_log()?;
        Ok(session)
    }
}

/// Runs what computes long or waits for the disk beside the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Usage("a thread failed: try again".into()))?
}
