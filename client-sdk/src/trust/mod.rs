//! What is believed of what the server says: the log, the directory, and what is proven by them.
//!
//! | module | does |
//! |---|---|
//! | `met` | what ids stood for when they were first met |
//! | `witnesses` | cosignatures of the log |
//! | `log`, `scan` | the log that only grows; reading all of it |
//! | `mirror`, `lookup` | the mirror of the directory, and what is looked up in it |
//! | `provenance`, `asked`, `patients` | records, requests and other patients, proven |
//! | `restoring` | a server that goes on with an older copy of its data |

pub(crate) mod asked;
pub(crate) mod log;
pub(crate) mod lookup;
mod met;
pub(crate) mod mirror;
mod patients;
pub(crate) mod provenance;
pub(crate) mod restoring;
mod scan;
pub(crate) mod witnesses;
