//! A patient's vault, as one of her devices has it: what her home keeps, what this session has verified, and the connection.
//!
//! Each part has its own lock. `ring`, `placements` and the lists in `keys` are locked for a moment and never over an await. `acts` is
//! held while the server is asked what has come since; whoever holds it takes the locks of `crate::trust` and that of the home, and
//! nobody who holds one of those takes `acts`. So the order is: `acts`, `mirror`, `log`, `witnesses`, and last the home.

pub(super) mod acts;
pub(super) mod placements;
pub(super) mod ring;

use std::sync::atomic::AtomicBool;

use prost::{Message, Name};
use protocol_spec::{
    api::{Query, RequestTarget},
    emergency::ANY_INSTITUTION,
    ids::{InstitutionId, PatientId},
    keys::IdentityKey,
    submitted::Submitted,
};
use tokio::sync::Mutex;

use self::{acts::SeenActs, placements::SeenPlacements, ring::KnownRing};
use crate::{
    Error, Result,
    clock::Moment,
    home::{Home, Pins},
    patient::{keys::PatientKeys, refs::InstitutionRef},
    session::Session,
};

/// A patient with her device's keys, connected to her server.
pub struct Patient {
    pub(crate) vault: Vault,
}

/// The state that the functions of `patient` work on.
pub(crate) struct Vault {
    pub(super) session: Session,
    pub(super) keys: PatientKeys,
    /// What this session knows of her collections.
    pub(super) ring: KnownRing,
    /// What has been done to the vault, as this home has seen it.
    pub(super) acts: Mutex<SeenActs>,
    /// Where this home has seen her records lie.
    pub(super) placements: SeenPlacements,
    /// It does what a restoration asks of it.
    pub(super) returning: AtomicBool,
}

impl Vault {
    pub(super) fn with(home: Home, pins: Pins, keys: PatientKeys) -> Result<Self> {
        let session = Session::new(home, pins, &keys.own.id(), keys.own.signing.clone())?;
        Ok(Self {
            placements: SeenPlacements::new(session.home.clone()),
            session,
            keys,
            ring: KnownRing::default(),
            acts: Mutex::default(),
            returning: AtomicBool::new(false),
        })
    }

    /// The id of the patient whose vault it is.
    pub(crate) fn id(&self) -> PatientId {
        self.keys.patient
    }

    /// What time it is by this machine and the server.
    pub(crate) fn time(&self) -> Moment {
        self.session.clock.now()
    }

    /// The connection to the patient's server.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The home of this device.
    pub(crate) fn home(&self) -> &Home {
        &self.session.home
    }

    /// Asks the patient's server for a message.
    pub(super) async fn get<A: Message + Default + Name, X: Query>(
        &self,
        at: RequestTarget<(), A, X>,
    ) -> Result<A> {
        self.session.server.get(at).await
    }

    /// Hands in at her server what she submits.
    pub(super) async fn post<M: Submitted<Wire: Message + Name>, A: Message + Default + Name>(
        &self,
        at: RequestTarget<M::Wire, A>,
        message: &M,
    ) -> Result<A> {
        self.session.server.post(at, message).await
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
        let entry = self.session.mirror.institution(id).await?;
        Ok(InstitutionRef {
            id,
            name: entry.name().as_str().to_owned(),
        })
    }

    /// The id of the one institution with this id or exactly this name.
    pub(crate) async fn exact_institution(&self, name_or_id: &str) -> Result<InstitutionId> {
        if let Ok(id) = name_or_id.parse() {
            return Ok(self.session.mirror.institution(id).await?.id());
        }
        let found = self.session.mirror.find_named(name_or_id).await?;
        if found.name().as_str() == name_or_id {
            Ok(found.id())
        } else {
            Err(Error::UnknownInstitution {
                name: name_or_id.to_owned(),
            })
        }
    }
}
