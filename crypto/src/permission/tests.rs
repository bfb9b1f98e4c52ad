//! One test for each thing that a permission key is bound to, by getting it wrong.

use bytes::Bytes;

use super::*;
use crate::{OperatingSystem, RecipientSecret};

const ID: PermissionId = PermissionId::from_bytes([1; 16]);
const BODY: &[u8] = b"exact bytes of a body";

struct Sealed {
    recipient: RecipientSecret,
    possession: IdentityKey,
    wrap: SealedBytes,
}

fn data_keys(count: u8) -> Vec<DataKey> {
    (0..count).map(|i| DataKey::from_bytes(&[i; 32])).collect()
}

fn sealed(keys: &impl Granted) -> Sealed {
    let recipient = RecipientSecret::generate(&OperatingSystem).unwrap();
    let key = PermissionKey::mint(&OperatingSystem, &ID, keys).unwrap();
    let possession = key.possession();
    let wrap = key.seal(&OperatingSystem, recipient.public(), BODY).unwrap();
    Sealed {
        recipient,
        possession,
        wrap,
    }
}

impl Sealed {
    fn expected(&self, keys: usize) -> ExpectedPermission<'_> {
        ExpectedPermission {
            body: BODY,
            id: &ID,
            keys,
            conditions: false,
            possession: &self.possession,
        }
    }

    fn open(&self, expected: &ExpectedPermission<'_>) -> Result<OpenedPermission<Vec<DataKey>>, Error> {
        OpenedPermission::open(&self.recipient, &self.wrap, expected)
    }

    fn refuses(&self, expected: ExpectedPermission<'_>) {
        assert_eq!(self.open(&expected).err(), Some(Error::Open));
    }
}

#[test]
fn the_institution_gets_the_keys_and_can_prove_it() {
    for count in [1, 2, 3, 100] {
        let sealed = sealed(&data_keys(count));
        let opened = sealed.open(&sealed.expected(count.into())).unwrap();
        assert_eq!(opened.keys, data_keys(count));
        let signature = opened.possession.sign_bytes(b"challenge");
        assert_eq!(sealed.possession.verify(b"challenge", &signature), Ok(()));
    }
}

#[test]
fn an_upload_permission_gives_an_upload_key() {
    let sealed = sealed(&UploadKey::from_bytes(&[7; 32]));
    let opened: OpenedPermission<UploadKey> =
        OpenedPermission::open(&sealed.recipient, &sealed.wrap, &sealed.expected(1)).unwrap();
    assert_eq!(opened.keys, UploadKey::from_bytes(&[7; 32]));
}

/// CND-10: behind the keys, and nowhere else; it is part of what the possession key is made of.
#[test]
fn the_key_of_conditions_comes_behind_the_others() {
    let recipient = RecipientSecret::generate(&OperatingSystem).unwrap();
    let conditions = ConditionsKey::from_bytes(&[9; 32]);
    let key = PermissionKey::mint_with(&OperatingSystem, &ID, &data_keys(2), Some(&conditions)).unwrap();
    let sealed = Sealed {
        possession: key.possession(),
        wrap: key.seal(&OperatingSystem, recipient.public(), BODY).unwrap(),
        recipient,
    };
    let expected = ExpectedPermission {
        conditions: true,
        ..sealed.expected(2)
    };
    let opened = sealed.open(&expected).unwrap();
    assert_eq!((opened.keys, opened.conditions), (data_keys(2), Some(conditions)));
    sealed.refuses(ExpectedPermission { keys: 1, ..expected });
    sealed.refuses(ExpectedPermission { keys: 3, ..expected });
    sealed.refuses(ExpectedPermission {
        conditions: false,
        ..expected
    });
}

#[test]
fn an_upload_permission_with_several_keys_is_refused() {
    let sealed = sealed(&data_keys(2));
    let opened = OpenedPermission::<UploadKey>::open(&sealed.recipient, &sealed.wrap, &sealed.expected(2));
    assert_eq!(opened.err(), Some(Error::Open));
}

/// PRM-5, PRM-7, PRM-8, ATK-23
#[test]
fn open_rejects_wrong_body_id_count_and_possession_key() {
    let sealed = sealed(&data_keys(3));
    let other = SigningIdentity::generate(&OperatingSystem).unwrap().public();
    let right = sealed.expected(3);
    sealed.refuses(ExpectedPermission {
        body: b"exact bytes of a bodz",
        ..right
    });
    sealed.refuses(ExpectedPermission {
        id: &PermissionId::from_bytes([2; 16]),
        ..right
    });
    sealed.refuses(ExpectedPermission {
        possession: &other,
        ..right
    });
    for keys in [0, 1, 2, 4, 7, 8, usize::MAX] {
        sealed.refuses(ExpectedPermission { keys, ..right });
    }
    assert!(sealed.open(&right).is_ok());
}

/// PRM-6, ATK-24, ATK-10
#[test]
fn open_rejects_wrong_recipient_enc_and_ciphertext() {
    let a = sealed(&data_keys(3));
    let b = sealed(&data_keys(3));
    let stranger = OpenedPermission::<Vec<DataKey>>::open(&b.recipient, &a.wrap, &a.expected(3));
    assert_eq!(stranger.err(), Some(Error::Open));
    for wrap in [
        SealedBytes {
            enc: b.wrap.enc.clone(),
            ..a.wrap.clone()
        },
        SealedBytes {
            ciphertext: b.wrap.ciphertext.clone(),
            ..a.wrap.clone()
        },
        b.wrap.clone(),
        SealedBytes {
            ciphertext: a.wrap.ciphertext.slice(..64),
            ..a.wrap.clone()
        },
    ] {
        let opened = OpenedPermission::<Vec<DataKey>>::open(&a.recipient, &wrap, &a.expected(3));
        assert_eq!(opened.err(), Some(Error::Open));
    }
}

/// PRM-8, ATK-36: a patient who frames an institution with keys that are not those of the body fails as early as an attacker.
#[test]
fn open_rejects_other_keys_or_secret_than_the_possession_key_commits_to() {
    let sealed = sealed(&data_keys(3));
    let mut keys = data_keys(3);
    keys.swap(0, 1);
    let swapped = PermissionKey::mint(&OperatingSystem, &ID, &keys)
        .unwrap()
        .seal(&OperatingSystem, sealed.recipient.public(), BODY)
        .unwrap();
    let opened = OpenedPermission::<Vec<DataKey>>::open(&sealed.recipient, &swapped, &sealed.expected(3));
    assert_eq!(opened.err(), Some(Error::Open));
}

/// ATK-36: the wrap alone would give the institution those keys, and what they do not open would be its fault.
#[test]
fn without_the_possession_key_other_keys_are_taken() {
    let sealed = sealed(&data_keys(3));
    let mut keys = data_keys(3);
    keys.swap(0, 1);
    let swapped = PermissionKey::mint(&OperatingSystem, &ID, &keys)
        .unwrap()
        .seal(&OperatingSystem, sealed.recipient.public(), BODY)
        .unwrap();
    assert!(wrap::unwrap(&sealed.recipient, info(BODY), &swapped).is_ok());
}

/// PRM-8
#[test]
fn open_rejects_padding_that_is_not_zero_and_sizes_that_are_no_class() {
    let recipient = RecipientSecret::generate(&OperatingSystem).unwrap();
    let key = PermissionKey::mint(&OperatingSystem, &ID, &data_keys(2)).unwrap();
    let possession = key.possession();
    let expected = ExpectedPermission {
        body: BODY,
        id: &ID,
        keys: 2,
        conditions: false,
        possession: &possession,
    };
    let seal = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut plaintext = key.material.to_vec();
        plaintext.resize(128, 0);
        change(&mut plaintext);
        let wrap = wrap::wrap(&OperatingSystem, recipient.public(), info(BODY), &plaintext).unwrap();
        OpenedPermission::<Vec<DataKey>>::open(&recipient, &wrap, &expected).err()
    };
    assert_eq!(seal(&|_| ()), None);
    assert_eq!(seal(&|plaintext| plaintext[127] = 1), Some(Error::Open));
    assert_eq!(seal(&|plaintext| plaintext.resize(256, 0)), Some(Error::Open));
    assert_eq!(seal(&|plaintext| plaintext.truncate(96)), Some(Error::Open));
}

/// ATK-56
#[test]
fn sizes_tell_only_the_class() {
    let lengths = [1, 2, 3, 4, 7, 8].map(|count| sealed(&data_keys(count)).wrap.ciphertext.len() - 16);
    assert_eq!(lengths, [64, 128, 128, 256, 256, 512]);
}

#[test]
fn as_many_records_as_a_permission_may_name_fit_and_none_do_not() {
    let most = (0..protocol_spec::permission::MAX_RECORDS)
        .map(|_| DataKey::from_bytes(&[1; 32]))
        .collect::<Vec<_>>();
    assert!(PermissionKey::mint(&OperatingSystem, &ID, &most).is_ok());
    assert!(matches!(
        PermissionKey::mint(&OperatingSystem, &ID, &data_keys(0)),
        Err(Error::Malformed { .. })
    ));
    let too_many = (0..9000)
        .map(|_| DataKey::from_bytes(&[1; 32]))
        .collect::<Vec<_>>();
    assert!(matches!(
        PermissionKey::mint(&OperatingSystem, &ID, &too_many),
        Err(Error::TooLong { .. })
    ));
}

#[test]
fn the_possession_key_depends_on_secret_keys_order_and_id() {
    let public = |secret: u8, keys: &Vec<DataKey>, id: u8| {
        let secret = PermissionSecret::from_bytes(&[secret; 32]);
        PermissionKey::assemble(&PermissionId::from_bytes([id; 16]), &secret, keys, None)
            .unwrap()
            .possession()
    };
    let mut swapped = data_keys(2);
    swapped.swap(0, 1);
    let all = [
        public(1, &data_keys(2), 1),
        public(2, &data_keys(2), 1),
        public(1, &data_keys(1), 1),
        public(1, &swapped, 1),
        public(1, &data_keys(2), 2),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(all.iter().skip(i + 1).all(|b| a != b));
    }
}

#[test]
fn malformed_encapsulations_are_told_apart_from_wrong_ones() {
    let sealed = sealed(&data_keys(1));
    let wrap = SealedBytes {
        enc: Bytes::new(),
        ..sealed.wrap.clone()
    };
    let opened = OpenedPermission::<Vec<DataKey>>::open(&sealed.recipient, &wrap, &sealed.expected(1));
    assert!(matches!(opened, Err(Error::Malformed { .. })));
}

#[test]
fn debug_shows_public_keys_alone() {
    let key =
        PermissionKey::assemble(&ID, &PermissionSecret::from_bytes(&[1; 32]), &data_keys(1), None).unwrap();
    insta::assert_snapshot!(format!("{key:?}"), @"PermissionKey { possession: IdentityKey(3c5d1c5863e57fa9654407117f3a00400ebcef2c37294d1ea5b565ebd98fc5aa), .. }");
    let opened = OpenedPermission {
        possession: SigningIdentity::from_seed(&[2; 32]).unwrap(),
        keys: data_keys(1),
        conditions: None,
    };
    insta::assert_snapshot!(format!("{opened:?}"), @"OpenedPermission { possession: SigningIdentity { public: IdentityKey(8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394), .. }, .. }");
}
