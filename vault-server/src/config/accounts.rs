//! How much anybody may have the server keep, and put before others, as settings.

use clap::Args;

use super::limits::size;
use crate::vault::{Budgets, InboxLimits, VaultLimits};

/// Budgets of storage, bounds of inboxes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of accounts and inboxes")]
pub struct AccountSettings {
    /// Bytes of rows of a patient who has nothing yet; more with records, relations and time
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    pub patient_budget: usize,
    /// The same of an institution; more with each presentation and with time
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub institution_budget: usize,
    /// Bytes of the index of a vault without records; more with each record
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub index_budget: usize,
    /// What one sender may have unanswered before somebody who never dealt with it
    #[arg(long, value_name = "N", default_value = "4")]
    pub open_of_stranger: usize,
    /// What all of those together may have unanswered
    #[arg(long, value_name = "N", default_value = "32")]
    pub open_of_strangers: usize,
    /// What a sender may have unanswered before somebody who has dealt with it
    #[arg(long, value_name = "N", default_value = "64")]
    pub open_of_known: usize,
    /// What one sender may put before somebody in a day who never dealt with it
    #[arg(long, value_name = "N", default_value = "8")]
    pub daily_of_stranger: u32,
    /// What all of those together may in a day
    #[arg(long, value_name = "N", default_value = "64")]
    pub daily_of_strangers: u32,
    /// What a sender may put before somebody in a day who has dealt with it
    #[arg(long, value_name = "N", default_value = "256")]
    pub daily_of_known: u32,
    /// Upload requests of one patient to one institution in a day
    #[arg(long, value_name = "N", default_value = "1000")]
    pub daily_to_institution: u32,
}

impl AccountSettings {
    /// As the vault takes them.
    pub(crate) fn apply(&self, limits: VaultLimits) -> VaultLimits {
        VaultLimits {
            inbox: InboxLimits {
                open_of_stranger: self.open_of_stranger,
                open_of_strangers: self.open_of_strangers,
                open_of_known: self.open_of_known,
                daily_of_stranger: self.daily_of_stranger,
                daily_of_strangers: self.daily_of_strangers,
                daily_of_known: self.daily_of_known,
                daily_to_institution: self.daily_to_institution,
            },
            budgets: Budgets {
                patient: bytes(self.patient_budget),
                institution: bytes(self.institution_budget),
                index: bytes(self.index_budget),
                ..limits.budgets
            },
            ..limits
        }
    }
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
