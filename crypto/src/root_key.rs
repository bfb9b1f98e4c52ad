//! Vault root keys on their way to a patient's devices, and the vault key that follows from each. See
//! `spec/devices.md` §3.

use protocol_spec::{
    field::SealedBytes,
    ids::{DeviceId, PatientId},
    keys::RecipientKey,
    labels,
};

use crate::{
    Error, RecipientSecret, SecureRandom, VaultRootKey, kdf,
    wrap::{self, Info},
};

impl VaultRootKey {
    /// seed = HKDF-Expand-SHA-512 (vault root key, LABEL(VAULT_KEY) ‖ patient id ‖ u64be(epoch), 32): the X-Wing key
    /// to which everybody seals what the patient is to read, on whichever device (DEV-5).
    pub fn vault_key(&self, patient: &PatientId, epoch: u64) -> Result<RecipientSecret, Error> {
        let label = labels::VAULT_KEY.bytes();
        let info = [&label[..], patient.as_bytes(), &epoch.to_be_bytes()];
        RecipientSecret::from_seed(&kdf::expand(self.expose(), &info))
    }
}

/// Where a sealed root key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootKeyContext {
    /// The patient whose vault the key is of.
    pub patient: PatientId,
    /// The epoch of the root key, counted from 0.
    pub epoch: u64,
    /// Whose X-Wing key opens it.
    pub device: DeviceId,
}

impl RootKeyContext {
    /// info = SHA-256 (LABEL(WRAP_ROOT_KEY) ‖ patient id ‖ u64be(epoch) ‖ device id)
    fn info(&self) -> Info {
        let Self {
            patient,
            epoch,
            device,
        } = self;
        let context: [&[u8]; 3] = [patient.as_bytes(), &epoch.to_be_bytes(), device.as_bytes()];
        Info::new(labels::WRAP_ROOT_KEY, &context)
    }
}

/// Seals a root key to one device (DEV-5).
pub fn seal_root_key(
    random: &dyn SecureRandom,
    to: &RecipientKey,
    context: &RootKeyContext,
    key: &VaultRootKey,
) -> Result<SealedBytes, Error> {
    wrap::wrap(random, to, context.info(), key.expose())
}

/// Opens a root key. Anybody can seal one to a device: it is to be used only if the vault key that follows from it
/// is the one in the newest list. Fails with [`Error::Open`], also when another vault key follows
/// from it than `vault_key` (DEV-5).
pub fn open_root_key(
    with: &RecipientSecret,
    context: &RootKeyContext,
    sealed: &SealedBytes,
    vault_key: &RecipientKey,
) -> Result<VaultRootKey, Error> {
    let plaintext = wrap::unwrap(with, context.info(), sealed)?;
    let key = VaultRootKey::from_bytes(plaintext.as_slice().try_into().map_err(|_| Error::Open)?);
    let same = key.vault_key(&context.patient, context.epoch)?.public() == vault_key;
    if protocol_spec::defence::Defence::RootKey.holds(same) {
        Ok(key)
    } else {
        Err(Error::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    const CONTEXT: RootKeyContext = RootKeyContext {
        patient: PatientId::from_bytes([1; 32]),
        epoch: 3,
        device: DeviceId::from_bytes([2; 32]),
    };

    /// DEV-5
    #[test]
    fn a_root_key_opens_for_its_device_patient_and_epoch_alone() {
        let root = VaultRootKey::from_bytes(&[7; 32]);
        let device = RecipientSecret::generate(&OperatingSystem).unwrap();
        let vault_key = root.vault_key(&CONTEXT.patient, CONTEXT.epoch).unwrap();
        let sealed = seal_root_key(&OperatingSystem, device.public(), &CONTEXT, &root).unwrap();
        let open = |with: &RecipientSecret, context: RootKeyContext| {
            open_root_key(with, &context, &sealed, vault_key.public())
        };
        assert_eq!(open(&device, CONTEXT), Ok(VaultRootKey::from_bytes(&[7; 32])));
        assert_eq!(
            open(&RecipientSecret::generate(&OperatingSystem).unwrap(), CONTEXT),
            Err(Error::Open)
        );
        let wrong = [
            RootKeyContext {
                patient: PatientId::from_bytes([9; 32]),
                ..CONTEXT
            },
            RootKeyContext { epoch: 4, ..CONTEXT },
            RootKeyContext {
                device: DeviceId::from_bytes([9; 32]),
                ..CONTEXT
            },
        ];
        for context in wrong {
            assert_eq!(open(&device, context), Err(Error::Open), "{context:?}");
        }
    }

    /// DEV-5, ATK-2: anybody can seal to a device; nobody else can make the key that the list names.
    #[test]
    fn a_root_key_of_somebody_elses_making_is_refused() {
        let device = RecipientSecret::generate(&OperatingSystem).unwrap();
        let own = VaultRootKey::from_bytes(&[7; 32]);
        let vault_key = own.vault_key(&CONTEXT.patient, CONTEXT.epoch).unwrap();
        let forged = VaultRootKey::from_bytes(&[8; 32]);
        let sealed = seal_root_key(&OperatingSystem, device.public(), &CONTEXT, &forged).unwrap();
        assert_eq!(
            open_root_key(&device, &CONTEXT, &sealed, vault_key.public()),
            Err(Error::Open)
        );
    }

    #[test]
    fn each_patient_and_epoch_has_a_vault_key_of_its_own() {
        let root = VaultRootKey::from_bytes(&[7; 32]);
        let key = |patient, epoch| {
            root.vault_key(&PatientId::from_bytes([patient; 32]), epoch)
                .unwrap()
        };
        assert_eq!(key(1, 0).public(), key(1, 0).public());
        assert_ne!(key(1, 0).public(), key(1, 1).public());
        assert_ne!(key(1, 0).public(), key(2, 0).public());
    }
}
