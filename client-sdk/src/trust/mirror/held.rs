//! What a session has of the directory.

use std::{collections::HashMap, time::Duration};

use protocol_spec::{
    ids::InstitutionId,
    log::VerifiedCheckpoint,
    mirror::{Directory, KeptEvent},
};

use crate::{DirectoryEntry, Error, Result};

/// What a session knows of the directory.
#[derive(Default)]
pub(super) struct Mirrored {
    pub(super) kept: Option<KeptDirectory>,
    /// Nothing was said since that may have changed it.
    pub(super) fresh: bool,
    /// Entries that were verified since the last event.
    pub(super) verified: HashMap<InstitutionId, DirectoryEntry>,
}

/// A mirror, and what of it stands in the home.
pub(super) struct KeptDirectory {
    pub(super) directory: Directory,
    pub(super) events: Vec<KeptEvent>,
    /// The note under which all of it stands; empty before there is one.
    pub(super) note: Vec<u8>,
    /// One under which all of it was said to stand since, and which the home does not have yet.
    pub(super) said: Option<VerifiedCheckpoint>,
    /// When the home got one.
    pub(super) kept_at: Option<Duration>,
}

impl KeptDirectory {
    pub(super) fn new(directory: Directory, events: Vec<KeptEvent>, note: Vec<u8>) -> Self {
        Self {
            directory,
            events,
            note,
            said: None,
            kept_at: None,
        }
    }
}

impl Mirrored {
    /// What a session knows of these alone.
    #[cfg(test)]
    pub(super) fn of(entries: impl IntoIterator<Item = DirectoryEntry>) -> Self {
        Self {
            kept: None,
            fresh: true,
            verified: entries.into_iter().map(|entry| (entry.id(), entry)).collect(),
        }
    }

    /// The directory; [`super::Mirror`] has read it before.
    pub(super) fn directory(&self) -> Result<&Directory> {
        let kept = self.kept.as_ref().map(|kept| &kept.directory);
        kept.ok_or_else(|| Error::Usage("the directory was not read: try again".into()))
    }
}
