//! The devices of a patient, and what one of them cannot take from her at once.

pub(crate) mod devices;
pub(crate) mod kept;
pub(crate) mod leaving;
pub(crate) mod links;
pub(crate) mod listed;
pub(in crate::vault) mod room;
