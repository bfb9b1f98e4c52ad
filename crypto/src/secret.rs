//! Symmetric keys, one type for each purpose, so that a key that wraps keys cannot seal content and a
//! content key cannot wrap keys. See `spec/keys.md` §9.
//!
//! All are 32 uniformly random bytes on the heap (moving one copies a pointer, not the key), wiped when
//! dropped, compared in constant time, and never printed.

use std::fmt;

use protocol_spec::{
    hash::Sha256Digest,
    ids::{PatientId, RecordId, VersionId},
    labels,
};
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{Error, SecureRandom, kdf};

macro_rules! secret {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(Box<Zeroizing<[u8; 32]>>);

        impl $name {
            /// A key of 32 fresh random bytes.
            pub fn generate(random: &dyn SecureRandom) -> Result<Self, Error> {
                random.secret().map(Box::new).map(Self)
            }

            /// Takes over 32 bytes that an earlier run exposed.
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                Self(Box::new(Zeroizing::new(*bytes)))
            }

            /// The bytes, to be stored sealed and nothing else.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose().ct_eq(other.expose()).into()
            }
        }

        impl Eq for $name {}

        impl ZeroizeOnDrop for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(_) = self;
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}

secret! {
    /// DEK: seals one version of one record, two streams of it, each once: its content and its manifest,
    /// which differ in class and have salts of their own. Never wraps a key, never seals a second version.
    DataKey;
    /// UK: minted for one upload permission, given to one institution; never seals anything. The data keys
    /// of the records uploaded under the permission are derived from it, one for each record version.
    UploadKey;
    /// CK: wraps the data keys and upload keys of one collection in one epoch, any number of them (each wrap
    /// derives a key of its own from a 24-byte random salt). Never seals content.
    CollectionKey;
    /// VRK: wraps the collection keys of one vault in one epoch, any number of them, and the root key before it;
    /// the vault key, to which everybody seals, is derived from it. Never seals content.
    VaultRootKey;
    /// Makes a permission key more than the data keys in it: whoever held the same data keys before cannot
    /// present this permission. Used once, to derive the possession key.
    PermissionSecret;
    /// Derives the tokens of one vault's records, and the keys of its permissions' conditions, any number of them.
    /// No permission gives it away.
    TagKey;
    /// Seals the conditions of one permission, once. Given to its institution.
    ConditionsKey;
    /// Proves to the server that the holder of an accredited X-Wing key enrols. Shown once.
    AccreditationSecret;
    /// Of one recovery member: its keys are derived from it, its words say it, its shares divide it. Never on any
    /// machine but while it is made or used.
    RecoverySecret;
    /// The first half of an emergency key, on a card or with a guardian: its card key and, with the other half, the key
    /// that opens are derived from it. The patient's devices keep none.
    CardHalf;
    /// The second half of an emergency key, which the server keeps.
    ServerHalf;
}

impl UploadKey {
    /// The data key of one record version uploaded under this key's permission (KEY-14).
    ///
    /// `DEK = HKDF-Expand-SHA-512 (UK, LABEL(RECORD_KEY) ‖ patient ‖ record ‖ version, 32)`
    pub fn record_key(&self, patient: &PatientId, record: &RecordId, version: &VersionId) -> DataKey {
        let info: [&[u8]; 4] = [
            &labels::RECORD_KEY.bytes(),
            patient.as_bytes(),
            record.as_bytes(),
            version.as_bytes(),
        ];
        DataKey(Box::new(kdf::expand(self.expose(), &info)))
    }
}

impl AccreditationSecret {
    /// SHA-256 of the secret, as the accreditation names it.
    pub fn hash(&self) -> Sha256Digest {
        Sha256Digest::of(self.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    const fn wiped_when_dropped<T: ZeroizeOnDrop>() {}
    const _: () = {
        wiped_when_dropped::<DataKey>();
        wiped_when_dropped::<UploadKey>();
        wiped_when_dropped::<CollectionKey>();
        wiped_when_dropped::<VaultRootKey>();
        wiped_when_dropped::<PermissionSecret>();
        wiped_when_dropped::<TagKey>();
        wiped_when_dropped::<ConditionsKey>();
        wiped_when_dropped::<AccreditationSecret>();
        wiped_when_dropped::<CardHalf>();
        wiped_when_dropped::<ServerHalf>();
    };

    #[test]
    fn debug_shows_no_key() {
        insta::assert_snapshot!(format!("{:?}", DataKey::from_bytes(&[0x41; 32])), @"DataKey(..)");
        insta::assert_snapshot!(format!("{:?}", UploadKey::from_bytes(&[0x41; 32])), @"UploadKey(..)");
        insta::assert_snapshot!(format!("{:?}", CollectionKey::from_bytes(&[0x41; 32])), @"CollectionKey(..)");
        insta::assert_snapshot!(format!("{:?}", VaultRootKey::from_bytes(&[0x41; 32])), @"VaultRootKey(..)");
        insta::assert_snapshot!(format!("{:?}", TagKey::from_bytes(&[0x41; 32])), @"TagKey(..)");
        insta::assert_snapshot!(format!("{:?}", ConditionsKey::from_bytes(&[0x41; 32])), @"ConditionsKey(..)");
        insta::assert_snapshot!(format!("{:?}", PermissionSecret::from_bytes(&[0x41; 32])), @"PermissionSecret(..)");
        insta::assert_snapshot!(format!("{:?}", AccreditationSecret::from_bytes(&[0x41; 32])), @"AccreditationSecret(..)");
    }

    #[test]
    fn generated_keys_differ_and_round_trip() {
        let key = DataKey::generate(&OperatingSystem).unwrap();
        assert_ne!(key, DataKey::generate(&OperatingSystem).unwrap());
        assert_eq!(key, DataKey::from_bytes(key.expose()));
    }

    /// KEY-14
    #[test]
    fn record_keys_differ_in_every_id() {
        let key = UploadKey::from_bytes(&[1; 32]);
        let other = UploadKey::from_bytes(&[2; 32]);
        let (patient, record, version) = (
            PatientId::from_bytes([3; 32]),
            RecordId::from_bytes([4; 16]),
            VersionId::from_bytes([5; 16]),
        );
        let keys = [
            key.record_key(&patient, &record, &version),
            other.record_key(&patient, &record, &version),
            key.record_key(&PatientId::from_bytes([6; 32]), &record, &version),
            key.record_key(&patient, &RecordId::from_bytes([6; 16]), &version),
            key.record_key(&patient, &record, &VersionId::from_bytes([6; 16])),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys.iter().skip(i + 1).all(|b| a != b));
        }
        assert_eq!(keys[0], key.record_key(&patient, &record, &version));
    }
}
