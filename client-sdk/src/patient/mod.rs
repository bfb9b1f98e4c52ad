//! The patient: holds the vault's keys and decides who may send and who may read.
//!
//! | module | does |
//! |---|---|
//! | `facade`, `opening` | what she can do, one method each; how a vault is opened on this machine |
//! | `vault` | the state on which the other modules work: acts that were seen, opened keys, places of records |
//! | `keys`, `device_keys`, `known`, `epochs` | what her home keeps: keys of this device, lists of all, root keys |
//! | `lists`, `listed` | the lists of devices as the server has them; as this device has verified them |
//! | `enrolling` | what the server asks of whoever enrols |
//! | `devices`, `link` | her devices: add, name; the way of a new one |
//! | `removing`, `given` | a device is removed: what it has given ends, or is signed again |
//! | `signers` | whose word it is that somebody has keys |
//! | `news` | what other devices have added, told once |
//! | `recovery` | kits and trustees, and the way back when all devices are lost |
//! | `emergency` | a card, guardians, objections |
//! | `unanswered` | what she has deleted, whom she blocks |
//! | `terms`, `refs` | what is asked and permitted; institutions as lists name them |
//! | `requests` | ask for an upload; permit or deny what institutions ask |
//! | `answers` | permissions and denials as they are signed, and sent |
//! | `records`, `listing`, `examine`, `adopting`, `index` | list, verify, adopt and open her own records; the index over them |
//! | `placing` | a new place for a record |
//! | `acts`, `reading_acts`, `catching_up` | what was done to the vault: what this device knows of it, and brings up to date |
//! | `heads`, `head_check` | the heads over it: signed by this device; verified |
//! | `shown`, `leaves`, `paged` | what the server shows of it, and what the log has of it, held against that; its pages |
//! | `ring`, `wraps`, `collections` | the keys of her collections; data keys under them; what lies in them |
//! | `delegation` | what she lets others do, and others let her |
//! | `following` | permissions under an institution's new key |
//! | `permissions`, `replacing`, `lines` | list, give anew; which has taken the place of which |
//! | `standing`, `used` | how permissions stand, whatever the server says; what was proven of their use |
//! | `revoking`, `resending` | taking back; the same at a server that shows an older vault |
//! | `returning` | the first thing that a device does after a restoration |
//! | `rekey`, `certificate` | new keys for a collection, what cannot be taken back |
//! | `reseal` | content under new data keys |
//! | `deleting`, `deletions`, `gone` | records that go for good: deleted here; deletions verified; nothing of them comes back |
//! | `history`, `case` | what happened, proven; what happened under one permission, for others |
//!
//! Functions take the vault first. A module uses what stands below it and nothing above: `cargo xtask shape` holds
//! that there is no circle.

mod acts;
mod adopting;
pub(crate) mod answers;
mod case;
mod catching_up;
mod certificate;
mod collections;
mod coverage;
mod delegation;
mod deleting;
mod deletions;
mod device_keys;
pub(crate) mod devices;
pub(crate) mod emergency;
mod enrolling;
mod epochs;
mod examine;
mod facade;
mod following;
mod given;
mod gone;
mod head_check;
mod heads;
mod history;
mod index;
mod keys;
mod known;
mod leaves;
mod lines;
mod link;
mod listed;
pub(crate) mod listing;
mod lists;
mod news;
mod opening;
mod paged;
mod permissions;
mod placing;
mod reading_acts;
mod records;
mod recovery;
mod refs;
mod rekey;
mod removing;
mod replacing;
pub(crate) mod requests;
mod reseal;
mod resending;
mod returning;
mod revoking;
mod ring;
pub(crate) mod shown;
mod signers;
mod standing;
mod terms;
mod times;
mod unanswered;
mod used;
mod vault;
mod wraps;

pub(crate) use self::emergency::OpenedBy;
pub(crate) use self::{
    answers::{PermissionLimits, SignedAnswer},
    listing::OwnRecord,
    vault::Vault,
};
pub use self::{
    case::verify_case,
    certificate::{RevocationReport, verify_certificate},
    collections::CollectionInfo,
    coverage::Coverage,
    delegation::{
        Delegate, DelegateRef, DelegationInfo, DelegationState, DelegationTerms, EndedDelegation,
        HeldDelegation,
    },
    emergency::{EmergencyCard, EmergencyLimits, GuardianInfo, HelpInfo, MadeCard},
    following::Rewrapped,
    given::{Given, GivenKind},
    gone::DeletedRecord,
    history::{
        DeviceChange, DeviceRef, EmergencyEntry, HistoryCheck, HistoryItem, HistoryLine, HistorySigner,
        HistoryWhat, PermissionRef, PresentedEntry, ReleasedEntry, StoredEntry, TerminalRef,
    },
    link::{NewDevice, PendingDevice},
    listed::DeviceInfo,
    news::{News, NewsKind},
    permissions::PermissionInfo,
    records::{Received, RecordInfo, Records},
    recovery::{
        Entrusted, EntrustedShare, Kit, NewTrustees, PassedOver, Recovered, RecoveringMachine,
        RecoveryMember, Rehearsed, Trustee,
    },
    refs::InstitutionRef,
    removing::Removal,
    reseal::{Kept, KeptWhy, Resealed},
    returning::{LostActs, Returned},
    standing::PermissionState,
    terms::{InCollection, OpenRequest, PermitTerms, Selection, UploadTerms},
    unanswered::{SenderId, SenderInfo, Unanswered},
    vault::Patient,
};
