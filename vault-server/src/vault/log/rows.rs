//! Rows of the log, read.

use protocol_spec::log::{DirectoryHead, Generation, SignedCheckpoint, VaultSalt};

use crate::vault::{
    core::refusal::Refusal,
    tables::{LogHeadRow, LogSaltRow},
};

impl LogHeadRow {
    /// Which log it is the head of.
    pub(in crate::vault) fn generation(&self) -> Result<Generation, Refusal> {
        Generation::new(self.restorations.saturating_add(1)).map_err(Refusal::damaged)
    }

    pub(in crate::vault) fn restored(&self) -> Option<u64> {
        (self.restorations > 0).then_some(self.restored)
    }

    fn signed(&self) -> Result<SignedCheckpoint, Refusal> {
        SignedCheckpoint::parse(self.checkpoint.as_bytes()).map_err(Refusal::damaged)
    }

    /// The log's name, as its checkpoint has it.
    pub(in crate::vault) fn log_name(&self) -> Result<String, Refusal> {
        Ok(self.signed()?.claimed().origin.clone())
    }

    /// What its checkpoint says of the directory.
    pub(in crate::vault) fn directory(&self) -> Result<DirectoryHead, Refusal> {
        Ok(DirectoryHead {
            events: self.events,
            hash: self.events_hash.as_ref().try_into().map_err(Refusal::damaged)?,
        })
    }
}

impl LogSaltRow {
    pub(in crate::vault) fn salt(&self) -> Result<VaultSalt, Refusal> {
        let salt = self.salt.as_ref().try_into().map_err(Refusal::damaged)?;
        Ok(VaultSalt::from_bytes(salt))
    }
}
