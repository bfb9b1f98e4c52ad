use crypto::{OperatingSystem, seal_text};
use protocol_spec::ids::{InstitutionId, PatientId, RequestId};

use super::*;
use crate::Error;
use crate::{
    Unlock,
    home::{ClosedHome, Kind, Principal},
};

const REQUEST: RequestId = RequestId::from_bytes([1; 16]);

fn context() -> TextContext {
    TextContext::to_institution(
        REQUEST,
        &PatientId::from_bytes([2; 32]),
        &InstitutionId::from_bytes([3; 32]),
    )
}

fn file_store(dir: &std::path::Path) -> (ClosedHome, Unlock, FileKeyStore) {
    let (home, unlock) = (ClosedHome::at(dir), Unlock::KeyFile(dir.join("key")));
    let principal = |key: &IdentityKey| Principal::new(Kind::Institution, InstitutionId::from(key));
    let store = FileKeyStore::create(&home, &unlock, principal).unwrap();
    (home, unlock, store)
}

/// The contract, for any store: signatures verify, the newest key comes first, each key opens until it is destroyed.
fn keeps_the_contract(store: &dyn KeyStore) {
    let signature = store.sign(b"label and hash").unwrap();
    assert_eq!(store.signing_key().verify(b"label and hash", &signature), Ok(()));
    let old = store.recipient_keys().remove(0);
    let new = store.make_recipient_key().unwrap();
    assert_eq!(store.recipient_keys(), [new.clone(), old.clone()]);
    let to_old = seal_text(&OperatingSystem, &old, &context(), "to the old key").unwrap();
    let to_new = seal_text(&OperatingSystem, &new, &context(), "to the new key").unwrap();
    let open = |sealed| open_text(store, &context(), sealed);
    assert_eq!(open(&to_old).as_deref(), Ok("to the old key"));
    assert_eq!(open(&to_new).as_deref(), Ok("to the new key"));
    store.destroy_recipient_key(&old.digest()).unwrap();
    store.destroy_recipient_key(&old.digest()).unwrap();
    assert_eq!(open(&to_old), Err(KeyStoreError::DoesNotOpen));
    let gone = StoredRecipient {
        store,
        key: old.digest(),
    };
    assert_eq!(
        crypto::open_text(&gone, &context(), &to_old),
        Err(KeyStoreError::NoSuchKey)
    );
    assert_eq!(open(&to_new).as_deref(), Ok("to the new key"));
}

#[test]
fn the_file_store_keeps_the_contract_and_reads_back_what_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (home, unlock, store) = file_store(dir.path());
    keeps_the_contract(&store);
    let again = FileKeyStore::open(&home, &home.principal().unwrap(), &unlock).unwrap();
    assert_eq!(again.signing_key(), store.signing_key());
    assert_eq!(again.recipient_keys(), store.recipient_keys());
}

/// Two processes of one home: neither writes what it has read over what the other has made since.
#[test]
fn keys_that_another_process_has_made_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (home, unlock, one) = file_store(dir.path());
    let principal = home.principal().unwrap();
    let other = FileKeyStore::open(&home, &principal, &unlock).unwrap();
    let first = one.recipient_keys().remove(0);
    let (made, made_too) = (
        one.make_recipient_key().unwrap(),
        other.make_recipient_key().unwrap(),
    );
    one.destroy_recipient_key(&first.digest()).unwrap();
    let again = FileKeyStore::open(&home, &principal, &unlock).unwrap();
    assert_eq!(again.recipient_keys(), [made_too, made]);
}

#[test]
fn a_file_store_takes_in_what_another_has_exported() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (file_store(a.path()).2, file_store(b.path()).2);
    let key = a.recipient_keys().remove(0);
    let seed = a.export_recipient_key(&key.digest()).unwrap();
    assert_eq!(b.import_recipient_key(&seed).unwrap(), key);
    assert_eq!(b.recipient_keys().first(), Some(&key));
}

#[test]
fn the_double_keeps_the_contract_counts_and_keeps_its_keys() {
    let store = KeyStoreDouble::new(Arc::new(OperatingSystem)).unwrap();
    keeps_the_contract(&store);
    assert_eq!((store.signed(), store.opened()), (1, 6));
    let key = store.recipient_keys().remove(0).digest();
    assert_eq!(store.export_recipient_key(&key), Err(KeyStoreError::NotOffered));
    assert_eq!(
        format!("{store:?}").matches("Identity").count(),
        2,
        "public keys alone: {store:?}"
    );
}

#[test]
fn a_store_that_refuses_is_named_and_not_what_was_sealed() {
    let store = KeyStoreDouble::new(Arc::new(OperatingSystem)).unwrap();
    store.refuse(true);
    let refused = store.sign(b"label and hash").unwrap_err();
    assert!(matches!(
        Error::from(refused),
        Error::KeyStore(KeyStoreError::Refused(_))
    ));
    let sealed = seal_text(
        &OperatingSystem,
        &store.recipient_keys().remove(0),
        &context(),
        "text",
    )
    .unwrap();
    let refused = open_text(&store, &context(), &sealed).unwrap_err();
    let error = KeyStoreError::opening("the text")(refused);
    assert!(matches!(error, Error::KeyStore(_)), "{error}");
    let error = KeyStoreError::opening("the text")(KeyStoreError::DoesNotOpen);
    assert!(matches!(error, Error::Tampered { .. }), "{error}");
}
