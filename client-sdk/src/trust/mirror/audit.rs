//! The directory held against the log itself.

use protocol_spec::{defence::Defence, log::Entry, mirror::Directory};

use super::{Mirror, WHAT};
use crate::{Error, Progress, Result};

/// What an audit of the log has read and found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Audited {
    /// The first entry that was read.
    pub from: u64,
    /// How many entries the log has.
    #[serde(rename = "log_size")]
    pub size: u64,
    /// Events of the directory among them.
    pub events: u64,
    /// Institutions that they are about.
    pub institutions: u64,
}

impl Mirror {
    /// Reads the log itself, from where it was audited last, and checks that what it has of the directory is what this home's
    /// mirror has and what the checkpoint says (LOG-18).
    pub(crate) async fn audit(&self, progress: &dyn Progress) -> Result<Audited> {
        self.invalidate().await;
        let from = self.home.read_json::<u64>(AUDITED)?.unwrap_or_default();
        let mut audited = Directory::new(*self.server.registrar(), *self.server.operator());
        let mirrored = {
            let mirrored = self.current().await?;
            let events = mirrored.kept.iter().flat_map(|kept| &kept.events);
            for event in events.take_while(|event| event.index < from) {
                audited
                    .recall(event.index, &event.entry)
                    .map_err(Error::tampered(WHAT))?;
            }
            mirrored.directory()?.clone()
        };
        let mut then = None;
        let checkpoint = self
            .log
            .scan(from, progress, |index, entry| {
                if index == mirrored.covered() {
                    then = Some(audited.head());
                }
                let bytes = entry.bytes()?;
                if Entry::is_event(&bytes) {
                    audited
                        .take(index, &bytes.into())
                        .map_err(Error::tampered(WHAT))?;
                }
                Ok(())
            })
            .await?;
        let same = then.unwrap_or(audited.head()) == mirrored.head();
        if !Defence::DirectoryHead.holds(same) {
            return Err(Error::tampered(WHAT)(
                "the log has other events than the server has shown",
            ));
        }
        self.check_head(&mut audited, &checkpoint).await?;
        let _lock = self.home.lock().await?;
        self.home.write_json(AUDITED, &checkpoint.size)?;
        Ok(Audited {
            from,
            size: checkpoint.size,
            events: audited.head().events,
            institutions: audited.names().count() as u64,
        })
    }
}

const AUDITED: &str = "directory-audited.json";
