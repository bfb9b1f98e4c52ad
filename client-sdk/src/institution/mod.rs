//! The institution: presents permission keys, sends what it makes, receives what it was permitted.
//!
//! | module | does |
//! |---|---|
//! | `facade` | all that it does, by name |
//! | `office`, `keys` | what its functions work on: keys, connection |
//! | `enrol` | keys, accreditation request, enrolment |
//! | `ends` | when its recipient keys end |
//! | `rotation` | another recipient key, the end |
//! | `terminals` | machines that act with certificates, as the institution has them |
//! | `joining`, `keeping_up` | how a machine becomes one; how it gets newer keys |
//! | `inviting` | lets patients enrol |
//! | `requests` | ask patients for downloads and references |
//! | `delivery` | fetch and open a permission key; present it |
//! | `upload`, `committing` | stand by; seal, send, commit |
//! | `committed` | what the institution has stored under a permission |
//! | `taking_back` | what went to the wrong patient |
//! | `release`, `download`, `finished` | receive, open, verify, close; what was fetched is found again |
//! | `emergency` | open with a card, or with a guardian's help |
//! | `holding` | keep to the permission |
//! | `returning` | shares that it gives back; a server that was restored |

mod committed;
mod committing;
mod delivery;
mod download;
mod emergency;
mod ends;
mod enrol;
mod facade;
mod finished;
mod holding;
mod inviting;
mod joining;
mod keeping_up;
mod keys;
mod office;
mod release;
mod requests;
mod returning;
mod rotation;
mod taking_back;
mod terminals;
mod upload;

pub(crate) use self::delivery::{answered, delivered};
use self::office::Office;
pub use self::{
    committed::StoredUpload,
    committing::Sent,
    download::FetchTerms,
    emergency::EmergencyKey,
    finished::{Fetched, FetchedRecord},
    rotation::Rotated,
    taking_back::TakenBack,
    terminals::{NewTerminal, TerminalInfo},
    upload::SendTerms,
};

/// An institution's terminal with its keys, connected to its server.
pub struct Institution {
    office: Office,
}
