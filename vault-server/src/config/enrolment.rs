//! Who may enrol as a patient, as settings.

use clap::{Args, ValueEnum};
use protocol_spec::work::Work;

use crate::vault::EnrolmentPolicy;

/// Who may enrol, and how many of one address.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Enrolment of patients")]
pub struct EnrolmentSettings {
    /// Who may enrol as a patient [default: invitation; with --dev: anybody, without work or limit]
    #[arg(long, value_enum, value_name = "POLICY")]
    pub enrolment: Option<EnrolmentChoice>,
    /// With --enrolment open: zero bits of the work that an enrolment takes; each doubles it, 22 take a second or two
    #[arg(long, value_name = "BITS", default_value = "22", value_parser = clap::value_parser!(u32).range(0..=i64::from(Work::MAX_BITS)))]
    pub enrolment_work: u32,
    /// With --enrolment open: patients of one address (of IPv6 a /56) who may enrol in an hour
    #[arg(long, value_name = "N", default_value = "8")]
    pub enrolments_per_address: usize,
    /// Patients who may enrol in a day by the invitations of one institution
    #[arg(long, value_name = "N", default_value = "1000")]
    pub invited_per_institution: u32,
}

/// What an operator can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EnrolmentChoice {
    /// Whoever has an invitation of the operator's (`vault-server invite`) or of an institution's.
    Invitation,
    /// Whoever has done the work, so many of one address in an hour.
    Open,
}

impl EnrolmentSettings {
    /// The rule by which patients enrol here.
    pub(crate) fn policy(&self, dev: bool) -> EnrolmentPolicy {
        match (self.enrolment, dev) {
            (Some(EnrolmentChoice::Invitation), _) | (None, false) => EnrolmentPolicy::Invitation,
            (Some(EnrolmentChoice::Open), _) => EnrolmentPolicy::Work(self.enrolment_work),
            (None, true) => EnrolmentPolicy::Anybody,
        }
    }

    /// How many of one address may enrol in an hour; none where others decide who may.
    pub(crate) fn of_address(&self, dev: bool) -> usize {
        match self.policy(dev) {
            EnrolmentPolicy::Work(_) => self.enrolments_per_address,
            EnrolmentPolicy::Invitation | EnrolmentPolicy::Anybody => usize::MAX,
        }
    }
}
