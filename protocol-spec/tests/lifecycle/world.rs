//! The permissions of the model.

use ed25519_dalek::SigningKey;
use protocol_spec::{
    collection::{Collection, CollectionSelector},
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, PatientId, PermissionId},
    keys::IdentityKey,
    permission::{Kind, PermissionBody},
    vault_head::HeadRef,
};

/// See [`crate::model::PERMISSIONS`]. The clock says 0 to 2: the first begins at once, the second at 1; both end at 2.
pub(crate) fn permissions() -> Vec<PermissionBody> {
    [(1, 0), (2, 1), (1, 0)]
        .into_iter()
        .zip(1..)
        .map(|((institution, not_before), id)| PermissionBody {
            created: 0,
            operator_id: OperatorId::from_bytes([9; 32]),
            permission_id: PermissionId::from_bytes([id; 16]),
            kind: Kind::Download,
            patient_id: PatientId::from_bytes([8; 32]),
            institution_id: InstitutionId::from_bytes([institution; 32]),
            directory_entry_hash: Sha256Digest::of(b"entry"),
            recipient_key_hash: Sha256Digest::of(b"key"),
            records: Vec::new(),
            collection: Some(CollectionSelector {
                collection: Collection::DEFAULT,
                until: None,
            }),
            not_before,
            not_after: 2,
            uses: 1,
            bytes: 1,
            request_hash: Sha256Digest::of(b"request"),
            possession_key: identity(),
            replaces: None,
            purpose: None,
            conditions: None,
            vault_head: Some(HEAD),
            delegation: None,
            emergency: None,
        })
        .collect()
}

fn identity() -> IdentityKey {
    let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
    IdentityKey::try_from(key.as_bytes().as_slice()).unwrap()
}

const HEAD: HeadRef = HeadRef {
    sequence: 3,
    hash: Sha256Digest::from_bytes([0x77; 32]),
};
