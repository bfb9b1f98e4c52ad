//! When an institution's recipient keys end, as its home has it (`recipients.json`). See `spec/institutions.md` (INS-5).

use std::collections::BTreeMap;

use protocol_spec::hash::Sha256Digest;

use crate::{
    Error, Result,
    home::Home,
    keystore::{KeyStore, KeyStoreError},
};

/// When recipient keys end, by their hashes.
pub(super) struct Ends(BTreeMap<String, u64>);

impl Ends {
    fn read(home: &Home) -> Result<Self> {
        Ok(Self(home.read_json(ENDS)?.unwrap_or_default()))
    }

    /// Changes what the home has now.
    pub(super) fn change(home: &Home, change: impl FnOnce(&mut Self)) -> Result<()> {
        let _lock = home.lock_here()?;
        let mut ends = Self::read(home)?;
        change(&mut ends);
        home.write_json(ENDS, &ends.0)
    }

    /// A key ends once, at the earliest time noted.
    pub(super) fn note(&mut self, key: &Sha256Digest, at: u64) {
        let end = self.0.entry(key.to_string()).or_insert(at);
        *end = at.min(*end);
    }

    /// Destroys the keys that have ended, a little later than the server ends them: clocks differ.
    pub(super) fn destroy_ended(store: &dyn KeyStore, home: &Home, now: u64) -> Result<(), Error> {
        let ends = Self::read(home)?;
        for key in store.recipient_keys() {
            let ended = |end: &u64| end.saturating_add(GRACE) <= now;
            if ends.0.get(&key.digest().to_string()).is_some_and(ended) {
                match store.destroy_recipient_key(&key.digest()) {
                    // It works without, and is asked again next time.
                    Err(KeyStoreError::Refused(_) | KeyStoreError::Unavailable(_)) => {}
                    outcome => outcome?,
                }
            }
        }
        Ok(())
    }
}

const ENDS: &str = "recipients.json";
const GRACE: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::KeyStoreDouble;

    /// INS-5
    #[test]
    fn a_key_is_destroyed_after_its_earliest_end_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let (home, store) = (
            Home::at(dir.path()),
            KeyStoreDouble::new(std::sync::Arc::new(crypto::OperatingSystem)).unwrap(),
        );
        let old = store.recipient_keys().remove(0).digest();
        let new = store.make_recipient_key().unwrap().digest();
        for end in [5_000, 9_000] {
            Ends::change(&home, |ends| ends.note(&old, end)).unwrap();
        }
        let held = || -> Vec<_> { store.recipient_keys().iter().map(|key| key.digest()).collect() };
        Ends::destroy_ended(&store, &home, 5_000 + GRACE - 1).unwrap();
        assert_eq!(held(), [new, old]);
        store.refuse(true);
        Ends::destroy_ended(&store, &home, 5_000 + GRACE).unwrap();
        assert_eq!(held(), [new, old]);
        store.refuse(false);
        Ends::destroy_ended(&store, &home, 5_000 + GRACE).unwrap();
        assert_eq!(held(), [new]);
    }
}
