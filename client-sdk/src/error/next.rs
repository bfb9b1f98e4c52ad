//! What to do about a refusal. The same problem is another thing to a patient than to an institution: what her clock did
//! to a permission is hers to mend, and "ask the patient" is nothing to say to her (OPR-9).

use protocol_spec::problem::Problem;

/// Who reads a refusal: whose key has signed what was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addressee {
    /// A device of a patient, for herself or as somebody's delegate or guardian.
    Patient,
    /// An institution or a terminal of one.
    Institution,
    /// The request was not signed: it was anybody's.
    Anybody,
}

impl Addressee {
    /// By the text form of the id whose key signs.
    pub(crate) fn of(key_id: Option<&str>) -> Self {
        match key_id.and_then(|id| id.split_once('_')) {
            Some(("dev" | "pat", _)) => Self::Patient,
            Some(("inst" | "term", _)) => Self::Institution,
            _ => Self::Anybody,
        }
    }
}

/// The next step for whoever reads.
pub(super) fn next_step(problem: Problem, reader: Addressee) -> &'static str {
    match reader {
        Addressee::Patient => of_a_patient(problem),
        Addressee::Institution => of_an_institution(problem),
        Addressee::Anybody => None,
    }
    .or_else(|| in_time(problem))
    .unwrap_or_else(|| of_anybody(problem))
}

/// What differs for a patient from what others read.
fn of_a_patient(problem: Problem) -> Option<&'static str> {
    Some(match problem {
        Problem::PermissionExpired => {
            "by the server's clock it would be over at once: set the clock of this machine right, then permit again"
        }
        Problem::PermissionNotYetValid => {
            "it begins later by the server's clock: set the clock of this machine right, or wait"
        }
        Problem::PermissionSpent | Problem::BytesSpent => "permit again, with more uses or bytes",
        Problem::PermissionRevoked => "there is nothing left to do: see medvault permissions",
        Problem::RequestAnswered => "see what you have answered: medvault permissions, medvault history",
        Problem::RequestExpired => {
            "whoever asked has to ask again; if it should still be open, set the clock of this machine right"
        }
        Problem::RequestMismatch => "look at the request again: medvault inbox",
        Problem::RecordDeleted => "it is gone for good; by whom and when: medvault history",
        Problem::KeyEnded => {
            "the institution has a new key: try again, so that it gets a permission to that one"
        }
        Problem::DelegationEnded | Problem::DelegationExpired => {
            "ask whose vault it is for another one, if there is a reason to"
        }
        Problem::DelegationPower => "leave it to whose vault it is, or ask for `delegate add --power permit`",
        Problem::EmergencyObjected => "talk to whose vault it is: guardians can be named anew",
        Problem::TerminalRemoved | Problem::TerminalExpired => "ask the institution: its terminal has ended",
        Problem::Unauthenticated => {
            "enrol with this server first; a device that was removed is linked anew, in a new home"
        }
        _ => return None,
    })
}

/// What differs for an institution.
fn of_an_institution(problem: Problem) -> Option<&'static str> {
    Some(match problem {
        Problem::PermissionExpired | Problem::PermissionSpent | Problem::BytesSpent => {
            "ask the patient for a new permission"
        }
        Problem::PermissionNotYetValid => {
            "try again when it begins; if it should hold by now, the clock of the patient's device is ahead: ask her to set \
             it right and to permit again"
        }
        Problem::PermissionRevoked => "ask the patient, if there is a reason to",
        Problem::RecordDeleted => {
            "nothing of it is left; what else a permission is for comes when the same command is \
             run again"
        }
        Problem::RecordOpened => "it is the patient's now: ask her to delete it",
        Problem::RequestAnswered | Problem::RequestExpired | Problem::RequestMismatch => "make a new request",
        Problem::KeyEnded => "ask the patient to open her vault once, or for a new permission",
        Problem::EmergencyObjected => "talk to the patient: she can name the guardian anew",
        Problem::Restored => {
            "try again later: the patient's device has to look at her vault first; tell her, if it is urgent"
        }
        Problem::TerminalRemoved | Problem::TerminalExpired => "have the institution certify a terminal",
        Problem::InstitutionRetired | Problem::AccreditationWithdrawn => {
            "this institution can no longer do this: ask the registrar, if that is a mistake"
        }
        Problem::Unauthenticated => {
            "enrol the institution, or have the terminal certified, with this server first"
        }
        _ => return None,
    })
}

/// What time mends, or the same once more.
fn in_time(problem: Problem) -> Option<&'static str> {
    Some(match problem {
        Problem::PermissionInUse => {
            "wait until the other transfer under it is through, or take its place: --take-over"
        }
        Problem::ReplacementConflict => "list the permissions and try again",
        Problem::ReceiverFull => {
            "wait until what you have sent was answered; a day later there may be room again"
        }
        Problem::StorageBudget => {
            "wait for what is open, or tell the operator; revoking, removing, ending and deleting still work"
        }
        Problem::EmergencyWaiting => "try again when the waiting time is over: the inbox says when",
        Problem::EpochMismatch | Problem::PlacementConflict | Problem::DeviceListConflict => "try again",
        Problem::StorageFull => "tell the operator; try again when there is space",
        Problem::LogContradicted => {
            "it works on an old copy of its data: tell the operator; try again when the newest copy is restored"
        }
        Problem::UploadClosed => "send again, it starts anew",
        Problem::ReleaseClosed => "fetch again",
        Problem::DelegationNotYetValid
        | Problem::TooMany
        | Problem::Unavailable
        | Problem::TooSlow
        | Problem::Internal => "try again later",
        _ => return None,
    })
}

/// What is true for whoever reads it, and somebody has to do something about.
fn of_anybody(problem: Problem) -> &'static str {
    match problem {
        Problem::RecordDamaged => {
            "tell the operator which record it was, and fetch again when it is restored; what cannot be read is not charged"
        }
        Problem::UnsupportedVersion => "update this program",
        Problem::NotPermitted => "check the id, and that you use the right home",
        Problem::PermissionReplaced => "use the permission that took its place: look into the inbox",
        Problem::DelegationScope => "list what the delegation covers: medvault delegate list",
        Problem::PurposeMismatch => {
            "state the purpose that it is for, if that is what the records are used for"
        }
        Problem::InvitationNeeded => {
            "ask your hospital or the server's operator for an invitation, and give it with --invitation"
        }
        Problem::InvitationOver => "ask for another invitation where this one came from",
        Problem::NotAccepted => {
            "accept it first: medvault delegate accept, or medvault emergency guardian accept"
        }
        Problem::NotAccredited => "have the registrar accredit these keys, with the registrar of this server",
        Problem::InstitutionRetired | Problem::AccreditationWithdrawn => "choose another institution",
        Problem::NotForEmergencies => "have the registrar accredit the institution for emergencies",
        Problem::EmergencyOver => "if it was not wanted, make a new card and name the guardians anew",
        Problem::EmergencyLimit => "call the operator, if this is an emergency",
        Problem::ChainConflict => "see in the directory what has become of the entry",
        Problem::RecoveryKept => {
            "announce it with `medvault device remove`, or have another device do the same"
        }
        Problem::RecordMismatch => "list the records and permit those",
        Problem::Restored => {
            "one of the devices of whose vault it is has to come back first: medvault server accept-restoration"
        }
        Problem::TooLarge => "send less at once",
        Problem::Unauthenticated => "enrol with this server first",
        Problem::SignatureExpired => "set the clock of this machine right",
        _ => "if it happens again, report it to the operator",
    }
}
