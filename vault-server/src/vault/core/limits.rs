//! How much and how long: every bound that the state machines keep.

use std::time::Duration;

use crate::vault::core::sizes::{placed_bytes, release_bytes};

/// Bounds of the vault. The defaults suit one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultLimits {
    /// A challenge must be answered within this.
    pub challenge_ttl: Duration,
    /// An upload must be committed within this, and before its permission ends.
    pub upload_ttl: Duration,
    /// A release must be finished within this, and before its permission ends.
    pub release_ttl: Duration,
    /// A mutation may be repeated under its idempotency key for this long.
    pub idempotency_ttl: Duration,
    /// How often expired sessions are looked for.
    pub sweep_interval: Duration,
    /// How long an answer waits for its place in the log.
    pub log_wait: Duration,
    /// Uploads and releases that one institution may have open at once.
    pub sessions_per_institution: u32,
    /// A recovery member goes by one device's word after this (DEV-23).
    pub recovery_delay: Duration,
    /// Openings of one vault in emergencies, in a day.
    pub emergencies_per_patient: usize,
    /// Openings by one institution in emergencies, in a day.
    pub emergencies_per_institution: usize,
    /// By which rule patients enrol.
    pub enrolment: EnrolmentPolicy,
    /// Patients who may enrol in a day by one institution's invitations.
    pub invited_per_institution: u32,
    /// How much of one sender, and of strangers, a receiver takes.
    pub inbox: InboxLimits,
    /// What principals may have the server keep.
    pub budgets: Budgets,
    /// Leaves in one PUT.
    pub leaves_per_request: u32,
    /// Bytes of a sealed manifest.
    pub sealed_manifest_bytes: usize,
    /// Bytes of sealed manifests, over all records of one permission, with what stands beside each: they
    /// travel in one answer.
    pub release_manifest_bytes: u64,
    /// Rows of one page, whatever the client asks for.
    pub page_rows: usize,
    /// A page ends after the row that reaches this, and a short one at the latest after 64 KiB.
    pub page_bytes: usize,
    /// Bytes of one message, told to clients; the HTTP layer enforces it.
    pub request_bytes: u64,
    /// How far the clock may be ahead of the time that has gone by, while the vault is open.
    pub clock_jump: Duration,
    /// How far the clock may be ahead of the vault's last time, when it opens.
    pub clock_gap: Duration,
    /// The operator has said that the clock is right as late as this, in milliseconds since 1970.
    pub clock_accepted: u64,
}

impl Default for VaultLimits {
    fn default() -> Self {
        Self {
            challenge_ttl: Duration::from_secs(5 * 60),
            upload_ttl: Duration::from_secs(24 * 3600),
            release_ttl: Duration::from_secs(24 * 3600),
            idempotency_ttl: Duration::from_secs(24 * 3600),
            sweep_interval: Duration::from_secs(60),
            log_wait: Duration::from_secs(10),
            sessions_per_institution: 256,
            recovery_delay: protocol_spec::devices::RECOVERY_DELAY,
            emergencies_per_patient: 6,
            emergencies_per_institution: 24,
            enrolment: EnrolmentPolicy::Invitation,
            invited_per_institution: 1000,
            inbox: InboxLimits::default(),
            budgets: Budgets::default(),
            leaves_per_request: 64,
            sealed_manifest_bytes: 16 << 20,
            release_manifest_bytes: 20 << 20,
            page_rows: 100,
            page_bytes: 1 << 20,
            request_bytes: 1 << 20,
            clock_jump: Duration::from_secs(10 * 60),
            clock_gap: Duration::from_secs(24 * 3600),
            clock_accepted: 0,
        }
    }
}

/// Where pages end that must be readable also when memory is scarce.
pub(crate) const SHORT_PAGE: usize = 64 << 10;

impl VaultLimits {
    /// The most bytes of a page whose rows have at most so many: it ends after the row that reaches its size,
    /// and each row may have a receipt that gets its proof.
    pub(crate) fn most_of_page(&self, row: u64) -> u64 {
        self.most_of(self.page_bytes, row)
    }

    /// The same of a short page.
    pub(crate) fn most_of_short_page(&self, row: u64) -> u64 {
        self.most_of(self.short_page(), row)
    }

    /// The most bytes of the answer that opens a release.
    pub(crate) fn most_of_release(&self) -> u64 {
        release_bytes(0, self.release_manifest_bytes)
    }

    /// The most bytes of a release of one record: the least that a release must be able to have.
    pub(crate) fn most_of_record(&self) -> u64 {
        release_bytes(1, u64::try_from(self.sealed_manifest_bytes).unwrap_or(u64::MAX))
    }

    /// The most bytes of a page of a vault's records, which has their sealed manifests.
    pub(crate) fn most_of_records(&self) -> u64 {
        let page = u64::try_from(self.page_bytes).unwrap_or(u64::MAX);
        let row = u64::try_from(self.sealed_manifest_bytes).unwrap_or(u64::MAX);
        placed_bytes(self.page_rows, page).saturating_add(row)
    }

    pub(in crate::vault) fn short_page(&self) -> usize {
        self.page_bytes.min(SHORT_PAGE)
    }

    fn most_of(&self, page_bytes: usize, row: u64) -> u64 {
        let page = u64::try_from(page_bytes).unwrap_or(u64::MAX);
        release_bytes(self.page_rows, page).saturating_add(row)
    }
}

/// By which rule patients enrol (ACC-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolmentPolicy {
    /// By an invitation of the operator's or an institution's.
    Invitation,
    /// By work, of so many zero bits.
    Work(u32),
    /// Anybody: for development.
    Anybody,
}

/// Bounds the list, which is one answer.
pub(in crate::vault) const MAX_COLLECTIONS: usize = 64;

/// Bounds a row: one epoch a month for eighty years.
pub(in crate::vault) const MAX_EPOCHS: usize = 1000;

/// The last of them, which are kept for removals of devices (COL-11): as many as there can be devices.
pub(in crate::vault) const RESERVED_EPOCHS: usize = 16;

/// Of all collections together, those that are not closed: with those that twice 16 rotations bring, their wraps fit a message.
pub(in crate::vault) const MAX_OPEN_EPOCHS: usize = 4096;

/// What principals may have the server keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Bytes of rows of a patient who has nothing yet.
    pub patient: u64,
    /// Of an institution that has done nothing yet.
    pub institution: u64,
    /// Bytes of answers kept for repetitions that a patient makes in a day.
    pub patient_answers: u64,
    /// The same of an institution.
    pub institution_answers: u64,
    /// Bytes of index segments of a vault without records.
    pub index: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            patient: 32 << 20,
            institution: 1 << 30,
            patient_answers: 32 << 20,
            institution_answers: 1 << 30,
            index: 1 << 20,
        }
    }
}

/// How much of one sender, and of strangers, a receiver takes (ACC-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxLimits {
    /// Open at once, of one whom she has never dealt with.
    pub open_of_stranger: usize,
    /// Open at once, of all of those together.
    pub open_of_strangers: usize,
    /// Open at once, of one whom she has dealt with.
    pub open_of_known: usize,
    /// In a day, of one whom she has never dealt with.
    pub daily_of_stranger: u32,
    /// In a day, of all of those together.
    pub daily_of_strangers: u32,
    /// In a day, of one whom she has dealt with.
    pub daily_of_known: u32,
    /// Upload requests of one patient to one institution, in a day.
    pub daily_to_institution: u32,
}

impl Default for InboxLimits {
    fn default() -> Self {
        Self {
            open_of_stranger: 4,
            open_of_strangers: 32,
            open_of_known: 64,
            daily_of_stranger: 8,
            daily_of_strangers: 64,
            daily_of_known: 256,
            daily_to_institution: 1000,
        }
    }
}
