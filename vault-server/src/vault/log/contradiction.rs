//! Witnesses that have cosigned another log than this one, or more of it: the data is an old copy, in which what was revoked since is
//! not revoked. Then nothing is given out, and nothing is taken but what takes access away (LOG-22).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol_spec::{defence::Defence, problem::Problem};

use crate::vault::core::refusal::Refusal;

/// What witnesses say against the log, by their names.
#[derive(Default)]
pub(crate) struct Contradiction {
    said: Mutex<BTreeMap<String, String>>,
}

impl Contradiction {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self.said().iter().next() {
            Some((witness, said)) if !Defence::WitnessWord.is_off() => Err(Refusal::new(
                Problem::LogContradicted,
                format_args!("the witness {witness} contradicts the log: {said}"),
            )),
            _ => Ok(()),
        }
    }

    /// A witness contradicts. Whether that is new.
    pub(crate) fn note(&self, witness: &str, said: String) -> bool {
        self.said().insert(witness.to_owned(), said).is_none()
    }

    /// A witness has cosigned the newest checkpoint, so it no longer does. Whether it did.
    pub(crate) fn withdraw(&self, witness: &str) -> bool {
        self.said().remove(witness).is_some()
    }

    /// Each change is one call, so no panic leaves it half-changed.
    fn said(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
