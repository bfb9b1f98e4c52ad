//! What can go wrong, grouped by what the caller does next. Every text ends with that next step.

mod code;
mod contradiction;
mod date;
mod judged;
mod next;
mod reach;
#[cfg(test)]
mod tests;

use std::{io, path::Path, path::PathBuf};

use protocol_spec::{ids::RecordId, problem::Problem};
use thiserror::Error;

pub(crate) use self::date::time;
pub use self::{contradiction::Contradiction, next::Addressee};
use self::{
    next::next_step,
    reach::{reach, unreached},
};
use crate::{connect::CertificateFault, keystore::KeyStoreError};

/// Why an operation failed. Nothing half-done is left behind unless a variant says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The home directory holds no principal.
    #[error("{} holds no keys: enrol first, or name another home", home.display())]
    HomeMissing {
        /// The directory in which a home was looked for.
        home: PathBuf,
    },
    /// The home directory already holds a principal.
    #[error("{} already holds the keys of {id}: choose an empty home", home.display())]
    HomeExists {
        /// The directory in which a home was looked for.
        home: PathBuf,
        /// The id of the principal that lives there.
        id: String,
    },
    /// Another process is using the home.
    #[error("{} is in use by another process: wait until it has finished", home.display())]
    HomeLocked {
        /// The directory or the part of it that is locked.
        home: PathBuf,
    },
    /// The home belongs to a principal of another kind.
    #[error("this is the home of {have}, the operation needs that of {want}: name another home")]
    HomeKind {
        /// Which kind of principal lives there.
        have: &'static str,
        /// Which kind of principal the operation needs.
        want: &'static str,
    },
    /// A file of the home is not what was written there.
    #[error("{} is damaged: restore the home from a backup", file.display())]
    HomeDamaged {
        /// The file that is not as it was written.
        file: PathBuf,
    },
    /// A file of the home is missing, changed or older than it was: somebody else has been at it.
    #[error(
        "{} {how}: the home was changed by somebody else, or its disk has lost something; go on with nothing that it \
         says: restore the whole folder from a backup, or make a new home (a patient links this device anew, or uses \
         her recovery kit)",
        file.display()
    )]
    HomeAltered {
        /// The file that is not as it was written.
        file: PathBuf,
        /// How the file differs from what the home has sealed.
        how: &'static str,
    },
    /// A new passphrase would be found soon.
    #[error(
        "this passphrase is soon guessed: choose four words or more that are no saying, or a key file (--key-file)"
    )]
    WeakPassphrase,
    /// Others can read or change the home or the file that opens it.
    #[error("{0}")]
    Exposed(#[from] guard::Exposed),
    /// A file of standing rules breaks a rule of its format.
    #[error("rules file, line {line}: {cause}")]
    RulesFile {
        /// The line of the file, counted from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        cause: String,
    },
    /// The standing rules in the home are not those that its device signed last.
    #[error("{} is not what this device signed last ({cause}): look through your rules and activate them again", file.display())]
    RulesChanged {
        /// The file that is not as it was written.
        file: PathBuf,
        /// How it differs from what was signed.
        cause: &'static str,
    },
    /// The home has keys, but no server knows them yet.
    #[error("{} is not enrolled with a server yet: enrol it first", home.display())]
    NotEnrolled {
        /// The home whose keys no server knows.
        home: PathBuf,
    },
    /// The passphrase or key file does not open the home.
    #[error("the {with} does not open this home: give the {needs} it was made with")]
    WrongUnlock {
        /// `passphrase` or `key file`: what was given.
        with: &'static str,
        /// `passphrase` or `key file`: what the home was made with.
        needs: &'static str,
    },
    /// The server cannot be reached or does not answer.
    #[error("{authority} does not answer{}: {}", unreached(.proxy.as_deref(), .cause), reach(.proxy.is_some()))]
    Unreachable {
        /// `host:port`, as the link has it.
        authority: String,
        /// What the transport says went wrong.
        cause: String,
        /// The proxy that did not lead there, and who has named it.
        proxy: Option<String>,
    },
    /// The server's certificate is not taken.
    #[error("{authority}: {fault}")]
    Certificate {
        /// `host:port`, as the link has it.
        authority: String,
        /// Why the certificate is not taken.
        fault: CertificateFault,
    },
    /// A link that a home is to follow from now on leads to another server than the home's.
    #[error(
        "{authority} is another server than the one of this home ({rule}): a server that moves keeps its keys. Nothing was changed; if you \
         want to belong to both, enrol there in another home"
    )]
    OtherServer {
        /// `host:port` of the new link.
        authority: String,
        /// Which part of the server's identity differs.
        rule: &'static str,
    },
    /// By the server's clock what is to be given would be over at once.
    #[error(
        "this machine's clock says {}, and the server's {}: by the server's it would be over before it begins, so nothing was given. Set \
         this machine's clock right and do it again; if yours is right, tell the operator",
        time(*own), time(*server)
    )]
    ClockBehind {
        /// This machine's, in milliseconds since 1970.
        own: u64,
        /// The server's, in milliseconds since 1970.
        server: u64,
    },
    /// The server is not the one that the link names.
    #[error(
        "{authority} is not the server of this link ({rule}): get the link again from a source you trust"
    )]
    WrongServer {
        /// `host:port`, as the link has it.
        authority: String,
        /// Which part of the server's identity differs.
        rule: &'static str,
    },
    /// The server refused, by a rule of the protocol.
    #[error("refused: {}: {}{}", .problem.title(), next_step(*.problem, *.reader), detail.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// The rule by which it was refused.
        problem: Problem,
        /// What the server adds in words.
        detail: Option<String>,
        /// To whom it is said.
        reader: Addressee,
    },
    /// Something signed or sealed is not what it must be. Nothing of it was kept.
    #[error(
        "{what} cannot be trusted ({cause}): nothing of it was kept; report it to the operator and the sender"
    )]
    Tampered {
        /// What was checked when it failed.
        what: &'static str,
        /// The rule that does not hold.
        cause: String,
    },
    /// More records than one permission names.
    #[error(
        "{found} records are too many for one permission, which names at most {most}: permit the collection that they lie in \
         (--collection NAME; with --until-now only what lies there now), or fewer of them (--from, --to, --type)"
    )]
    TooManyRecords {
        /// How many records were chosen.
        found: usize,
        /// How many a permission names.
        most: usize,
    },
    /// The newest vault root key is none that this device can open (DEV-30).
    #[error(
        "the root key of epoch {epoch}, put by the device {by:?} at {}, does not open here, or not lead to the one before: if that device \
         may be in wrong hands, `medvault device remove {device} --lost` goes on without it from what the server keeps for a week of the \
         epoch before; so does `medvault recover` with the words of your kit. If that device is in your hand, look from there first",
        time(*at)
    )]
    RootKeyUnusable {
        /// The first epoch whose root key does not open.
        epoch: u64,
        /// What she calls the device that has put it.
        by: String,
        /// The id of that device, in its text form.
        device: String,
        /// When, in milliseconds since 1970, by the clock of that device.
        at: u64,
    },
    /// A record that was deleted, or taken back by who had stored it (DEL-4).
    #[error(
        "{record} is gone for good: it was deleted, or taken back by who had stored it; by whom and when: `medvault history`"
    )]
    RecordGone {
        /// The record that was asked for.
        record: RecordId,
    },
    /// What the server shows contradicts what it has shown or signed before, or what was done.
    #[error(transparent)]
    Contradicted(#[from] Contradiction),
    /// The server's log goes on under another origin, which this home has not accepted.
    #[error(
        "the operator says that an older copy of the server's data was put back, because the newest was lost (log {generation}): nothing was \
         done. See what was lost, and go on: medvault server accept-restoration"
    )]
    Restored {
        /// Of the log that is shown.
        generation: u64,
    },
    /// The quorum of witnesses has not cosigned what the server shows.
    #[error(
        "the log is not witnessed as your policy demands ({cause}): wait a moment and try again; if it stays so, ask the operator and \
         the witnesses, and rely on nothing that only this server says"
    )]
    NotWitnessed {
        /// Which cosignatures the policy asks for and lacks.
        cause: String,
    },
    /// A revocation was taken, and what follows it was not done.
    #[error(
        "{permissions} revoked: the server has signed that it gives out nothing under it any more; but what follows was not done: {cause}"
    )]
    RevokedOnly {
        /// Which permissions, with their verb.
        permissions: String,
        /// Why what follows was not done.
        cause: Box<Self>,
    },
    /// No accredited institution has this name or id.
    #[error("no accredited institution is called {name:?}: list the directory for the right name")]
    UnknownInstitution {
        /// The name or id that was looked for.
        name: String,
    },
    /// The registrar vouches for no such file.
    #[error(
        "{} (SHA-256 {hash}) is no program that the registrar vouches for in the server's log: do not run it; get it again from where \
         it was published, or build it from its source", path.display()
    )]
    UnknownProgram {
        /// The file that was asked about.
        path: PathBuf,
        /// SHA-256 of the file, in hexadecimal digits.
        hash: String,
    },
    /// Several institutions have this name, or one that looks like it (INS-17).
    #[error("several institutions are called {name:?}, or have a name that looks like it: name one by its id ({})", ids.join(", "))]
    AmbiguousInstitution {
        /// The name or id that was looked for.
        name: String,
        /// The ids of the institutions that have it.
        ids: Vec<String>,
    },
    /// The registrar has accredited others whose names look like this one (INS-17).
    #[error(
        "{name:?} looks like {}, which you have accredited: ask for another name, or say that both may be shown side by side \
         (--although-alike)", others.join(", ")
    )]
    LookAlike {
        /// The name that was asked for.
        name: String,
        /// Names and ids of the others.
        others: Vec<String>,
    },
    /// There is no such thing of one's own.
    #[error("there is no {what} {id} here: list what there is")]
    Unknown {
        /// Which kind of thing was asked for.
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// A text is not the words of a recovery kit.
    #[error("these are not the words of a kit ({0}): compare them with your sheet")]
    RecoveryWords(crypto::WordsError),
    /// The server knows no vault to which a recovery secret leads.
    #[error(
        "the server knows no vault that this opens: the kit, or the shares, were replaced by newer ones or removed, or are \
         of another server"
    )]
    UnknownRecovery,
    /// A share is not what was given to its holder.
    #[error("{file} {cause}: leave it out, or ask its holder for it again")]
    WrongShare {
        /// As the caller names it.
        file: String,
        /// The reason why the share is refused.
        cause: String,
    },
    /// The call asks for something that the protocol or the permission does not allow.
    #[error("{0}")]
    Usage(String),
    /// A file changed or vanished while it was read; nothing was committed.
    #[error("{} changed or vanished while it was read: leave it alone and send it again; no use is spent", path.display())]
    SourceChanged {
        /// The file that was asked about.
        path: PathBuf,
    },
    /// The target of a download is taken.
    #[error("{} already exists: choose another folder, nothing was overwritten", path.display())]
    Exists {
        /// The path in the way.
        path: PathBuf,
    },
    /// The system could not read or write a file.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// The operation, as the beginning of a sentence.
        doing: &'static str,
        /// The file or folder that it failed on.
        path: PathBuf,
        /// What the system says went wrong.
        source: io::Error,
    },
    /// The transfer broke off more often than it was retried. What arrived is kept where resuming is possible.
    #[error("the transfer broke off ({cause}): run the same command again, it goes on where it stopped")]
    Interrupted {
        /// What broke inside the program.
        cause: String,
    },
    /// The store of this institution's keys did not do what it was asked.
    #[error("{0}")]
    KeyStore(#[from] KeyStoreError),
    /// Sealing, wrapping or random bytes failed on this machine.
    #[error("{0}")]
    Crypto(crypto::Error),
    /// A message or a text breaks a rule of the protocol.
    #[error("{0}")]
    Protocol(#[from] protocol_spec::Error),
}

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Names the file and the operation of an I/O error.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// A check of something foreign failed.
    pub(crate) fn tampered<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |cause| Self::Tampered {
            what,
            cause: cause.to_string(),
        }
    }
}

/// Own sealing fails for reasons of this machine; what fails to open is [`Error::Tampered`].
impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::Protocol(error) => Self::Protocol(error),
            crypto::Error::Words(error) => Self::RecoveryWords(error),
            error => Self::Crypto(error),
        }
    }
}

impl KeyStoreError {
    /// What does not open is the fault of what was sealed, everything else that of the store.
    pub(crate) fn opening(what: &'static str) -> impl FnOnce(Self) -> Error {
        move |error| match error {
            Self::DoesNotOpen | Self::Crypto(_) => Error::tampered(what)(error),
            error => error.into(),
        }
    }
}
