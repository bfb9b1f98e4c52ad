//! Signatures already seen, until they expire by themselves (API-8). The memory for them is shared out between principals,
//! and cannot be filled: when it is full, those who have most are forgotten back to a moment, and what they signed up to
//! it is refused from then on. So whoever sends too many shortens the life of his own signatures, and of nobody else's.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use protocol_spec::{
    defence::Defence,
    hash::sha256,
    request::{MAX_AGE, Params},
};

/// Whether a signature may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Never seen; it is remembered now.
    Fresh,
    /// The same nonce came before.
    Seen,
    /// Made so long ago that it may have been forgotten.
    Forgotten,
    /// There is no room to remember it.
    Full,
}

/// By whom signatures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Signer {
    /// A patient with all her devices, or an institution with all its terminals.
    Principal([u8; 32]),
    /// All whom nobody knows yet: their keys cost nothing.
    New,
}

/// The memory for signatures. Each takes up to 64 bytes, and the first one of a signer up to 500 more: a million take 64 MB, as
/// long as they are not all of different principals.
pub(super) struct Nonces {
    capacity: usize,
    /// Guards all signatures and their count together.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    of: HashMap<Signer, Remembered>,
    count: usize,
    /// The second of the last sweep.
    swept: u64,
}

/// What one signer has signed.
#[derive(Default)]
struct Remembered {
    /// Up to this second nothing more is taken.
    forgotten: Option<u64>,
    /// By the second in which they were made. Where a new one stands is the signer's choice, and must not matter: in a tree each
    /// takes as long as any other, and all up to a second are cut off together.
    names: BTreeSet<(u64, [u8; 16])>,
}

impl Nonces {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            table: Mutex::default(),
        }
    }

    /// Remembers a verified signature; `now` in seconds.
    pub(super) fn admit(&self, signer: Signer, params: &Params, now: u64) -> Admission {
        let name = (params.created, name(params));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= table.swept + SWEEP {
            table.forget_expired(now);
        }
        if let Some(known) = table.of.get(&signer).and_then(|seen| seen.knows(name)) {
            return known;
        }
        if table.is_full(self.capacity) {
            table.make_room(self.capacity, now);
        }
        let full = table.is_full(self.capacity);
        let seen = table.of.entry(signer).or_default();
        match seen.knows(name) {
            Some(known) => known,
            None if full => Admission::Full,
            None => {
                seen.names.insert(name);
                table.count += 1;
                Admission::Fresh
            }
        }
    }
}

/// Seconds between two looks for what has expired.
const SWEEP: u64 = 10;
/// So large a part becomes free at once, so that looking for it is rare.
const FREED: usize = 16;

impl Table {
    /// Who has nothing but a moment takes memory too.
    fn is_full(&self, capacity: usize) -> bool {
        self.count.max(self.of.len()) >= capacity
    }

    /// A signature is refused as expired from its greatest age on.
    fn forget_expired(&mut self, now: u64) {
        if let Some(moment) = now.checked_sub(MAX_AGE) {
            self.of.retain(|_, seen| {
                seen.drop_up_to(moment);
                !seen.names.is_empty() || seen.forgotten.is_some_and(|forgotten| forgotten > moment)
            });
        }
        self.recount(now);
    }

    /// Cuts down to one level all who have more.
    fn make_room(&mut self, capacity: usize, now: u64) {
        if now > self.swept {
            self.forget_expired(now);
        }
        if Defence::NonceShares.is_off() {
            return;
        }
        let level = self
            .level(capacity.saturating_sub((capacity / FREED).max(1)))
            .max(1);
        for seen in self.of.values_mut() {
            seen.cut_to(level);
        }
        self.recount(self.swept);
    }

    /// The most that each may have, so that all together have so many.
    fn level(&self, total: usize) -> usize {
        let mut counts: Vec<usize> = self.of.values().map(|seen| seen.names.len()).collect();
        counts.sort_unstable();
        let (mut left, mut signers) = (total, counts.len());
        for count in counts {
            if count.saturating_mul(signers) > left {
                return left / signers.max(1);
            }
            left -= count;
            signers -= 1;
        }
        usize::MAX
    }

    fn recount(&mut self, swept: u64) {
        self.count = self.of.values().map(|seen| seen.names.len()).sum();
        self.swept = swept;
    }
}

impl Remembered {
    /// What there is to say of a signature; none, if it is new.
    fn knows(&self, name: (u64, [u8; 16])) -> Option<Admission> {
        if self.names.contains(&name) {
            return Some(Admission::Seen);
        }
        let forgotten = self.forgotten.is_some_and(|moment| name.0 <= moment);
        forgotten.then_some(Admission::Forgotten)
    }

    /// Forgets the oldest, in whole seconds, until there are no more than so many.
    fn cut_to(&mut self, most: usize) {
        let surplus = self.names.len().saturating_sub(most);
        let last = surplus
            .checked_sub(1)
            .and_then(|last| self.names.iter().nth(last));
        let Some((moment, _)) = last.copied() else {
            return;
        };
        self.drop_up_to(moment);
        self.forgotten = self.forgotten.max(Some(moment));
    }

    /// All of this second and those before it.
    fn drop_up_to(&mut self, moment: u64) {
        if self.names.first().is_some_and(|(oldest, _)| *oldest <= moment) {
            self.names = self.names.split_off(&(moment.saturating_add(1), [0; 16]));
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
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    const A: Signer = Signer::Principal([1; 32]);
    const B: Signer = Signer::Principal([2; 32]);

    fn params(nonce: &str, created: u64) -> Params {
        Params {
            created,
            expires: created + 60,
            nonce: nonce.into(),
            key_id: "dev_a".into(),
        }
    }

    fn admit(nonces: &Nonces, signer: Signer, number: u64, created: u64) -> Admission {
        nonces.admit(signer, &params(&number.to_string(), created), created)
    }

    #[test]
    fn a_nonce_passes_once_while_it_is_fresh() {
        let nonces = Nonces::new(9);
        assert_eq!(nonces.admit(A, &params("a", 10), 10), Admission::Fresh);
        assert_eq!(nonces.admit(A, &params("a", 10), 69), Admission::Seen);
        assert_eq!(nonces.admit(A, &params("b", 10), 69), Admission::Fresh);
        let other_key = Params {
            key_id: "dev_b".into(),
            ..params("a", 10)
        };
        assert_eq!(nonces.admit(A, &other_key, 69), Admission::Fresh);
    }

    #[test]
    fn what_has_expired_is_forgotten() {
        let nonces = Nonces::new(2);
        assert_eq!(admit(&nonces, A, 1, 10), Admission::Fresh);
        assert_eq!(admit(&nonces, A, 2, 100), Admission::Fresh);
        assert_eq!(admit(&nonces, B, 3, 10 + MAX_AGE), Admission::Fresh);
        let table = nonces.table.lock().unwrap();
        assert_eq!((table.count, table.of[&A].forgotten), (2, None));
    }

    /// API-8
    #[test]
    fn who_sends_too_many_shortens_the_life_of_his_own() {
        let nonces = Nonces::new(160);
        for number in 0..5 {
            assert_eq!(admit(&nonces, B, number, 1000), Admission::Fresh);
        }
        for number in 0..1600 {
            assert_eq!(admit(&nonces, A, number, 1000 + number / 20), Admission::Fresh);
        }
        let now = 1079;
        // Nothing that was taken is taken again.
        for number in 0..1600 {
            let again = nonces.admit(A, &params(&number.to_string(), 1000 + number / 20), now);
            assert!(
                matches!(again, Admission::Seen | Admission::Forgotten),
                "{number}"
            );
        }
        for number in 0..5 {
            let again = nonces.admit(B, &params(&number.to_string(), 1000), now);
            assert_eq!(again, Admission::Seen, "others are remembered");
        }
        assert_eq!(nonces.admit(B, &params("new", 1000), now), Admission::Fresh);
        assert_eq!(nonces.admit(A, &params("new", now), now), Admission::Fresh);
        assert_eq!(nonces.admit(A, &params("old", 1000), now), Admission::Forgotten);
        assert!(nonces.table.lock().unwrap().count <= 160);
    }

    #[test]
    fn many_signers_with_little_do_not_keep_one_out() {
        let nonces = Nonces::new(160);
        for signer in 0..150 {
            let one = Signer::Principal([signer; 32]);
            assert_eq!(admit(&nonces, one, 0, 1000), Admission::Fresh);
        }
        for number in 0..100 {
            assert_eq!(
                admit(&nonces, Signer::New, number, 1000 + number),
                Admission::Fresh
            );
        }
    }

    /// Time of the processor, not of the clock: whatever else runs beside makes no difference.
    fn time_for(admissions: impl Iterator<Item = (u64, u64)>) -> Duration {
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        let nonces = Nonces::new(1 << 20);
        for (number, created) in admissions {
            let admitted = nonces.admit(A, &params(&number.to_string(), created), 1000);
            assert_eq!(admitted, Admission::Fresh);
        }
        (clock_gettime(ClockId::ThreadCPUTime) - begun)
            .try_into()
            .unwrap()
    }

    /// A signer says when he has signed, within two minutes: each time a little earlier, so that each new
    /// name stands before all others.
    #[test]
    fn whatever_time_a_signer_names_costs_the_same() {
        let seconds = MAX_AGE - 1;
        let number = |at: u64| at * seconds / 60_000;
        let later = time_for((0..60_000).map(|at| (at, 1000 - seconds + 1 + number(at))));
        let earlier = time_for((0..60_000).map(|at| (at, 1000 - number(at))));
        assert!(earlier < 5 * later, "{earlier:?} against {later:?}");
    }
}
