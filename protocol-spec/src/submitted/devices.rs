//! A patient's devices: lists, what a new root key comes with, a device on its way in.

use bytes::Bytes;

use super::{KeyWrap, fits, submitted};
use crate::{
    Error,
    bodies::{Invitation, VaultKeyStatement},
    devices::{DeviceList, MAX_SEALED_NAME},
    field::{Field, SealedBytes},
    hash::Sha256Digest,
    ids::CollectionId,
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    patient::{DeviceChain, PatientSigned},
    statement::Signed,
};

submitted! {
    /// A list after the newest one (DEV-13).
    ChangeDevices {
        list: Signed<DeviceList>,
        added: Option<NewDevice>,
        rotation: Option<Rotation>,
    }
    /// What a new vault root key comes with.
    Rotation {
        root_keys: Vec<SealedBytes>,
        previous_root_key: KeyWrap,
        collections: Vec<CollectionEpochs>,
        vault_key: PatientSigned<VaultKeyStatement>,
        passed_over: u64,
    }
    /// A collection's name and keys under a new root key; none is the key of an epoch that is closed, which the last is not.
    CollectionEpochs {
        collection_id: CollectionId,
        sealed_name: Bytes,
        key_wraps: Vec<Option<KeyWrap>>,
    } => is_open
    /// A patient with her first device.
    EnrolPatient {
        list: Signed<DeviceList>,
        device: NewDevice,
        vault_key: PatientSigned<VaultKeyStatement>,
        invitation: Option<Signed<Invitation>>,
        work: Option<EnrolmentWork>,
    }
    /// By which she enrols where that takes work (ACC-4).
    EnrolmentWork {
        challenge: Bytes,
        counter: u64,
    }
    /// A device as it comes to a list.
    NewDevice {
        chain: DeviceChain,
        recipient_key: RecipientKey,
        root_key: SealedBytes,
        approval: Bytes,
    } => may_be_approved
    /// A device offers itself (DEV-12).
    LinkOffer {
        device_key: IdentityKey,
        recipient_key: RecipientKey,
        commitment: Sha256Digest,
    }
    /// A device of the patient's answers an offer (DEV-20).
    LinkAnswer {
        nonce: LinkNonce,
    }
    /// The new device opens what it was bound to (DEV-20).
    LinkOpening {
        device_key: IdentityKey,
        nonce: LinkNonce,
    }
}

fn is_open(message: &CollectionEpochs) -> Result<(), Error> {
    let named = (1..=MAX_SEALED_NAME).contains(&message.sealed_name.len());
    fits(named, "sealed_name")?;
    let open = message.key_wraps.last().is_none_or(Option::is_some);
    fits(open, "key_wraps")
}

fn may_be_approved(message: &NewDevice) -> Result<(), Error> {
    fits(matches!(message.approval.len(), 0 | 32), "approval")
}

/// One side's contribution to the short string that both devices show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkNonce(Bytes);

impl From<[u8; Self::LEN]> for LinkNonce {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(Bytes::copy_from_slice(&bytes))
    }
}

impl LinkNonce {
    const LEN: usize = 32;

    /// The 32 bytes, as they stand in the message.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Field<Bytes> for LinkNonce {
    fn read(wire: Bytes, field: &'static str) -> Result<Self, Error> {
        fits(wire.len() == Self::LEN, field)?;
        Ok(Self(wire))
    }

    fn write(&self) -> Bytes {
        self.0.clone()
    }
}

impl Field<Option<pb::DeviceChain>> for DeviceChain {
    fn read(wire: Option<pb::DeviceChain>, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> Option<pb::DeviceChain> {
        Some(self.into())
    }
}
