//! Keys under keys: 104 bytes that open under one key, in one place, in one role. See `spec/keys.md` §8.
//!
//! ```text
//! salt (24) ‖ commitment (32) ‖ ChaCha20-Poly1305 (key, 48)
//! ```
//! Each wrap derives an AEAD key of its own from a fresh salt, so that a wrapping key may be used any
//! number of times; the commitment keeps one wrap from opening under two wrapping keys.

use std::fmt;

use protocol_spec::{
    collection::Collection,
    ids::{PatientId, PermissionId, VersionId},
    labels,
    submitted::KeyWrap,
};
use zeroize::Zeroizing;

use crate::{CollectionKey, DataKey, Error, SecureRandom, UploadKey, VaultRootKey, committed};

/// A wrapped key as it is stored: opaque to whoever has not the key above it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WrappedKey([u8; Self::LEN]);

impl WrappedKey {
    /// How many bytes every wrapped key has.
    pub const LEN: usize = 32 + committed::OVERHEAD;

    /// The bytes as they stand in messages.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// As it travels in what a device submits.
impl From<&WrappedKey> for KeyWrap {
    fn from(wrapped: &WrappedKey) -> Self {
        Self::from(wrapped.as_bytes())
    }
}

impl TryFrom<&[u8]> for WrappedKey {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| Error::Malformed { what: "wrapped key" })
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("WrappedKey(104 bytes)")
    }
}

impl VaultRootKey {
    /// Wraps the key of a collection of this patient's vault.
    pub fn wrap_collection_key(
        &self,
        random: &dyn SecureRandom,
        key: &CollectionKey,
        patient: &PatientId,
        collection: &Collection,
    ) -> Result<WrappedKey, Error> {
        seal(
            random,
            self.expose(),
            key.expose(),
            &collection_key_aad(patient, collection),
        )
    }

    /// Opens what [`Self::wrap_collection_key`] made for the same patient and collection.
    pub fn unwrap_collection_key(
        &self,
        wrapped: &WrappedKey,
        patient: &PatientId,
        collection: &Collection,
    ) -> Result<CollectionKey, Error> {
        open(self.expose(), wrapped, &collection_key_aad(patient, collection))
            .map(|key| CollectionKey::from_bytes(&key))
    }

    /// Wraps the vault root key of the epoch before this one, so that whoever has this one has all before it.
    pub fn wrap_previous(
        &self,
        random: &dyn SecureRandom,
        key: &Self,
        patient: &PatientId,
        epoch: u64,
    ) -> Result<WrappedKey, Error> {
        seal(random, self.expose(), key.expose(), &root_key_aad(patient, epoch))
    }

    /// Opens what [`Self::wrap_previous`] made for the same patient and the same epoch, which is the one before.
    pub fn unwrap_previous(
        &self,
        wrapped: &WrappedKey,
        patient: &PatientId,
        epoch: u64,
    ) -> Result<Self, Error> {
        open(self.expose(), wrapped, &root_key_aad(patient, epoch)).map(|key| Self::from_bytes(&key))
    }
}

impl CollectionKey {
    /// Wraps the data key of one record version of the collection.
    pub fn wrap_data_key(
        &self,
        random: &dyn SecureRandom,
        key: &DataKey,
        collection: &Collection,
        version: &VersionId,
    ) -> Result<WrappedKey, Error> {
        seal(
            random,
            self.expose(),
            key.expose(),
            &data_key_aad(collection, version),
        )
    }

    /// Opens what [`Self::wrap_data_key`] made for the same collection and version.
    pub fn unwrap_data_key(
        &self,
        wrapped: &WrappedKey,
        collection: &Collection,
        version: &VersionId,
    ) -> Result<DataKey, Error> {
        open(self.expose(), wrapped, &data_key_aad(collection, version)).map(|key| DataKey::from_bytes(&key))
    }

    /// Wraps the upload key of one upload permission, so that each of the patient's devices can
    /// open what arrives under it.
    pub fn wrap_upload_key(
        &self,
        random: &dyn SecureRandom,
        key: &UploadKey,
        collection: &Collection,
        permission: &PermissionId,
    ) -> Result<WrappedKey, Error> {
        seal(
            random,
            self.expose(),
            key.expose(),
            &upload_key_aad(collection, permission),
        )
    }

    /// Opens what [`Self::wrap_upload_key`] made for the same collection and permission.
    pub fn unwrap_upload_key(
        &self,
        wrapped: &WrappedKey,
        collection: &Collection,
        permission: &PermissionId,
    ) -> Result<UploadKey, Error> {
        open(self.expose(), wrapped, &upload_key_aad(collection, permission))
            .map(|key| UploadKey::from_bytes(&key))
    }
}

/// Which kind of key is wrapped.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Role {
    Collection = 1,
    Data = 2,
    Upload = 3,
    Root = 4,
}

type Aad = [u8; 73];

fn collection_key_aad(patient: &PatientId, collection: &Collection) -> Aad {
    aad(
        collection.id.as_bytes(),
        patient.as_bytes(),
        collection.epoch,
        Role::Collection,
    )
}

/// `epoch` is that of the key that is wrapped.
fn root_key_aad(patient: &PatientId, epoch: u64) -> Aad {
    aad(patient.as_bytes(), patient.as_bytes(), epoch, Role::Root)
}

fn data_key_aad(collection: &Collection, version: &VersionId) -> Aad {
    aad(
        version.as_bytes(),
        collection.id.as_bytes(),
        collection.epoch,
        Role::Data,
    )
}

fn upload_key_aad(collection: &Collection, permission: &PermissionId) -> Aad {
    aad(
        permission.as_bytes(),
        collection.id.as_bytes(),
        collection.epoch,
        Role::Upload,
    )
}

/// child id (zero-padded to 32) ‖ parent id (the same) ‖ u64be(epoch) ‖ u8 role (KEY-12).
fn aad(child: &[u8], parent: &[u8], epoch: u64, role: Role) -> Aad {
    let zeros = || std::iter::repeat(0);
    let bytes = (child.iter().copied().chain(zeros()).take(32))
        .chain(parent.iter().copied().chain(zeros()).take(32))
        .chain(epoch.to_be_bytes())
        .chain([role as u8]);
    let mut aad = [0; 73];
    aad.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    aad
}

fn seal(random: &dyn SecureRandom, kek: &[u8; 32], key: &[u8; 32], aad: &Aad) -> Result<WrappedKey, Error> {
    WrappedKey::try_from(committed::seal(random, kek, labels::KEY_WRAP, aad, key)?.as_slice())
}

fn open(kek: &[u8; 32], wrapped: &WrappedKey, aad: &Aad) -> Result<Zeroizing<[u8; 32]>, Error> {
    let opened = committed::open(kek, labels::KEY_WRAP, aad, &wrapped.0)?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(opened.get(..32).ok_or(Error::Open)?);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use protocol_spec::ids::CollectionId;

    use super::*;
    use crate::OperatingSystem;

    const PATIENT: PatientId = PatientId::from_bytes([1; 32]);
    const VERSION: VersionId = VersionId::from_bytes([2; 16]);
    const PERMISSION: PermissionId = PermissionId::from_bytes([2; 16]);
    const SECOND: Collection = Collection {
        id: CollectionId::from_bytes([9; 16]),
        epoch: 0,
    };
    const LATER: Collection = Collection {
        epoch: 1,
        ..Collection::DEFAULT
    };

    fn collection_key() -> CollectionKey {
        CollectionKey::from_bytes(&[3; 32])
    }

    #[test]
    fn a_collection_key_opens_for_its_vault_patient_collection_and_epoch_alone() {
        let root = VaultRootKey::from_bytes(&[4; 32]);
        let wrapped = root
            .wrap_collection_key(
                &OperatingSystem,
                &collection_key(),
                &PATIENT,
                &Collection::DEFAULT,
            )
            .unwrap();
        assert_eq!(
            root.unwrap_collection_key(&wrapped, &PATIENT, &Collection::DEFAULT),
            Ok(collection_key())
        );
        let other = VaultRootKey::from_bytes(&[5; 32]);
        assert_eq!(
            other.unwrap_collection_key(&wrapped, &PATIENT, &Collection::DEFAULT),
            Err(Error::Open)
        );
        let stranger = PatientId::from_bytes([7; 32]);
        assert_eq!(
            root.unwrap_collection_key(&wrapped, &stranger, &Collection::DEFAULT),
            Err(Error::Open)
        );
        assert_eq!(
            root.unwrap_collection_key(&wrapped, &PATIENT, &SECOND),
            Err(Error::Open)
        );
        assert_eq!(
            root.unwrap_collection_key(&wrapped, &PATIENT, &LATER),
            Err(Error::Open)
        );
    }

    /// KEY-12
    #[test]
    fn a_data_key_opens_for_its_version_collection_and_epoch_alone() {
        let key = DataKey::from_bytes(&[6; 32]);
        let wrapped = collection_key()
            .wrap_data_key(&OperatingSystem, &key, &Collection::DEFAULT, &VERSION)
            .unwrap();
        let unwrap = |collection: &Collection, version: &VersionId| {
            collection_key().unwrap_data_key(&wrapped, collection, version)
        };
        assert_eq!(unwrap(&Collection::DEFAULT, &VERSION), Ok(key));
        assert_eq!(
            unwrap(&Collection::DEFAULT, &VersionId::from_bytes([8; 16])),
            Err(Error::Open)
        );
        assert_eq!(unwrap(&SECOND, &VERSION), Err(Error::Open));
        assert_eq!(unwrap(&LATER, &VERSION), Err(Error::Open));
    }

    #[test]
    fn a_wrap_opens_in_its_role_alone() {
        let key = UploadKey::from_bytes(&[6; 32]);
        let wrapped = collection_key()
            .wrap_upload_key(&OperatingSystem, &key, &Collection::DEFAULT, &PERMISSION)
            .unwrap();
        assert_eq!(
            collection_key().unwrap_upload_key(&wrapped, &Collection::DEFAULT, &PERMISSION),
            Ok(key)
        );
        let as_data_key = collection_key().unwrap_data_key(&wrapped, &Collection::DEFAULT, &VERSION);
        assert_eq!(as_data_key, Err(Error::Open), "same id, other role");
    }

    /// KEY-12
    #[test]
    fn a_root_key_opens_under_the_next_one_for_its_patient_and_epoch_alone() {
        let [before, root] = [[4; 32], [5; 32]].map(|bytes| VaultRootKey::from_bytes(&bytes));
        let wrapped = root
            .wrap_previous(&OperatingSystem, &before, &PATIENT, 6)
            .unwrap();
        assert_eq!(
            root.unwrap_previous(&wrapped, &PATIENT, 6),
            Ok(VaultRootKey::from_bytes(&[4; 32]))
        );
        assert_eq!(root.unwrap_previous(&wrapped, &PATIENT, 7), Err(Error::Open));
        assert_eq!(before.unwrap_previous(&wrapped, &PATIENT, 6), Err(Error::Open));
        let stranger = PatientId::from_bytes([7; 32]);
        assert_eq!(root.unwrap_previous(&wrapped, &stranger, 6), Err(Error::Open));
    }

    /// ATK-9
    #[test]
    fn every_flipped_bit_is_refused() {
        let key = DataKey::from_bytes(&[6; 32]);
        let wrapped = collection_key()
            .wrap_data_key(&OperatingSystem, &key, &Collection::DEFAULT, &VERSION)
            .unwrap();
        for bit in 0..WrappedKey::LEN * 8 {
            let mut bytes = *wrapped.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = collection_key().unwrap_data_key(&WrappedKey(bytes), &Collection::DEFAULT, &VERSION);
            assert_eq!(opened, Err(Error::Open), "bit {bit}");
        }
        assert!(WrappedKey::try_from(&wrapped.as_bytes()[1..]).is_err());
    }

    #[test]
    fn two_wraps_of_one_key_share_nothing() {
        let key = DataKey::from_bytes(&[6; 32]);
        let [a, b] = [(); 2].map(|()| {
            collection_key()
                .wrap_data_key(&OperatingSystem, &key, &Collection::DEFAULT, &VERSION)
                .unwrap()
        });
        assert!(
            a.as_bytes()
                .chunks(8)
                .zip(b.as_bytes().chunks(8))
                .all(|(a, b)| a != b)
        );
    }

    #[test]
    fn debug_shows_no_bytes() {
        insta::assert_snapshot!(format!("{:?}", WrappedKey([0x41; 104])), @"WrappedKey(104 bytes)");
    }
}
