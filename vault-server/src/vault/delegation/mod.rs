//! What patients let others do in their vaults, and those who do it.

pub(crate) mod acting;
pub(crate) mod delegated;
pub(crate) mod delegation_rows;
pub(crate) mod delegations;
pub(crate) mod held;
