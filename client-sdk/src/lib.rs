//! Medvault where keys live: the library for patients' apps and for institutions' systems.
//!
//! [`Patient`] holds a vault's keys: she asks for uploads, permits, denies, revokes, reads. [`Institution`]
//! presents permission keys: it sends records and receives what it was permitted. [`Registrar`] accredits
//! institutions, offline. Each lives in a home directory whose secrets are sealed under a passphrase or a
//! key file ([`Unlock`]); who loses all of them needs a recovery kit or trustees.
//!
//! What comes from the server is believed only as far as it is proven: keys by the registrar's signature,
//! records by the institution's, receipts by the log. Plaintext appears under its final name only when
//! all of it has been verified.
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! use client_sdk::{Institution, Patient, PermitTerms, Purpose, Selection, Unlock, UploadTerms};
//!
//! # async fn quick_start() -> client_sdk::Result<()> {
//! let link = "https://vault.example:8443/#…".parse()?;
//! let alice = Patient::enrol(Path::new("alice"), &Unlock::passphrase("seven otters carry a violin"), &link).await?;
//! let clinic = alice.institution("City Clinic").await?;
//! let (_, permission) = alice.request_upload(&clinic, "the knee MRI, please", &UploadTerms::default()).await?;
//!
//! let clinic = Institution::open(Path::new("clinic"), &Unlock::passphrase("no clinic is a bicycle shed")).await?;
//! let sent = clinic.send_upload(permission, &["mri/".into()], &()).await?;
//! let asked = clinic.request_download(alice.id(), "the MRI again, for the operation", Some(Purpose::TREAT)).await?;
//!
//! let terms = PermitTerms { expires: Duration::from_secs(3600), ..PermitTerms::default() };
//! let permission = alice.permit(asked, &Selection::Records(vec![sent.record_id]), &terms).await?;
//! let fetched = clinic.fetch(permission, None, Path::new("inbox"), &()).await?;
//! println!("{} files", fetched.records[0].parts.len());
//! # Ok(())
//! # }
//! ```
//!
//! | module | does |
//! |---|---|
//! | [`ground`] | what it all stands on: files, network, clock, chance |
//! | `home` | keys and pins at rest: sealed, locked, replaced atomically |
//! | [`keystore`] | an institution's secret keys, in the home or elsewhere |
//! | `connect`, [`trace`] | one server: link, TLS, request signatures, retries; what travels, to be shown |
//! | [`patient`], [`institution`], [`registrar`] | the entry points |
//! | `trust`, `pages`, [`inbox`] | what is verified before it is believed |
//! | `clock`, [`notice`] | what time it is, for decisions; what a person is told beside an answer |
//! | `programs` | client programs that the registrar vouches for |
//! | `accepting` | who goes on with a server that was restored |
//! | [`rules`] | what the patient's device answers while she is not looking |
//! | [`text`] | how answers stand in JSON |
//! | [`transfer`] | sources and sinks, sealing and opening in constant memory, resuming |
//!
//! Whatever is checked against the log, the directory or a vault head lies in a `tracing` span `verify` of level debug.

mod accepting;
mod blocking;
mod clock;
mod connect;
mod error;
pub mod ground;
mod home;
pub mod inbox;
pub mod institution;
pub mod keystore;
mod moving;
pub mod notice;
mod pages;
mod paper;
pub mod patient;
mod programs;
pub mod registrar;
pub mod rules;
mod senders;
mod session;
mod shares;
pub mod text;
pub mod transfer;
mod trust;
mod withdrawing;

pub use crypto::RecoveryWords;
pub use protocol_spec::{
    attributes::MediaType,
    bodies::{Program, ReleaseReceipt, RevocationCertificate, UploadReceipt},
    case::{CaseError, CaseEvent, CaseWhat, VerifiedCase},
    certificate::ExposedVersion,
    conditions::{Conditions, Misfit},
    day::Day,
    delegation::Power,
    devices::DeviceKind,
    directory::Institution as DirectoryEntry,
    field::Name,
    hash::{ContentRoot, Sha256Digest},
    history::ProvenCounts,
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, PatientId, PermissionId, RecordId, ReleaseId,
        RequestId, TerminalId, UploadId, VersionId,
    },
    invitation::{InvitationText, Invited},
    link::ServerLink,
    log::{Entry as LogEntry, Receipt, VerifiedCheckpoint},
    manifest::{Clinical, Part, PartName},
    mirror::LookAlikes,
    permission::Kind as PermissionKind,
    problem::Problem,
    programs::Vouched,
    purpose::Purpose,
};
/// Names of files and of parties: which are safe, and which look alike.
pub use protocol_spec::{file_names, names};

pub use self::{
    accepting::{AcceptedRestoration, accept_restoration},
    connect::{CertificateFault, trace},
    error::{Addressee, Contradiction, Error, Result},
    ground::{Ground, native::proxy},
    home::{CheckedHome, Unlock, change_unlock, check_home},
    inbox::{InboxEvent, InboxWhat, NewestEvents},
    institution::{
        EmergencyKey, FetchTerms, Fetched, FetchedRecord, Institution, NewTerminal, Rotated, SendTerms, Sent,
        StoredUpload, TakenBack, TerminalInfo,
    },
    moving::{HomeServer, Moved, home_server, move_server},
    patient::{
        CollectionInfo, DeletedRecord, DeviceInfo, EmergencyCard, EmergencyLimits, Entrusted, EntrustedShare,
        GuardianInfo, HelpInfo, HistoryItem, InCollection, Kit, LostActs, MadeCard, NewDevice, NewTrustees,
        Patient, PendingDevice, PermissionInfo, PermissionState, PermitTerms, Received, RecordInfo, Records,
        Recovered, RecoveringMachine, RecoveryMember, Rehearsed, Returned, RevocationReport, Selection,
        Trustee, UploadTerms, verify_case, verify_certificate,
    },
    programs::{ProgramAbout, PublishedProgram, publish_program},
    registrar::{Accredited, Accrediting, Registrar},
    shares::ReturnedFile,
    transfer::Progress,
    trust::{Audited, FetchedPart, Provenance, RestorationInfo, Trust, WitnessPolicy},
    withdrawing::{WithdrawnAccreditation, withdraw_accreditation},
};
