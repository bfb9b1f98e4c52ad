//! What principals are told: history, inbox, acts and the heads over them.

pub(crate) mod acts;
pub(crate) mod heads;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod tell;
pub(crate) mod wakes;
