//! Names of collections and devices, which only the patient's devices read. See
//! `spec/collections.md` §1 and `spec/devices.md` §2.

use protocol_spec::{
    field::Name,
    ids::{CollectionId, DelegationId, DeviceId, PatientId},
    labels::{COLLECTION_NAME, DELEGATE_NAME, DEVICE_NAME, Label},
};

use crate::{
    Error, SecureRandom, VaultRootKey, committed,
    padding::{frame, size_class, unframe},
};

impl VaultRootKey {
    /// Seals the name of a collection of this patient's (COL-2).
    pub fn seal_collection_name(
        &self,
        random: &dyn SecureRandom,
        name: &Name,
        patient: &PatientId,
        collection: &CollectionId,
    ) -> Result<Vec<u8>, Error> {
        self.seal_name(
            random,
            COLLECTION_NAME,
            name,
            &aad(patient, collection.as_bytes()),
        )
    }

    /// Opens what [`Self::seal_collection_name`] made for the same patient and collection. Fails with
    /// [`Error::Open`], also for padding, lengths and texts that are no name.
    pub fn open_collection_name(
        &self,
        sealed: &[u8],
        patient: &PatientId,
        collection: &CollectionId,
    ) -> Result<Name, Error> {
        self.open_name(COLLECTION_NAME, sealed, &aad(patient, collection.as_bytes()))
    }

    /// Seals the name of a device of this patient's (DEV-1).
    pub fn seal_device_name(
        &self,
        random: &dyn SecureRandom,
        name: &Name,
        patient: &PatientId,
        device: &DeviceId,
    ) -> Result<Vec<u8>, Error> {
        self.seal_name(random, DEVICE_NAME, name, &aad(patient, device.as_bytes()))
    }

    /// Opens what [`Self::seal_device_name`] made for the same patient and device.
    pub fn open_device_name(
        &self,
        sealed: &[u8],
        patient: &PatientId,
        device: &DeviceId,
    ) -> Result<Name, Error> {
        self.open_name(DEVICE_NAME, sealed, &aad(patient, device.as_bytes()))
    }

    /// Seals what this patient calls a delegate of hers (DLG-1).
    pub fn seal_delegate_name(
        &self,
        random: &dyn SecureRandom,
        name: &Name,
        patient: &PatientId,
        delegation: &DelegationId,
    ) -> Result<Vec<u8>, Error> {
        self.seal_name(random, DELEGATE_NAME, name, &aad(patient, delegation.as_bytes()))
    }

    /// Opens what [`Self::seal_delegate_name`] made for the same patient and delegation.
    pub fn open_delegate_name(
        &self,
        sealed: &[u8],
        patient: &PatientId,
        delegation: &DelegationId,
    ) -> Result<Name, Error> {
        self.open_name(DELEGATE_NAME, sealed, &aad(patient, delegation.as_bytes()))
    }

    fn seal_name(
        &self,
        random: &dyn SecureRandom,
        label: Label,
        name: &Name,
        aad: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let framed = frame(name.as_str().as_bytes(), class)?;
        committed::seal(random, self.expose(), label, aad, &framed)
    }

    fn open_name(&self, label: Label, sealed: &[u8], aad: &[u8]) -> Result<Name, Error> {
        let framed = committed::open(self.expose(), label, aad, sealed)?;
        let name = unframe(&framed, class)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| Error::Open)?;
        Name::try_from(name).map_err(|_| Error::Open)
    }
}

fn aad(patient: &PatientId, named: &[u8]) -> Vec<u8> {
    [patient.as_bytes().as_slice(), named].concat()
}

/// The smallest 64 · 2^k bytes.
fn class(length: usize) -> usize {
    size_class(64, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    const PATIENT: PatientId = PatientId::from_bytes([1; 32]);

    /// COL-2
    #[test]
    fn open_rejects_wrong_key_patient_collection_and_every_flipped_byte() {
        let key = VaultRootKey::from_bytes(&[7; 32]);
        let name = Name::try_from("Psychotherapie".to_owned()).unwrap();
        let sealed = key
            .seal_collection_name(&OperatingSystem, &name, &PATIENT, &CollectionId::DEFAULT)
            .unwrap();
        assert_eq!(sealed.len(), 64 + committed::OVERHEAD);
        let open = |key: &VaultRootKey, patient, collection, sealed: &[u8]| {
            key.open_collection_name(sealed, patient, collection)
        };
        assert_eq!(
            open(&key, &PATIENT, &CollectionId::DEFAULT, &sealed),
            Ok(name.clone())
        );
        let other = VaultRootKey::from_bytes(&[8; 32]);
        let stranger = PatientId::from_bytes([2; 32]);
        for opened in [
            open(&other, &PATIENT, &CollectionId::DEFAULT, &sealed),
            open(&key, &stranger, &CollectionId::DEFAULT, &sealed),
            open(&key, &PATIENT, &CollectionId::EMERGENCY, &sealed),
        ] {
            assert_eq!(opened, Err(Error::Open));
        }
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(
                open(&key, &PATIENT, &CollectionId::DEFAULT, &flipped),
                Err(Error::Open)
            );
        }
        let long = Name::try_from("n".repeat(61)).unwrap();
        let sealed = key
            .seal_collection_name(&OperatingSystem, &long, &PATIENT, &CollectionId::DEFAULT)
            .unwrap();
        assert_eq!(sealed.len(), 128 + committed::OVERHEAD);
    }

    /// DEV-1
    #[test]
    fn the_name_of_a_device_is_no_name_of_another_or_of_a_collection() {
        let key = VaultRootKey::from_bytes(&[7; 32]);
        let name = Name::try_from("Telephone".to_owned()).unwrap();
        let [device, other] = [[5; 32], [6; 32]].map(DeviceId::from_bytes);
        let sealed = key
            .seal_device_name(&OperatingSystem, &name, &PATIENT, &device)
            .unwrap();
        assert_eq!(key.open_device_name(&sealed, &PATIENT, &device), Ok(name));
        assert_eq!(key.open_device_name(&sealed, &PATIENT, &other), Err(Error::Open));
        let stranger = PatientId::from_bytes([2; 32]);
        assert_eq!(
            key.open_device_name(&sealed, &stranger, &device),
            Err(Error::Open)
        );
        let elsewhere = key.open_name(COLLECTION_NAME, &sealed, &aad(&PATIENT, device.as_bytes()));
        assert_eq!(elsewhere, Err(Error::Open));
    }

    /// DLG-1
    #[test]
    fn the_name_of_a_delegate_belongs_to_one_delegation() {
        let key = VaultRootKey::from_bytes(&[7; 32]);
        let name = Name::try_from("Mother".to_owned()).unwrap();
        let [one, other] = [[5; 16], [6; 16]].map(DelegationId::from_bytes);
        let sealed = key
            .seal_delegate_name(&OperatingSystem, &name, &PATIENT, &one)
            .unwrap();
        assert_eq!(key.open_delegate_name(&sealed, &PATIENT, &one), Ok(name));
        assert_eq!(
            key.open_delegate_name(&sealed, &PATIENT, &other),
            Err(Error::Open)
        );
        let collection = CollectionId::from_bytes([5; 16]);
        assert_eq!(
            key.open_collection_name(&sealed, &PATIENT, &collection),
            Err(Error::Open)
        );
    }
}
