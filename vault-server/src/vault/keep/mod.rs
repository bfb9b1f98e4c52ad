//! What lies in a vault: records, collections, wraps, and what goes for good.

pub(crate) mod closure;
pub(crate) mod collections;
pub(crate) mod deletion;
pub(crate) mod gone;
pub(crate) mod index;
pub(crate) mod placed;
pub(crate) mod placement;
pub(crate) mod records;
pub(crate) mod released;
pub(crate) mod reseal;
pub(crate) mod rewrap;
