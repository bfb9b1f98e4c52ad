//! What a home believes of its server, for whoever lives there: patient, institution or terminal.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::path::Path;

use protocol_spec::{directory::Institution, mirror::LookAlikes, programs::Vouched};

use super::{
    log::PinnedLog,
    mirror::{Audited, Mirror},
    witnesses::WitnessPolicy,
};
use crate::{Progress, Result, home::Home, programs};

/// The directory and the log of a home's server, as far as they are proven.
#[derive(Clone, Copy)]
pub struct Trust<'a> {
    home: &'a Home,
    log: &'a PinnedLog,
    mirror: &'a Mirror,
}

impl<'a> Trust<'a> {
    pub(crate) fn new(home: &'a Home, log: &'a PinnedLog, mirror: &'a Mirror) -> Self {
        Self { home, log, mirror }
    }

    /// The accredited institutions whose names contain `filter` (in any case), each verified.
    /// Errors: [`crate::Error::Tampered`] when an event of the directory does not verify,
    /// [`crate::Contradiction::DirectoryConflict`] when it is not all of what the log has.
    pub async fn institutions(&self, filter: Option<&str>) -> Result<Vec<Institution>> {
        self.mirror.institutions(filter).await
    }

    /// The one institution with this id or this name (in any case).
    /// Errors: [`crate::Error::UnknownInstitution`],
    /// [`crate::Error::AmbiguousInstitution`], or as
    /// [`Self::institutions`].
    pub async fn institution(&self, name_or_id: &str) -> Result<Institution> {
        self.mirror.find_named(name_or_id).await
    }

    /// All entries of the institution with this id or name, from the first to the newest. Errors: as [`Self::institution`].
    pub async fn entries(&self, name_or_id: &str) -> Result<Vec<Institution>> {
        let newest = self.mirror.find_named(name_or_id).await?;
        self.mirror.chain(newest.id()).await
    }

    /// Which institutions have names that look like others': to be shown wherever somebody decides by a name (INS-17).
    /// Errors: as [`Self::institutions`].
    pub async fn look_alikes(&self) -> Result<LookAlikes> {
        self.mirror.look_alikes().await
    }

    /// Reads the log itself, from where this home
    /// has audited it last, and checks that all that
    /// it has of the directory verifies and is what
    /// its checkpoint says and this home was shown.
    /// `progress` counts entries. Errors:
    /// [`crate::Contradiction::DirectoryConflict`],
    /// [`crate::Error::Tampered`],
    /// [`crate::Contradiction::LogConflict`],
    /// [`crate::Error::NotWitnessed`].
    pub async fn audit(&self, progress: &dyn Progress) -> Result<Audited> {
        self.mirror.audit(progress).await
    }

    /// The client programs that the registrar vouches for, in the order of the log as it is now. Errors: as [`Self::institutions`].
    pub async fn programs(&self) -> Result<Vec<Vouched>> {
        self.mirror.programs().await
    }

    /// Which client program a file is, by its SHA-256 and the log as it is now: to be asked before the file is put in the place of
    /// a program that is trusted.
    /// Errors: [`crate::Error::UnknownProgram`] if the registrar does not vouch for exactly this
    /// file, [`crate::Error::Io`], or as [`Self::institutions`].
    pub async fn check_program(&self, file: &Path) -> Result<Vouched> {
        programs::check(self.mirror, file).await
    }

    /// Whose cosignatures this home asks for. Errors: [`crate::Error::HomeAltered`], [`crate::Error::HomeDamaged`].
    pub fn witnesses(&self) -> Result<WitnessPolicy> {
        WitnessPolicy::of(self.home)
    }

    /// Has this home ask for these witnesses from its next session on (LOG-11).
    /// Errors: [`crate::Error::Usage`] if the policy is about other logs than the server's.
    pub async fn use_witnesses(&self, policy: &WitnessPolicy) -> Result<()> {
        policy.keep(self.home, &self.log.key()?).await
    }
}
