//! Asking, permitting, denying, taking back; the delivery of a permission key and the proof of its possession.

pub(crate) mod asked;
pub(crate) mod challenge;
pub(crate) mod delivery;
pub(crate) mod denial;
pub(in crate::vault) mod meter;
pub(crate) mod permissions;
pub(crate) mod presentation;
pub(crate) mod received;
pub(crate) mod requests;
pub(crate) mod revocation;
pub(crate) mod unanswered;
