//! The patient: holds the vault's keys and decides who may send and who may read.
//!
//! | module | does |
//! |---|---|
//! | `keys`, `device_keys`, `known`, `epochs` | what her home keeps: keys of this device, lists of all, root keys |
//! | `lists` | the lists of devices as the server has them |
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
//! | `records` | list, adopt and open her own records |
//! | `placements` | that none of them is shown where it lay before |
//! | `acts`, `heads` | what was done to the vault, and the heads over it |
//! | `shown`, `leaves` | what the server shows of it, and what the log has of it, held against that |
//! | `ring`, `collections` | the keys of her collections; what lies in them |
//! | `delegation` | what she lets others do, and others let her |
//! | `following` | permissions under an institution's new key |
//! | `permissions`, `replacing` | list, revoke, give anew |
//! | `standing`, `used` | how permissions stand, whatever the server says; what was proven of their use |
//! | `revoking`, `resending` | taking back; the same at a server that shows an older vault |
//! | `returning` | the first thing that a device does after a restoration |
//! | `rekey`, `certificate` | new keys for a collection, what cannot be taken back |
//! | `reseal` | content under new data keys |
//! | `deleting` | records that go for good |
//! | `history`, `case` | what happened, proven; what happened under one permission, for others |

mod acts;
mod answers;
mod case;
mod certificate;
mod collections;
mod coverage;
mod delegation;
mod deleting;
mod device_keys;
mod devices;
mod emergency;
mod enrolling;
mod epochs;
mod examine;
mod following;
mod given;
mod heads;
mod history;
mod index;
mod keys;
mod known;
mod leaves;
mod link;
mod listing;
mod lists;
mod news;
mod permissions;
mod placements;
mod records;
mod recovery;
mod refs;
mod rekey;
mod removing;
mod replacing;
mod requests;
mod reseal;
mod resending;
mod returning;
mod revoking;
mod ring;
mod shown;
mod signers;
mod standing;
mod terms;
mod times;
mod unanswered;
mod used;

use std::{path::Path, sync::atomic::AtomicBool};

use protocol_spec::{
    emergency::ANY_INSTITUTION,
    ids::{InstitutionId, PatientId},
    invitation::InvitationText,
    keys::IdentityKey,
    link::ServerLink,
    messages as pb,
    patient::DeviceChain,
};

pub(crate) use self::emergency::OpenedBy;
use self::{
    acts::SeenActs, device_keys::DeviceKeys, keys::Keys, known::Known, placements::Placements, ring::Ring,
};
pub(crate) use self::{
    answers::{Limits, SignedAnswer},
    listing::OwnRecord,
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
    deleting::DeletedRecord,
    devices::DeviceInfo,
    emergency::{EmergencyCard, EmergencyLimits, GuardianInfo, HelpInfo, MadeCard},
    following::Rewrapped,
    given::{Given, GivenKind},
    history::{Counts, DeviceChange, DeviceRef, HistoryCheck, HistoryItem, HistoryKind, TerminalRef},
    link::{NewDevice, PendingDevice},
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
};
use crate::{
    Audited, DirectoryEntry, Error, Progress, Result, Unlock, Vouched,
    clock::Moment,
    connect::bootstrap,
    home::{ClosedHome, Home, Kind, Pins, Principal},
    session::{Session, blocking},
};

/// A patient with her device's keys, connected to her server.
pub struct Patient {
    session: Session,
    keys: Keys,
    /// What this session knows of her collections.
    ring: tokio::sync::Mutex<Ring>,
    /// What has been done to the vault, as this home has seen it.
    acts: tokio::sync::Mutex<SeenActs>,
    /// Where this home has seen her records lie.
    placements: tokio::sync::Mutex<Placements>,
    /// It does what a restoration asks of it.
    returning: AtomicBool,
}

impl Patient {
    /// The link of her server.
    pub fn link(&self) -> &ServerLink {
        self.session.server.link()
    }

    /// Makes a new vault in `home` and enrols it with the server of the link. An enrolment that broke off is
    /// taken up again.
    ///
    /// # Errors
    /// [`crate::Error::HomeExists`], [`crate::Error::WrongServer`], [`crate::Error::Unreachable`] and others; the home is then as
    /// before.
    pub async fn enrol(home: &Path, unlock: &Unlock, link: &ServerLink) -> Result<Self> {
        Self::enrol_by(home, unlock, link, None).await
    }

    /// As [`Self::enrol`], by an invitation, where the server asks for one (ACC-1).
    ///
    /// # Errors
    /// As [`Self::enrol`]; what the server refuses.
    pub async fn enrol_by(
        home: &Path,
        unlock: &Unlock,
        link: &ServerLink,
        invitation: Option<&InvitationText>,
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        let begun = match home.principal() {
            Ok(principal) if principal.kind == Kind::Patient && !principal.enrolled => Some(principal),
            _ => None,
        };
        if begun.is_none() {
            home.must_be_free()?;
        }
        let pins = bootstrap(link).await?;
        let fresh = begun.is_none();
        let (keys, home) = {
            let (unlock, pins) = (unlock.clone(), pins.clone());
            blocking(move || match begun {
                None => Keys::create(&home, &unlock, &pins),
                Some(claimed) => {
                    let (keys, home) = Keys::open(&home, &claimed, &unlock)?;
                    let mut principal = home.principal()?;
                    principal.set_pins(&pins);
                    home.save(&principal)?;
                    Ok((keys, home))
                }
            })
            .await?
        };
        let enrolled = Self::register(home.clone(), pins, keys, invitation).await;
        if enrolled.is_err() && fresh {
            home.discard();
        }
        enrolled
    }

    async fn register(
        home: Home,
        pins: Pins,
        keys: Keys,
        invitation: Option<&InvitationText>,
    ) -> Result<Self> {
        let patient = Self::with(home, pins, keys)?;
        let mut message = patient.keys.enrolment();
        message.invitation = invitation.map(|invitation| invitation.signed().to_message());
        enrolling::submit(&patient.session.server, patient.id(), message).await?;
        // Nothing has been done before that the log could tell of.
        patient.begin_acts().await?;
        patient.put_first_collections().await?;
        let mut principal = patient.session.home.principal()?;
        principal.enrolled = true;
        patient.session.home.save(&principal)?;
        Ok(patient)
    }

    /// Opens an enrolled home. Nothing is sent yet.
    ///
    /// # Errors
    /// [`crate::Error::HomeMissing`], [`crate::Error::NotEnrolled`], [`crate::Error::WrongUnlock`], [`crate::Error::HomeKind`].
    pub async fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        let home = ClosedHome::at(home);
        let claimed = home.principal_of(Kind::Patient)?;
        home.must_be_enrolled(&claimed)?;
        let unlock = unlock.clone();
        let (keys, home) = blocking(move || Keys::open(&home, &claimed, &unlock)).await?;
        let pins = home.pins(&home.principal()?)?;
        Self::with(home, pins, keys)
    }

    /// Makes the home of a device that is on the lists which `answer` has, with what leads to it.
    async fn settle(
        home: ClosedHome,
        unlock: &Unlock,
        pins: Pins,
        own: DeviceKeys,
        chain: DeviceChain,
        answer: pb::DeviceLists,
    ) -> Result<Self> {
        let patient = Known::read(answer.clone(), &own, &chain)?.newest().patient_id;
        let mut principal = Principal::new(Kind::Patient, patient);
        principal.set_pins(&pins);
        principal.enrolled = true;
        let unlock = unlock.clone();
        let kept = blocking(move || Keys::keep(&home, &unlock, &principal, own, chain, answer));
        let (keys, home) = kept.await?;
        Self::with(home, pins, keys)
    }

    fn with(home: Home, pins: Pins, keys: Keys) -> Result<Self> {
        let session = Session::new(home, pins, &keys.own.id(), keys.own.signing.clone())?;
        Ok(Self {
            session,
            keys,
            ring: tokio::sync::Mutex::default(),
            acts: tokio::sync::Mutex::default(),
            placements: tokio::sync::Mutex::default(),
            returning: AtomicBool::new(false),
        })
    }

    /// Her id: what institutions need to ask her for something.
    pub fn id(&self) -> PatientId {
        self.keys.patient
    }

    /// The accredited institutions whose names contain `filter` (in any case), each verified.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] when an event of the directory does not verify, [`crate::Error::DirectoryConflict`] when it is not
    /// all of what the log has.
    pub async fn directory(&self, filter: Option<&str>) -> Result<Vec<DirectoryEntry>> {
        self.session.directory(filter).await
    }

    /// The one institution with this id or this name (in any case).
    ///
    /// # Errors
    /// [`crate::Error::UnknownInstitution`], [`crate::Error::AmbiguousInstitution`], or as [`Self::directory`].
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        self.session.find_institution(name_or_id).await
    }

    /// Which institutions have names that look like others': to be shown wherever somebody decides by a name (INS-17).
    ///
    /// # Errors
    /// As [`Self::directory`].
    pub async fn look_alikes(&self) -> Result<crate::LookAlikes> {
        self.session.look_alikes().await
    }

    /// All entries of the institution with this id or name, from the first to the newest.
    ///
    /// # Errors
    /// As [`Self::institution`].
    pub async fn institution_entries(&self, name_or_id: &str) -> Result<Vec<DirectoryEntry>> {
        let newest = self.session.find_institution(name_or_id).await?;
        self.session.chain(newest.id()).await
    }

    /// Reads the log itself, from where this home has audited it last, and checks that all that it has of the directory verifies
    /// and is what its checkpoint says and this home was shown. `progress` counts entries.
    ///
    /// # Errors
    /// [`crate::Error::DirectoryConflict`], [`crate::Error::Tampered`], [`crate::Error::LogConflict`], [`crate::Error::NotWitnessed`].
    pub async fn audit_directory(&self, progress: &dyn Progress) -> Result<Audited> {
        self.session.audit_directory(progress).await
    }

    /// The client programs that the registrar vouches for, in the order of the log as it is now.
    ///
    /// # Errors
    /// As [`Self::directory`].
    pub async fn programs(&self) -> Result<Vec<Vouched>> {
        self.session.programs().await
    }

    /// Which client program a file is, by its SHA-256 and the log as it is now: to be asked before the file is put in the place of
    /// a program that is trusted.
    ///
    /// # Errors
    /// [`crate::Error::UnknownProgram`] if the registrar does not vouch for exactly this file, [`crate::Error::Io`], or as
    /// [`Self::directory`].
    pub async fn check_program(&self, file: &Path) -> Result<Vouched> {
        self.session.check_program(file).await
    }

    /// Blocks a sender, whose unanswered things are deleted; or takes that back. It is told what anybody is told of whom she has
    /// enough (ACC-9).
    ///
    /// # Errors
    /// `not-permitted` where nobody has this id.
    pub async fn block(&self, sender: SenderId, blocked: bool) -> Result<()> {
        self.session.block(sender, blocked).await
    }

    /// With whom she deals, of whom something is unanswered, whom she has blocked.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn senders(&self) -> Result<Vec<SenderInfo>> {
        self.session.senders().await
    }

    /// The id of the one institution with this id or exactly this name.
    pub(crate) async fn exact_institution(&self, name_or_id: &str) -> Result<InstitutionId> {
        if let Ok(id) = name_or_id.parse() {
            return Ok(self.session.institution(id).await?.id());
        }
        let found = self.session.find_institution(name_or_id).await?;
        if found.name().as_str() == name_or_id {
            Ok(found.id())
        } else {
            Err(Error::UnknownInstitution {
                name: name_or_id.to_owned(),
            })
        }
    }

    /// What time it is.
    pub(crate) fn time(&self) -> Moment {
        self.session.clock.now()
    }

    /// Her connection.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Her home.
    pub(crate) fn home(&self) -> &Home {
        &self.session.home
    }

    /// Signs a pre-image by her device.
    pub(crate) fn sign_by_device(&self, message: &[u8]) -> [u8; 64] {
        self.keys.sign(message)
    }

    /// The key that verifies what her device signs.
    pub(crate) fn device_key(&self) -> IdentityKey {
        self.keys.own.signing.public()
    }

    /// An institution as lists show it.
    pub(crate) async fn institution_ref(&self, id: InstitutionId) -> Result<InstitutionRef> {
        if id == ANY_INSTITUTION {
            let name = "any institution accredited for emergencies".to_owned();
            return Ok(InstitutionRef { id, name });
        }
        let entry = self.session.institution(id).await?;
        Ok(InstitutionRef {
            id,
            name: entry.name().as_str().to_owned(),
        })
    }
}
