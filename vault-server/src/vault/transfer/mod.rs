//! Bytes on their way: sessions of upload and of release, their leaves, and how they end.

pub(crate) mod charge;
pub(crate) mod commit;
pub(crate) mod in_flight;
pub(crate) mod intake;
pub(crate) mod opened;
pub(crate) mod outflow;
pub(crate) mod release;
pub(crate) mod release_end;
pub(crate) mod session_rows;
pub(crate) mod sessions;
pub(crate) mod sweep;
pub(crate) mod take_back;
pub(crate) mod upload;
