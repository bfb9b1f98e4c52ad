//! Collections of records and the epochs of their keys. See `spec/collections.md`.

pub use crate::parts::collection::{Collection, CollectionSelector};
use crate::{
    Error,
    bodies::{Placement, UploadReceipt},
    ids::PatientId,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
};

impl CollectionSelector {
    /// Believes a placement that a server shows under a permission over this collection of this patient's: it
    /// must be hers, be covered, and name what the upload receipt says (COL-8).
    pub fn verify_placement(
        &self,
        placement: PatientSigned<Placement>,
        patient: PatientId,
        receipt: &UploadReceipt,
    ) -> Result<PatientVerified<Placement>, Error> {
        let placement = placement.verify()?;
        let what = "placement and permission";
        if placement.patient_id != patient || !self.covers(placement.collection_id, placement.number) {
            return Err(Error::Mismatch { what });
        }
        if placement.names(receipt) {
            Ok(placement)
        } else {
            Err(Error::Mismatch {
                what: "placement and upload receipt",
            })
        }
    }
}

/// Whether a permission, or a placement, names a collection's current epoch; none where there is no such collection
/// (COL-4, COL-6). Refused as `epoch-mismatch`.
pub fn check_current(current: Option<u64>, named: u64) -> Result<(), Problem> {
    if current == Some(named) {
        Ok(())
    } else {
        Err(Problem::EpochMismatch)
    }
}

/// Whether an epoch is the one that comes next: 0 of an unknown collection, else the one after the
/// current (COL-1). Refused as `epoch-mismatch`.
pub fn check_next(current: Option<u64>, opened: u64) -> Result<(), Problem> {
    let next = match current {
        None => Some(0),
        Some(current) => current.checked_add(1),
    };
    check_current(next, opened)
}

impl Placement {
    /// Whether it is of the record version that a receipt is for.
    pub fn names(&self, receipt: &UploadReceipt) -> bool {
        self.patient_id == receipt.patient_id
            && self.record_id == receipt.record_id
            && self.version_id == receipt.version_id
            && self.content_root == receipt.content_root
            && self.stream_len == receipt.stream_len
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::ids::CollectionId;
    use crate::{
        bodies::DeviceCertificate,
        hash::{ContentRoot, Sha256Digest},
        ids::{InstitutionId, OperatorId, PermissionId, RecordId, UploadId, VersionId},
        keys::IdentityKey,
        patient::DeviceChain,
        statement::{Body, Signed},
        tags::{RecordTags, Token},
    };

    const SELECTOR: CollectionSelector = CollectionSelector {
        collection: Collection::DEFAULT,
        until: Some(7),
    };

    /// COL-6
    #[test]
    fn a_selector_covers_its_collection_up_to_its_last_placement() {
        assert!(SELECTOR.covers(CollectionId::DEFAULT, 7));
        assert!(!SELECTOR.covers(CollectionId::DEFAULT, 8));
        assert!(!SELECTOR.covers(CollectionId::EMERGENCY, 7));
        let open = CollectionSelector {
            until: None,
            ..SELECTOR
        };
        assert!(open.covers(CollectionId::DEFAULT, u64::MAX));
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn public(seed: u8) -> IdentityKey {
        IdentityKey::try_from(key(seed).verifying_key().as_bytes().as_slice()).unwrap()
    }

    fn signed<T: Body>(seed: u8, body: T) -> Signed<T> {
        Signed::sign(body, |message| key(seed).sign(message).to_bytes())
    }

    fn patient() -> PatientId {
        PatientId::from(&public(1))
    }

    fn receipt() -> UploadReceipt {
        UploadReceipt {
            created: 1,
            operator_id: OperatorId::from_bytes([1; 32]),
            upload_id: UploadId::from_bytes([1; 16]),
            permission_id: PermissionId::from_bytes([1; 16]),
            patient_id: patient(),
            institution_id: InstitutionId::from_bytes([1; 32]),
            record_id: RecordId::from_bytes([2; 16]),
            version_id: VersionId::from_bytes([3; 16]),
            content_root: ContentRoot::from_bytes([4; 32]),
            stream_len: 72,
            sealed_manifest_hash: Sha256Digest::of(b""),
            presentation_hash: Sha256Digest::of(b""),
            replaces: None,
            vault_head: None,
        }
    }

    /// Of the receipt's record, by device 2 of patient 1, after a change.
    fn placed(device: u8, change: impl FnOnce(&mut Placement)) -> PatientSigned<Placement> {
        let receipt = receipt();
        let certificate = DeviceCertificate {
            created: 1,
            patient_id: patient(),
            device_key: public(2),
            recipient_key_hash: Sha256Digest::of(b"recipient key"),
        };
        let mut body = Placement {
            created: 1,
            patient_id: receipt.patient_id,
            record_id: receipt.record_id,
            version_id: receipt.version_id,
            content_root: receipt.content_root,
            stream_len: receipt.stream_len,
            collection_id: CollectionId::DEFAULT,
            number: 7,
            tags: RecordTags::new(&[Token::from_bytes([1; 16]); 35], &receipt.version_id).unwrap(),
        };
        change(&mut body);
        PatientSigned::new(
            signed(device, body),
            DeviceChain::first(public(1), signed(1, certificate)),
        )
    }

    /// COL-8: what each part of the check keeps out; unchanged, the placement is believed.
    #[test]
    fn a_placement_that_says_anything_else_is_refused() {
        let verify = |placement| SELECTOR.verify_placement(placement, patient(), &receipt());
        assert!(verify(placed(2, |_| ())).is_ok());
        assert!(verify(placed(3, |_| ())).is_err(), "another device's signature");
        let changes: [fn(&mut Placement); 7] = [
            |placement| placement.patient_id = PatientId::from_bytes([9; 32]),
            |placement| placement.record_id = RecordId::from_bytes([9; 16]),
            |placement| placement.version_id = VersionId::from_bytes([9; 16]),
            |placement| placement.content_root = ContentRoot::from_bytes([9; 32]),
            |placement| placement.stream_len += 16,
            |placement| placement.collection_id = CollectionId::EMERGENCY,
            |placement| placement.number = 8,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(verify(placed(2, change)).is_err(), "change {number}");
        }
        let other = SELECTOR.verify_placement(placed(2, |_| ()), PatientId::from_bytes([9; 32]), &receipt());
        assert!(other.is_err(), "another patient's permission");
    }
}
