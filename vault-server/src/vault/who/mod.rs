//! Who asks: principals, their enrolment, the directory, and whether they may still act.

pub(crate) mod admission;
pub(crate) mod caller;
pub(crate) mod directory;
pub(crate) mod enrol;
pub(crate) mod enrolment;
pub(crate) mod entries;
pub(crate) mod known;
pub(crate) mod principal;
pub(crate) mod programs;
pub(crate) mod rotation;
pub(crate) mod standing;
pub(crate) mod strangers;
pub(crate) mod terminals;
pub(crate) mod withdrawal;
pub(crate) mod work;
