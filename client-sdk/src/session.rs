//! What patients and institutions share: a home, its server, and what has been believed so far.

use std::sync::Arc;

pub(crate) use crate::blocking::blocking;
use crate::{
    Result,
    clock::Clock,
    connect::{Credentials, Server, Signs},
    ground::System,
    home::{Home, Pins},
    trust::{
        Asks, Meanings, Mirror, OtherPatients, PinnedLog, Restorations, StoredRecords, Trust, Witnesses,
    },
};

/// An enrolled principal's connection. Everything that comes out of it has been verified.
pub(crate) struct Session {
    pub(crate) home: Home,
    pub(crate) server: Arc<Server>,
    /// The clock that follows the server's time.
    pub(crate) clock: Arc<Clock>,
    pub(crate) met: Arc<Meanings>,
    pub(crate) witnesses: Arc<Witnesses>,
    pub(crate) log: Arc<PinnedLog>,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) records: StoredRecords,
    pub(crate) asks: Asks,
    pub(crate) patients: OtherPatients,
    pub(crate) restorations: Restorations,
}

impl Session {
    /// No request leaves before the first is asked for.
    pub(crate) fn new(home: Home, pins: Pins, id: &impl ToString, key: Arc<dyn Signs>) -> Result<Self> {
        let credentials = Credentials {
            key_id: id.to_string(),
            key,
        };
        let server = Arc::new(Server::new(pins, Some(credentials), home.ground())?);
        server.clock().begin(&home)?;
        let met = Arc::new(Meanings::new(home.clone()));
        let witnesses = Arc::new(Witnesses::new(home.clone(), server.clone())?);
        let log = Arc::new(PinnedLog::new(home.clone(), server.clone(), witnesses.clone())?);
        let mirror = Arc::new(Mirror::new(
            home.clone(),
            server.clone(),
            witnesses.clone(),
            log.clone(),
        ));
        Ok(Self {
            records: StoredRecords::new(server.clone(), log.clone(), mirror.clone()),
            asks: Asks::new(met.clone(), mirror.clone()),
            patients: OtherPatients::new(server.clone(), met.clone()),
            restorations: Restorations::new(
                home.clone(),
                server.clone(),
                witnesses.clone(),
                log.clone(),
                mirror.clone(),
            ),
            clock: server.clock().clone(),
            home,
            server,
            met,
            witnesses,
            log,
            mirror,
        })
    }

    /// The machine's time and chance as they come. What ends or begins is decided by [`Self::clock`].
    pub(crate) fn system(&self) -> &dyn System {
        self.clock.system()
    }

    pub(crate) fn trust(&self) -> Trust<'_> {
        Trust::new(&self.home, &self.log, &self.mirror)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What the home has of the time is then older than it could be.
        drop(self.clock.keep(&self.home));
    }
}
