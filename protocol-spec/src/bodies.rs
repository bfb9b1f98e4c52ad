//! What statements say, in the files of those who sign it. One declaration of a body gives its type, its label, how it is read and
//! written, and whose device must have signed it (`declare.rs`); what its fields mean stands in
//! `proto/medvault/v1/statements.proto`, rules in `spec/statements.md` §4.
//!
//! In every body times are milliseconds since 1970 and lengths are bytes. `operator_id` names the server that it is for, `patient_id`
//! the owner of the vault, `institution_id` the institution that it is by, for or about; `…_hash` is the SHA-256 of the encoded body of
//! what stands before it. A field has a line of its own where there is more to say.
//!
//! | file | holds |
//! |---|---|
//! | `patient`, `institution`, `operator`, `registrar` | what they say |
//! | `permission`, `device_list` | two bodies of patients that have rules between their fields |

mod device_list;
mod institution;
mod operator;
mod patient;
mod permission;
mod registrar;

pub use self::{device_list::*, institution::*, operator::*, patient::*, permission::*, registrar::*};
use crate::labels::Label;

/// The label of each body.
#[allow(unused_qualifications, reason = "each file has LABELS of its own")]
pub fn labels() -> impl Iterator<Item = Label> {
    let files = [
        device_list::LABELS,
        institution::LABELS,
        operator::LABELS,
        patient::LABELS,
        permission::LABELS,
        registrar::LABELS,
    ];
    files.into_iter().flatten().copied()
}
