//! What the server shows, against what it has shown or signed before, and against what was done. Whoever gets one of these relies on
//! nothing that only this server says.

use std::path::PathBuf;

use protocol_spec::ids::RecordId;
use thiserror::Error;

/// How the server contradicts itself, or what this device knows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// The server shows a record of hers where it lay before.
    #[error(
        "{record} was seen with placement {seen}, and the server shows {}: it shows an older state of the vault, of which \
         nothing was kept; report it to the operator", shown.map_or_else(|| "none".to_owned(), |number| format!("placement {number}"))
    )]
    OlderPlacement {
        /// The record that was asked for.
        record: RecordId,
        /// The number of the newest placement that was seen.
        seen: u64,
        /// That of the one that the server shows; none when it shows the record as not placed.
        shown: Option<u64>,
    },
    /// The server shows a vault in which less has been done than this device has seen (VLT-3).
    #[error(
        "this device has seen {seen} of the vault, and the server shows {shown}: an older state of it; permit and move nothing, try it \
         from another device of yours with `medvault history --verify`, and hand what this one has seen ({}) to the operator, a witness \
         or the authority", kept.display()
    )]
    OlderVault {
        /// Newest head, number of acts.
        seen: String,
        /// The same, as the server shows them.
        shown: String,
        /// Where what was seen lies.
        kept: PathBuf,
    },
    /// The server shows a vault in which something else has been done than this device has seen (VLT-3, VLT-8).
    #[error(
        "the vault was seen with {seen}, and the server shows {shown}: it shows two histories of one vault; permit and move nothing, \
         compare with another device of the vault, and report it to the operator, a witness or the authority"
    )]
    OtherVault {
        /// What this device has seen of the vault.
        seen: String,
        /// What the server shows of the vault.
        shown: String,
    },
    /// What the server shows of the vault is not what was done to it (VLT-5, VLT-9).
    #[error(
        "{what}: the server keeps something from you, or puts something in; permit and move nothing, try it from another device \
         of yours, and report it to the operator, a witness or the authority"
    )]
    HiddenFromVault {
        /// What was found when both were compared.
        what: String,
    },
    /// The server shows a log that does not continue the one that it has shown before.
    #[error(
        "the server's log was {newer} leaves long with root {newer_root}, which does not continue its own {older} leaves with root \
         {older_root}: it shows two histories, or an old copy of itself; stop trusting it, and hand both signed checkpoints ({} and \
         the one beside it) to the operator, a witness or the authority", kept.display()
    )]
    LogConflict {
        /// Leaves of the smaller log.
        older: u64,
        /// The root of the smaller log.
        older_root: String,
        /// Leaves of the larger log.
        newer: u64,
        /// The root of the larger log.
        newer_root: String,
        /// The larger log's checkpoint; the smaller one's lies beside it.
        kept: PathBuf,
    },
    /// The server shows the directory as it was before.
    #[error(
        "the directory was seen with {seen} leaves of the log, and the server shows it with {shown}: it shows an older state, of which \
         nothing was kept; try again, and if it stays so report it to the operator and rely on nothing that only this server says"
    )]
    OlderDirectory {
        /// Leaves of the log under which the directory was verified last.
        seen: u64,
        /// Leaves of the checkpoint that came now.
        shown: u64,
    },
    /// The events of the directory that the server shows, or the log itself, are not those that its checkpoint says there are.
    #[error(
        "the server shows {events} events of the directory with the chain {hash}, and its log of {size} leaves says {said_events} \
         with the chain {said_hash}: it hides or exchanges institutions, what became of them, or programs; permit nothing, and hand the signed \
         checkpoint ({}) to the operator, a witness or the authority", kept.display()
    )]
    DirectoryConflict {
        /// Events that came, or that the log has.
        events: u64,
        /// The chain over these events.
        hash: String,
        /// Events by the checkpoint's line.
        said_events: u64,
        /// The chain by that line.
        said_hash: String,
        /// How many leaves the log has.
        size: u64,
        /// The file in which the checkpoint was kept.
        kept: PathBuf,
    },
    /// The server shows the log of before a restoration that this home has accepted.
    #[error(
        "the server shows log {shown}, and this home goes by log {seen}, which a restoration has begun since: it works on an old copy of its \
         data; report it to the operator"
    )]
    OlderLog {
        /// Of the log that is known.
        seen: u64,
        /// Of the log that is shown.
        shown: u64,
    },
}

impl Contradiction {
    /// A short, stable name for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::OlderPlacement { .. } => "older-placement",
            Self::OlderVault { .. } => "older-vault",
            Self::OtherVault { .. } => "other-vault",
            Self::HiddenFromVault { .. } => "hidden-from-vault",
            Self::LogConflict { .. } => "log-conflict",
            Self::OlderDirectory { .. } => "older-directory",
            Self::DirectoryConflict { .. } => "directory-conflict",
            Self::OlderLog { .. } => "older-log",
        }
    }
}
