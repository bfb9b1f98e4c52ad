//! Parts of bodies: what statements hold, with the rules of its bytes, and nothing that needs a statement to be verified.

pub(crate) mod collection;
pub(crate) mod delegation;
pub(crate) mod emergency;
pub(crate) mod exposed;
pub(crate) mod head;
pub(crate) mod part;
pub(crate) mod permission;
