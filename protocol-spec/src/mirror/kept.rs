//! Events of the directory as a home keeps them.

use bytes::Bytes;
use prost::{Message, Name};

use crate::{Error, messages as pb};

/// An event of the directory in its place of the log, without the path by which that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvent {
    /// Its place in the log.
    pub index: u64,
    /// As it stands there.
    pub entry: Bytes,
}

impl KeptEvent {
    /// Reads the events of a file.
    ///
    /// # Errors
    /// [`Error::Decode`].
    pub fn read_all(file: Vec<u8>) -> Result<Vec<Self>, Error> {
        let file = pb::DirectoryEvents::decode(Bytes::from(file)).map_err(|_| Error::Decode {
            message: pb::DirectoryEvents::NAME,
        })?;
        Ok(file.events.into_iter().map(Self::from).collect())
    }

    /// Writes all events as they stand in a file.
    pub fn write_all(events: Vec<Self>) -> Vec<u8> {
        let events = events
            .into_iter()
            .map(|Self { index, entry }| pb::DirectoryEvent {
                entry,
                index,
                path: Vec::new(),
            });
        let file = pb::DirectoryEvents {
            checkpoint: String::new(),
            events: events.collect(),
        };
        file.encode_to_vec()
    }
}

impl From<pb::DirectoryEvent> for KeptEvent {
    fn from(
        pb::DirectoryEvent {
            entry,
            index,
            path: _,
        }: pb::DirectoryEvent,
    ) -> Self {
        Self { index, entry }
    }
}
