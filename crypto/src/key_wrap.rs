//! Keys under keys: 104 bytes that open under one key, in one place, in one role. See `spec/keys.md` §8.
//!
//! ```text
//! salt (24) ‖ commitment (32) ‖ ChaCha20-Poly1305 (key, 48)
//! ```
//! Each wrap derives an AEAD key of its own from a fresh salt, so that a wrapping key may be used any
//! number of times; the commitment keeps one wrap from opening under two wrapping keys.

use std::fmt;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305};
use protocol_spec::{
    ids::{PatientId, PermissionId, VersionId},
    labels,
};
use zeroize::Zeroizing;

use crate::{CollectionKey, DataKey, Error, UploadKey, VaultRootKey, kdf::Committing, random};

/// A wrapped key as it is stored: opaque to whoever has not the key above it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WrappedKey([u8; Self::LEN]);

impl WrappedKey {
    /// Bytes of every wrap.
    pub const LEN: usize = 104;

    /// The bytes as they stand in messages.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
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

/// A collection of a vault, in one epoch of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Which collection; zeros for the default one.
    pub id: [u8; 16],
    /// Counts the collection's keys, from 0.
    pub epoch: u64,
}

impl Collection {
    /// The one collection that every vault has, under its first key.
    pub const DEFAULT: Self = Self {
        id: [0; 16],
        epoch: 0,
    };
}

impl VaultRootKey {
    /// Wraps the key of a collection of this patient's vault.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn wrap_collection_key(
        &self,
        key: &CollectionKey,
        patient: &PatientId,
        collection: &Collection,
    ) -> Result<WrappedKey, Error> {
        seal(
            self.expose(),
            key.expose(),
            &collection_key_aad(patient, collection),
        )
    }

    /// Opens what [`Self::wrap_collection_key`] made for the same patient and collection.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn unwrap_collection_key(
        &self,
        wrapped: &WrappedKey,
        patient: &PatientId,
        collection: &Collection,
    ) -> Result<CollectionKey, Error> {
        open(self.expose(), wrapped, &collection_key_aad(patient, collection))
            .map(|key| CollectionKey::from_bytes(&key))
    }
}

impl CollectionKey {
    /// Wraps the data key of one record version of the collection.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn wrap_data_key(
        &self,
        key: &DataKey,
        collection: &Collection,
        version: &VersionId,
    ) -> Result<WrappedKey, Error> {
        seal(self.expose(), key.expose(), &data_key_aad(collection, version))
    }

    /// Opens what [`Self::wrap_data_key`] made for the same collection and version.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn unwrap_data_key(
        &self,
        wrapped: &WrappedKey,
        collection: &Collection,
        version: &VersionId,
    ) -> Result<DataKey, Error> {
        open(self.expose(), wrapped, &data_key_aad(collection, version)).map(|key| DataKey::from_bytes(&key))
    }

    /// Wraps the upload key of one upload permission, so that each of the patient's devices can open what
    /// arrives under it.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn wrap_upload_key(
        &self,
        key: &UploadKey,
        collection: &Collection,
        permission: &PermissionId,
    ) -> Result<WrappedKey, Error> {
        seal(
            self.expose(),
            key.expose(),
            &upload_key_aad(collection, permission),
        )
    }

    /// Opens what [`Self::wrap_upload_key`] made for the same collection and permission.
    ///
    /// # Errors
    /// [`Error::Open`].
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
}

type Aad = [u8; 73];

fn collection_key_aad(patient: &PatientId, collection: &Collection) -> Aad {
    aad(
        &collection.id,
        patient.as_bytes(),
        collection.epoch,
        Role::Collection,
    )
}

fn data_key_aad(collection: &Collection, version: &VersionId) -> Aad {
    aad(version.as_bytes(), &collection.id, collection.epoch, Role::Data)
}

fn upload_key_aad(collection: &Collection, permission: &PermissionId) -> Aad {
    aad(
        permission.as_bytes(),
        &collection.id,
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

/// key ‖ nonce ‖ commitment = HKDF-Expand-SHA-512 (KEK, LABEL(KEY_WRAP) ‖ salt ‖ aad)
fn derive(kek: &[u8; 32], salt: &[u8; 24], aad: &Aad) -> Result<Committing<ChaCha20Poly1305>, Error> {
    Committing::derive(kek, &[&labels::KEY_WRAP.bytes(), salt, aad])
}

fn seal(kek: &[u8; 32], key: &[u8; 32], aad: &Aad) -> Result<WrappedKey, Error> {
    let salt = random::public()?;
    let derived = derive(kek, &salt, aad)?;
    let mut body = *key;
    // The derived key serves this one message, so any nonce would do; the derived one costs nothing.
    let tag = derived
        .aead
        .encrypt_inout_detached(&derived.nonce.into(), aad, body.as_mut_slice().into())
        .map_err(|_| Error::Malformed {
            what: "key to be wrapped",
        })?;
    let parts = [&salt[..], &derived.commitment, &body, &tag].concat();
    WrappedKey::try_from(parts.as_slice())
}

fn open(kek: &[u8; 32], wrapped: &WrappedKey, aad: &Aad) -> Result<Zeroizing<[u8; 32]>, Error> {
    let (salt, commitment, body, tag) = split(&wrapped.0).ok_or(Error::Open)?;
    let derived = derive(kek, salt, aad)?;
    derived.check(commitment)?;
    let mut key = Zeroizing::new(*body);
    derived
        .aead
        .decrypt_inout_detached(&derived.nonce.into(), aad, key.as_mut_slice().into(), tag.into())
        .map_err(|_| Error::Open)?;
    Ok(key)
}

type Parts<'a> = (&'a [u8; 24], &'a [u8; 32], &'a [u8; 32], &'a [u8; 16]);

fn split(wrap: &[u8]) -> Option<Parts<'_>> {
    let (salt, rest) = wrap.split_first_chunk()?;
    let (commitment, rest) = rest.split_first_chunk()?;
    let (body, rest) = rest.split_first_chunk()?;
    Some((salt, commitment, body, rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: PatientId = PatientId::from_bytes([1; 32]);
    const VERSION: VersionId = VersionId::from_bytes([2; 16]);
    const PERMISSION: PermissionId = PermissionId::from_bytes([2; 16]);
    const SECOND: Collection = Collection {
        id: [9; 16],
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
            .wrap_collection_key(&collection_key(), &PATIENT, &Collection::DEFAULT)
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
            .wrap_data_key(&key, &Collection::DEFAULT, &VERSION)
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
            .wrap_upload_key(&key, &Collection::DEFAULT, &PERMISSION)
            .unwrap();
        assert_eq!(
            collection_key().unwrap_upload_key(&wrapped, &Collection::DEFAULT, &PERMISSION),
            Ok(key)
        );
        let as_data_key = collection_key().unwrap_data_key(&wrapped, &Collection::DEFAULT, &VERSION);
        assert_eq!(as_data_key, Err(Error::Open), "same id, other role");
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = DataKey::from_bytes(&[6; 32]);
        let wrapped = collection_key()
            .wrap_data_key(&key, &Collection::DEFAULT, &VERSION)
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
                .wrap_data_key(&key, &Collection::DEFAULT, &VERSION)
                .unwrap()
        });
        assert!(
            a.as_bytes()
                .chunks(8)
                .zip(b.as_bytes().chunks(8))
                .all(|(a, b)| a != b)
        );
    }

    /// KEY-13: even where the AEAD could be made to open under two keys, the commitment does not: the bytes of one
    /// wrap with the commitment of another key fail before the AEAD is asked.
    #[test]
    fn the_commitment_is_checked_before_the_aead() {
        let aad = data_key_aad(&Collection::DEFAULT, &VERSION);
        let wrapped = seal(&[1; 32], &[6; 32], &aad).unwrap();
        let mut forged = wrapped;
        forged.0[24] ^= 1;
        assert_eq!(open(&[1; 32], &forged, &aad), Err(Error::Open));
        let (salt, _, body, tag) = split(&forged.0).unwrap();
        let derived = derive(&[1; 32], salt, &aad).unwrap();
        let mut key = *body;
        let raw = derived.aead.decrypt_inout_detached(
            &derived.nonce.into(),
            &aad,
            (&mut key[..]).into(),
            tag.into(),
        );
        assert!(raw.is_ok(), "the AEAD alone does not notice");
    }

    #[test]
    fn debug_shows_no_bytes() {
        insta::assert_snapshot!(format!("{:?}", WrappedKey([0x41; 104])), @"WrappedKey(104 bytes)");
    }
}
