//! Where this home has seen her records lie: for each the number of its newest placement. A record that was moved
//! stays where it was moved to, and one that was sealed anew stays so: no server can show it as it lay before,
//! whether or not an index says where it lies (COL-10).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use protocol_spec::{defence::Defence, ids::RecordId};

use crate::{Contradiction, Error, Result, home::Home};

/// Numbers of placements by record, as the home has kept them and this session has seen them since.
pub(in crate::patient) struct SeenPlacements {
    home: Home,
    /// None until the home has been read. Never locked over an await.
    seen: Mutex<Option<Numbers>>,
}

struct Numbers {
    by_record: HashMap<RecordId, u64>,
    /// Whether the home does not have all of it.
    fresh: bool,
}

impl SeenPlacements {
    pub(super) fn new(home: Home) -> Self {
        Self {
            home,
            seen: Mutex::default(),
        }
    }

    /// Reads what the home has kept, once. To be called before the server is asked: what another process has seen
    /// since may be newer than the answer.
    pub(in crate::patient) fn read(&self) -> Result<()> {
        self.with(|_| ())
    }

    /// Refuses what the server shows if a newer placement was seen; `shown` is none for a record that is not placed.
    pub(in crate::patient) fn check(&self, record: RecordId, shown: Option<u64>) -> Result<()> {
        let seen = self.with(|numbers| numbers.by_record.get(&record).copied())?;
        if Defence::SeenPlacements.holds(seen <= shown) {
            return Ok(());
        }
        Err(Error::Contradicted(Contradiction::OlderPlacement {
            record,
            seen: seen.unwrap_or_default(),
            shown,
        }))
    }

    /// Notes a placement of hers, unless a newer one was seen.
    pub(in crate::patient) fn note(&self, record: RecordId, number: u64) -> Result<()> {
        self.with(|numbers| numbers.note(record, number))
    }

    /// Keeps them, with those that another process has kept meanwhile.
    pub(in crate::patient) async fn keep(&self) -> Result<()> {
        if !self.with(|numbers| numbers.fresh)? {
            return Ok(());
        }
        let _lock = self.home.lock().await?;
        let theirs = kept(&self.home)?;
        self.with(|numbers| {
            for (record, number) in theirs {
                numbers.note(record, number);
            }
            let all = numbers.by_record.iter();
            let all: BTreeMap<String, u64> = all
                .map(|(record, number)| (record.to_string(), *number))
                .collect();
            self.home.write_json(PLACEMENTS, &all)?;
            numbers.fresh = false;
            Ok(())
        })?
    }

    fn with<T>(&self, work: impl FnOnce(&mut Numbers) -> T) -> Result<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = match seen.take() {
            Some(numbers) => numbers,
            None => Numbers {
                by_record: kept(&self.home)?,
                fresh: false,
            },
        };
        Ok(work(seen.insert(numbers)))
    }
}

impl Numbers {
    fn note(&mut self, record: RecordId, number: u64) {
        let seen = self.by_record.entry(record).or_default();
        if *seen < number {
            *seen = number;
            self.fresh = true;
        }
    }
}

fn kept(home: &Home) -> Result<HashMap<RecordId, u64>> {
    let kept: BTreeMap<String, u64> = home.read_json(PLACEMENTS)?.unwrap_or_default();
    let read = |(record, number): (String, u64)| Ok((record.parse()?, number));
    let kept: Result<_, protocol_spec::Error> = kept.into_iter().map(read).collect();
    kept.map_err(|_| home.damaged(PLACEMENTS))
}

const PLACEMENTS: &str = "placements.json";

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: RecordId = RecordId::from_bytes([1; 16]);

    /// COL-10
    #[tokio::test]
    async fn an_older_placement_than_any_process_has_kept_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let read = || SeenPlacements::new(Home::at(dir.path()));
        let (one, other) = (read(), read());
        one.check(RECORD, None).unwrap();
        for (process, number) in [(&one, 7), (&other, 3)] {
            process.note(RECORD, number).unwrap();
            process
                .note(RecordId::from_bytes([number.to_le_bytes()[0]; 16]), number)
                .unwrap();
            process.keep().await.unwrap();
        }
        let later = read();
        assert_eq!(
            later.with(|numbers| numbers.by_record.len()).unwrap(),
            3,
            "what both have seen"
        );
        for (shown, refused) in [(None, true), (Some(6), true), (Some(7), false), (Some(8), false)] {
            let checked = later.check(RECORD, shown);
            assert_eq!(checked.is_err(), refused, "{shown:?}");
            if let Err(error) = checked {
                assert_eq!(error.code(), "older-placement");
                assert!(error.to_string().contains("placement 7"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_was_changed_is_no_fresh_start() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.write(PLACEMENTS, br#"{"nonsense": 1}"#).unwrap();
        assert!(matches!(kept(&home), Err(Error::HomeDamaged { .. })));
        std::fs::write(dir.path().join(PLACEMENTS), "{}").unwrap();
        assert!(matches!(kept(&home), Err(Error::HomeAltered { .. })));
    }
}
