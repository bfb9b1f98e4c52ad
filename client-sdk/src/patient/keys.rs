//! What a patient's home keeps: two seeds of this device under the passphrase or key file; beside them, the chain of
//! certificates that leads to the device, and the lists of devices with the root key sealed to it.

use std::sync::{Arc, PoisonError, RwLock};

use crypto::{RecipientSecret, RootKeyContext, SigningIdentity, VaultRootKey, seal_root_key};
use prost::Message;
use protocol_spec::{
    bodies::{Invitation, VaultKeyStatement},
    defence::Defence,
    devices::{DeviceList, FirstDevice},
    field::Name,
    ids::PatientId,
    messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    statement::Signed,
    submitted::{self, EnrolPatient},
};

use crate::{
    Error, Result, Unlock,
    home::{ClosedHome, Home, Kind, Pins, Principal, seeds},
    patient::{
        device_keys::DeviceKeys,
        known::{KnownDevices, tampered},
    },
};

/// A patient on this device.
pub(super) struct PatientKeys {
    pub(super) patient: PatientId,
    pub(super) own: DeviceKeys,
    /// Leads from her id to the device.
    pub(super) chain: DeviceChain,
    /// The lists of devices, and what follows from the root key; newer ones take their place as they are met.
    /// No panic leaves it half-changed.
    known: RwLock<Arc<KnownDevices>>,
}

impl PatientKeys {
    /// Makes a new vault's keys and keeps them in the home. The identity key signs twice, and is gone (DEV-2).
    pub(super) fn create(home: &ClosedHome, unlock: &Unlock, pins: &Pins) -> Result<(Self, Home)> {
        let identity = SigningIdentity::generate(home.system())?;
        let own = DeviceKeys::generate(home.system())?;
        let root = VaultRootKey::generate(home.system())?;
        let patient = PatientId::from(&identity.public());
        let device = own.id();
        let name = Name::try_from(FIRST_NAME.to_owned())?;
        let vault_key = root.vault_key(&patient, 0)?;
        let first = FirstDevice {
            created: home.system().now_ms(),
            identity_key: identity.public(),
            device_key: own.signing.public(),
            recipient_key: own.recipient.public(),
            vault_key: vault_key.public(),
            sealed_name: root
                .seal_device_name(home.system(), &name, &patient, &device)?
                .into(),
        };
        let (chain, list) = first.sign(|message| identity.sign_bytes(message));
        let context = RootKeyContext {
            patient,
            epoch: 0,
            device,
        };
        let sealed = seal_root_key(home.system(), own.recipient.public(), &context, &root)?;
        let state = pb::DeviceLists {
            lists: vec![list.to_message()],
            root_key: Some((&sealed).into()),
            ..pb::DeviceLists::default()
        };
        let mut principal = Principal::new(Kind::Patient, patient);
        principal.set_pins(pins);
        Self::keep(home, unlock, &principal, own, chain, state)
    }

    /// Makes the home of a device whose lists have been verified.
    pub(super) fn keep(
        home: &ClosedHome,
        unlock: &Unlock,
        principal: &Principal,
        own: DeviceKeys,
        chain: DeviceChain,
        state: pb::DeviceLists,
    ) -> Result<(Self, Home)> {
        let known = KnownDevices::read(state, &own, &chain)?;
        let message = pb::DeviceChain::from(&chain).encode_to_vec();
        let lists = known.state().encode_to_vec();
        let files: [(&str, &[u8]); 2] = [(CHAIN, &message), (LISTS, &lists)];
        let home = home.create(principal, &own.secrets(), unlock, &files)?;
        Ok((Self::in_memory(own, chain, known), home))
    }

    /// Those of a device that is kept in no home.
    pub(super) fn in_memory(own: DeviceKeys, chain: DeviceChain, known: KnownDevices) -> Self {
        Self {
            patient: known.newest().patient_id,
            own,
            chain,
            known: RwLock::new(Arc::new(known)),
        }
    }

    /// Reads the keys back from a home that they open.
    pub(super) fn open(home: &ClosedHome, principal: &Principal, unlock: &Unlock) -> Result<(Self, Home)> {
        let (secrets, home) = home.unlock(principal, unlock)?;
        let damaged = |name| home.damaged(name);
        let [signing, recipient] = seeds(&secrets).ok_or_else(|| damaged("secrets.sealed"))?;
        let own = DeviceKeys {
            signing: Arc::new(SigningIdentity::from_seed(signing)?),
            recipient: RecipientSecret::from_seed(recipient)?,
        };
        let chain = home
            .read(CHAIN)?
            .and_then(|bytes| protocol_spec::messages::decode::<pb::DeviceChain>(&bytes).ok())
            .and_then(|chain| DeviceChain::try_from(Some(chain)).ok())
            .ok_or_else(|| damaged(CHAIN))?;
        let known = stored(&home)?.and_then(|state| KnownDevices::read(state, &own, &chain).ok());
        let known = known.ok_or_else(|| damaged(LISTS))?;
        Ok((Self::in_memory(own, chain, known), home))
    }

    /// The message that enrols a new vault.
    pub(super) fn enrolment(&self, invitation: Option<Signed<Invitation>>) -> Result<EnrolPatient> {
        let known = self.known();
        let device = submitted::NewDevice {
            chain: self.chain.clone(),
            recipient_key: self.own.recipient.public().clone(),
            root_key: known.state().root_key.clone().try_into()?,
            approval: bytes::Bytes::new(),
        };
        Ok(EnrolPatient {
            list: known.newest().signed().clone(),
            device,
            vault_key: self.vault_key(known.newest()),
            invitation,
            work: None,
        })
    }

    /// What tells others the vault key of a list that this device signs (DEV-19).
    pub(super) fn vault_key(&self, list: &DeviceList) -> PatientSigned<VaultKeyStatement> {
        self.statement(list.vault_key_statement())
    }

    /// What this device knows now.
    pub(super) fn known(&self) -> Arc<KnownDevices> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many lists this process, or another one of the home, has verified.
    pub(super) fn seen(&self, home: &Home) -> Result<usize> {
        let kept = stored(home)?.unwrap_or_default().lists.len();
        Ok(kept.max(self.known().state().lists.len()))
    }

    /// Takes newer lists up, in the home first: whatever another process has kept there stays if
    /// it is newer still (DEV-14).
    pub(super) fn learn(&self, home: &Home, known: KnownDevices) -> Result<Arc<KnownDevices>> {
        let kept = stored(home)?.unwrap_or_default().lists;
        let fresh = &known.state().lists;
        // One continues the other, or the server shows two histories.
        let continues = kept.iter().zip(fresh).all(|(kept, fresh)| kept == fresh);
        if !Defence::KeptLists.holds(continues) {
            return Err(tampered("the server shows other lists than this device has seen"));
        }
        if kept.len() < fresh.len() {
            home.write(LISTS, &known.state().encode_to_vec())?;
        }
        let known = Arc::new(known);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
        Ok(known)
    }

    /// A statement of the patient's, signed by this device.
    pub(super) fn statement<T: OfPatient>(&self, body: T) -> PatientSigned<T> {
        let signed = Signed::sign(body, |message| self.sign(message));
        PatientSigned::new(signed, self.chain.clone())
    }

    /// Signs a pre-image by the device.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.own.signing.sign_bytes(message)
    }
}

fn stored(home: &Home) -> Result<Option<pb::DeviceLists>> {
    let decode = |bytes: Vec<u8>| protocol_spec::messages::decode(&bytes);
    let state = home.read(LISTS)?.map(decode).transpose();
    state.map_err(|_: protocol_spec::Error| Error::HomeDamaged {
        file: home.path(LISTS),
    })
}

/// What the first device is called until she names it.
const FIRST_NAME: &str = "first device";
const CHAIN: &str = "device.pb";
const LISTS: &str = "devices.pb";
