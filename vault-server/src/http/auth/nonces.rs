//! Signatures already seen, until they expire by themselves (API-8). Bounded: when full, nothing more is
//! admitted rather than anything forgotten.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
};

use protocol_spec::{hash::sha256, request::Params};

/// Whether a signature may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Never seen; it is remembered now.
    Fresh,
    /// Seen before.
    Seen,
    /// There is no room to remember it.
    Full,
}

/// The memory for signatures.
pub(super) struct Nonces {
    capacity: usize,
    /// Guards the set and its count together.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By the second in which they expire, so that they are forgotten second by second.
    expiring: BTreeMap<u64, HashSet<[u8; 16]>>,
    count: usize,
}

impl Nonces {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            seen: Mutex::default(),
        }
    }

    /// Remembers a verified signature; `now` in seconds.
    pub(super) fn admit(&self, params: &Params, now: u64) -> Admission {
        let name = name(params);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_before(now);
        if seen
            .expiring
            .get(&params.expires)
            .is_some_and(|names| names.contains(&name))
        {
            return Admission::Seen;
        }
        if seen.count >= self.capacity {
            return Admission::Full;
        }
        seen.expiring.entry(params.expires).or_default().insert(name);
        seen.count += 1;
        Admission::Fresh
    }
}

impl Seen {
    /// A signature is refused as expired from the second `expires` on.
    fn forget_before(&mut self, now: u64) {
        while let Some(entry) = self.expiring.first_entry() {
            if *entry.key() >= now {
                return;
            }
            self.count -= entry.remove().len();
        }
    }
}

/// 128 bits of SHA-256(keyid ‖ `:` ‖ nonce), neither of which holds a colon.
fn name(params: &Params) -> [u8; 16] {
    let digest = sha256(&[params.key_id.as_bytes(), b":", params.nonce.as_bytes()]);
    let mut name = [0; 16];
    name.copy_from_slice(digest.split_at(16).0);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(nonce: &str, expires: u64) -> Params {
        Params {
            created: 0,
            expires,
            nonce: nonce.into(),
            key_id: "pat_a".into(),
        }
    }

    #[test]
    fn a_nonce_passes_once_while_it_is_fresh() {
        let nonces = Nonces::new(9);
        assert_eq!(nonces.admit(&params("a", 10), 1), Admission::Fresh);
        assert_eq!(nonces.admit(&params("a", 10), 9), Admission::Seen);
        assert_eq!(nonces.admit(&params("b", 10), 9), Admission::Fresh);
        let other_key = Params {
            key_id: "pat_b".into(),
            ..params("a", 10)
        };
        assert_eq!(nonces.admit(&other_key, 9), Admission::Fresh);
    }

    #[test]
    fn when_full_it_refuses_and_recovers_as_nonces_expire() {
        let nonces = Nonces::new(2);
        assert_eq!(nonces.admit(&params("a", 5), 1), Admission::Fresh);
        assert_eq!(nonces.admit(&params("b", 10), 1), Admission::Fresh);
        assert_eq!(nonces.admit(&params("c", 10), 1), Admission::Full);
        assert_eq!(nonces.admit(&params("b", 10), 1), Admission::Seen);
        assert_eq!(nonces.admit(&params("c", 10), 6), Admission::Fresh);
    }
}
