use super::*;
use bytes::Bytes;

use crate::{
    field::Field,
    ids::{CollectionId, PatientId},
};
use crate::{
    hash::Sha256Digest,
    ids::{DelegationId, OperatorId},
};

fn collection(byte: u8) -> CollectionId {
    CollectionId::from_bytes([byte; 16])
}

/// DLG-1
#[test]
fn a_scope_is_some_collections_and_never_own() {
    let scope = Scope::new(vec![collection(3), collection(1), collection(3)]).unwrap();
    assert_eq!(scope.ids(), [collection(1), collection(3)]);
    assert!(scope.has(collection(3)) && !scope.has(collection(2)));
    assert!(Scope::new(Vec::new()).is_err());
    assert!(Scope::new(vec![CollectionId::OWN, collection(1)]).is_err());
    let many = |count: u8| Scope::new((3..3 + count).map(collection).collect());
    assert!(many(64).is_ok() && many(65).is_err());
}

/// DLG-5
#[test]
fn a_delegation_holds_from_its_first_to_its_last_millisecond() {
    let delegation = Delegation {
        created: 1,
        operator_id: OperatorId::from_bytes([1; 32]),
        delegation_id: DelegationId::from_bytes([1; 16]),
        patient_id: PatientId::from_bytes([1; 32]),
        delegate_id: PatientId::from_bytes([2; 32]),
        power: Power::Read,
        collections: Scope::new(vec![collection(1)]).unwrap(),
        not_before: 10,
        not_after: 20,
        root_epoch: 0,
        sealed_name: SealedName::try_from(vec![0; 136]).unwrap(),
    };
    let at = |now| delegation.check_time(now);
    assert_eq!(at(9), Err(Problem::DelegationNotYetValid));
    assert_eq!((at(10), at(19)), (Ok(()), Ok(())));
    assert_eq!(at(20), Err(Problem::DelegationExpired));
}

#[test]
fn to_permit_includes_to_read() {
    assert!(Power::Permit >= Power::Read && Power::Read < Power::Permit);
}

#[test]
fn an_absent_hash_is_none_and_a_short_one_is_refused() {
    let read = |bytes: &'static [u8]| Option::<Sha256Digest>::read(Bytes::from_static(bytes), "hash");
    assert_eq!(read(b""), Ok(None));
    assert_eq!(read(&[7; 32]), Ok(Some(Sha256Digest::from_bytes([7; 32]))));
    assert!(read(&[7; 31]).is_err());
}
