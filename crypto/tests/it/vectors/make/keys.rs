//! Wrapped and derived keys.

use crypto::{Collection, CollectionKey, DataKey, OperatingSystem, UploadKey, VaultRootKey, WrappedKey};
use protocol_spec::ids::{CollectionId, PatientId, PermissionId, VersionId};

use super::{Cases, bytes, flipped, record};
use crate::vectors::case::{Case, Check, Hex};

const CHILD: [u8; 16] = [0xc0; 16];

fn wrap(wrapped: &WrappedKey) -> Hex {
    Hex(wrapped.as_bytes().to_vec())
}

fn data_key_wrap() -> Hex {
    let key = DataKey::from_bytes(&[0xd0; 32]);
    let version = VersionId::from_bytes(CHILD);
    wrap(
        &CollectionKey::from_bytes(&[0xe0; 32])
            .wrap_data_key(&OperatingSystem, &key, &Collection::DEFAULT, &version)
            .unwrap(),
    )
}

fn unwrap_data_key(wrap: Hex) -> Check {
    let (collection_key, version) = (bytes(0xe0, 32), Hex(CHILD.to_vec()));
    Check::UnwrapDataKey {
        collection_key,
        version,
        collection: bytes(0, 16),
        epoch: 0,
        wrap,
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    succeeding(&mut cases);
    failing(&mut cases);
    cases.0
}

fn succeeding(cases: &mut Cases) {
    let collection_key = CollectionKey::from_bytes(&[0xe0; 32]);
    let patient = PatientId::from_bytes([0xa0; 32]);
    let root = VaultRootKey::from_bytes(&[0xf0; 32]);
    let wrapped = root
        .wrap_collection_key(&OperatingSystem, &collection_key, &patient, &Collection::DEFAULT)
        .unwrap();
    let check = Check::UnwrapCollectionKey {
        vault_root_key: bytes(0xf0, 32),
        patient: bytes(0xa0, 32),
        collection: bytes(0, 16),
        epoch: 0,
        wrap: wrap(&wrapped),
    };
    cases.success(
        "collection-key",
        "KEY-12",
        "role 1: under the vault root key",
        check,
    );
    cases.success(
        "data-key",
        "KEY-12",
        "role 2: under the collection key",
        unwrap_data_key(data_key_wrap()),
    );
    cases.success(
        "upload-key",
        "KEY-12",
        "role 3: under the collection key",
        upload_key(0x0102_0304_0506_0708),
    );
    let check = Check::RecordKey {
        upload_key: bytes(0x90, 32),
        patient: record().patient,
        record: record().record,
        version: record().version,
    };
    cases.success(
        "record-key",
        "KEY-14",
        "a data key derived from an upload key",
        check,
    );
}

fn upload_key(epoch: u64) -> Check {
    let collection = Collection {
        id: CollectionId::from_bytes([7; 16]),
        epoch,
    };
    let wrapped = CollectionKey::from_bytes(&[0xe0; 32])
        .wrap_upload_key(
            &OperatingSystem,
            &UploadKey::from_bytes(&[0x90; 32]),
            &collection,
            &PermissionId::from_bytes(CHILD),
        )
        .unwrap();
    Check::UnwrapUploadKey {
        collection_key: bytes(0xe0, 32),
        permission: Hex(CHILD.to_vec()),
        collection: bytes(7, 16),
        epoch,
        wrap: wrap(&wrapped),
    }
}

fn failing(cases: &mut Cases) {
    let good = data_key_wrap();
    let (key, child, default) = (bytes(0xe0, 32), Hex(CHILD.to_vec()), bytes(0, 16));
    let check = |collection_key: &Hex, version: &Hex, collection: &Hex, epoch: u64| Check::UnwrapDataKey {
        collection_key: collection_key.clone(),
        version: version.clone(),
        collection: collection.clone(),
        epoch,
        wrap: good.clone(),
    };
    let mut wrong =
        |name: &str, rule: &str, what: &str, check: Check| cases.open_failure(name, rule, what, check);
    wrong(
        "wrong-key",
        "KEY-13",
        "another collection key",
        check(&bytes(1, 32), &child, &default, 0),
    );
    wrong(
        "wrong-child",
        "KEY-12",
        "another version",
        check(&key, &bytes(1, 16), &default, 0),
    );
    wrong(
        "wrong-parent",
        "KEY-12",
        "another collection",
        check(&key, &child, &bytes(1, 16), 0),
    );
    wrong(
        "wrong-epoch",
        "KEY-12",
        "the next epoch",
        check(&key, &child, &default, 1),
    );
    let wrong_role = Check::UnwrapUploadKey {
        collection_key: key.clone(),
        permission: child.clone(),
        collection: default.clone(),
        epoch: 0,
        wrap: good.clone(),
    };
    wrong(
        "wrong-role",
        "KEY-12",
        "a data key opened as an upload key of the same id",
        wrong_role,
    );
    for (name, what, at) in [
        ("flipped-salt", "first byte of the salt", 0),
        ("flipped-commitment", "first byte of the commitment", 24),
        ("flipped-key", "first byte of the wrapped key", 56),
        ("flipped-tag", "last byte of the tag", 103),
    ] {
        wrong(name, "KEY-13", what, unwrap_data_key(flipped(&good, at)));
    }
    let short = Hex(good.0[..103].to_vec());
    cases.malformed("shorter-by-one", "KEY-12", "103 bytes", unwrap_data_key(short));
}
