//! Collection keys on their way to a delegate. See `spec/delegates.md` §2.

use protocol_spec::{
    collection::Collection, field::SealedBytes, hash::Sha256Digest, ids::PatientId, keys::RecipientKey,
    labels,
};

use crate::{
    CollectionKey, Error, SecureRandom,
    wrap::{self, Info, Opens},
};

/// Where a delegate's collection key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelegatedKeyContext {
    /// The patient who owns the collection.
    pub owner: PatientId,
    /// Whose vault key opens it.
    pub delegate: PatientId,
    /// SHA-256 of the delegation's body.
    pub delegation: Sha256Digest,
    /// Which collection, and which of its keys.
    pub collection: Collection,
}

impl DelegatedKeyContext {
    /// info = SHA-256 (LABEL(WRAP_DELEGATED_KEY) ‖ owner ‖ delegate ‖ SHA-256 of the delegation ‖ collection ‖ u64be(epoch))
    fn info(&self) -> Info {
        let Self {
            owner,
            delegate,
            delegation,
            collection: Collection { id, epoch },
        } = self;
        let context: [&[u8]; 5] = [
            owner.as_bytes(),
            delegate.as_bytes(),
            delegation.as_bytes(),
            id.as_bytes(),
            &epoch.to_be_bytes(),
        ];
        Info::new(labels::WRAP_DELEGATED_KEY, &context)
    }
}

/// Seals a collection key to a delegate's vault key (DLG-3).
pub fn seal_delegated_key(
    random: &dyn SecureRandom,
    to: &RecipientKey,
    context: &DelegatedKeyContext,
    key: &CollectionKey,
) -> Result<SealedBytes, Error> {
    wrap::wrap(random, to, context.info(), key.expose())
}

/// Opens a collection key. Anybody can seal one: whose it is, the statement says that carries it.
pub fn open_delegated_key<R: Opens>(
    with: &R,
    context: &DelegatedKeyContext,
    sealed: &SealedBytes,
) -> Result<CollectionKey, R::Error> {
    let plaintext = with.open_sealed(&context.info(), sealed)?;
    let key = plaintext.as_slice().try_into().map_err(|_| Error::Open)?;
    Ok(CollectionKey::from_bytes(key))
}

#[cfg(test)]
mod tests {
    use protocol_spec::ids::CollectionId;

    use super::*;
    use crate::{OperatingSystem, RecipientSecret};

    const CONTEXT: DelegatedKeyContext = DelegatedKeyContext {
        owner: PatientId::from_bytes([1; 32]),
        delegate: PatientId::from_bytes([2; 32]),
        delegation: Sha256Digest::from_bytes([3; 32]),
        collection: Collection::DEFAULT,
    };

    /// DLG-3, ATK-24
    #[test]
    fn open_rejects_wrong_owner_delegate_delegation_collection_epoch_and_key() {
        let delegate = RecipientSecret::generate(&OperatingSystem).unwrap();
        let key = CollectionKey::from_bytes(&[7; 32]);
        let sealed = seal_delegated_key(&OperatingSystem, delegate.public(), &CONTEXT, &key).unwrap();
        let open = |with: &RecipientSecret, context| {
            open_delegated_key(with, &context, &sealed).map(|key| *key.expose())
        };
        assert_eq!(open(&delegate, CONTEXT), Ok([7; 32]));
        let stranger = PatientId::from_bytes([9; 32]);
        let elsewhere = |id, epoch| DelegatedKeyContext {
            collection: Collection { id, epoch },
            ..CONTEXT
        };
        let wrong = [
            DelegatedKeyContext {
                owner: stranger,
                ..CONTEXT
            },
            DelegatedKeyContext {
                delegate: stranger,
                ..CONTEXT
            },
            DelegatedKeyContext {
                delegation: Sha256Digest::from_bytes([9; 32]),
                ..CONTEXT
            },
            elsewhere(CollectionId::EMERGENCY, 0),
            elsewhere(CollectionId::DEFAULT, 1),
        ];
        for context in wrong {
            assert_eq!(open(&delegate, context), Err(Error::Open), "{context:?}");
        }
        assert_eq!(
            open(&RecipientSecret::generate(&OperatingSystem).unwrap(), CONTEXT),
            Err(Error::Open)
        );
        let short = wrap::wrap(&OperatingSystem, delegate.public(), CONTEXT.info(), &[7; 31]).unwrap();
        assert_eq!(
            open_delegated_key(&delegate, &CONTEXT, &short).map(drop),
            Err(Error::Open)
        );
    }
}
