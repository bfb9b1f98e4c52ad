//! Challenges over which a client works to be enrolled.

use std::sync::{Mutex, PoisonError};

use crate::vault::core::{refusal::Refusal, units::random};

/// The challenge over which work is done: a new one every few minutes, the one before it counts too.
#[derive(Default)]
pub(in crate::vault) struct Challenges(Mutex<Option<Turn>>);

#[derive(Clone, Copy)]
pub(in crate::vault) struct Turn {
    pub(in crate::vault) since: u64,
    pub(in crate::vault) present: [u8; 32],
    pub(in crate::vault) before: [u8; 32],
}

impl Challenges {
    pub(in crate::vault) fn at(&self, now: u64) -> Result<Turn, Refusal> {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *turn {
            Some(known) if now < known.since.saturating_add(TURN) => Ok(known),
            known => {
                let before = known.filter(|known| now < known.since.saturating_add(2 * TURN));
                let fresh = Turn {
                    since: now,
                    present: random()?,
                    before: before.map_or(random()?, |known| known.present),
                };
                *turn = Some(fresh);
                Ok(fresh)
            }
        }
    }
}

/// How long a challenge is the newest, in milliseconds.
pub(in crate::vault) const TURN: u64 = 10 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// ACC-4: a challenge counts for one or two turns, and never again.
    #[test]
    fn challenges_turn() {
        let challenges = Challenges::default();
        let first = challenges.at(1000).unwrap();
        assert_eq!(challenges.at(999 + TURN).unwrap().present, first.present);
        let second = challenges.at(1000 + TURN).unwrap();
        assert_eq!(second.before, first.present);
        assert_ne!(second.present, first.present);
        let third = challenges.at(1000 + 2 * TURN).unwrap();
        assert_eq!(third.before, second.present);
        let late = challenges.at(1000 + 9 * TURN).unwrap();
        assert!(![first.present, second.present, third.present].contains(&late.before));
    }
}
