//! Where this home has seen her records lie: for each the number of its newest placement.

use crate::{Error, Result, home::Home};
use protocol_spec::{defence::Defence, ids::RecordId};
use std::collections::{BTreeMap, HashMap};

/// Numbers of placements by record.
#[derive(Debug, Default)]
pub(in crate::patient) struct Placements {
    /// None until the home has been read.
    seen: Option<HashMap<RecordId, u64>>,
    /// Whether the home does not have all of it.
    fresh: bool,
}

impl Placements {
    /// Reads what the home has kept, once.
    pub(in crate::patient) fn read(&mut self, home: &Home) -> Result<()> {
        if self.seen.is_none() {
            self.seen = Some(kept(home)?);
        }
        Ok(())
    }

    fn seen(&mut self) -> &mut HashMap<RecordId, u64> {
        self.seen.get_or_insert_default()
    }

    /// Refuses what the server shows if a newer placement was seen; `shown` is none for a record that is not placed.
    pub(in crate::patient) fn check(&self, record: RecordId, shown: Option<u64>) -> Result<()> {
        let seen = self.seen.as_ref().and_then(|seen| seen.get(&record)).copied();
        if Defence::SeenPlacements.holds(seen <= shown) {
            return Ok(());
        }
        Err(Error::OlderPlacement {
            record,
            seen: seen.unwrap_or_default(),
            shown,
        })
    }

    /// Notes a placement of hers, unless a newer one was seen.
    pub(in crate::patient) fn note(&mut self, record: RecordId, number: u64) {
        let seen = self.seen().entry(record).or_default();
        if *seen < number {
            *seen = number;
            self.fresh = true;
        }
    }

    /// Keeps them, with those that another process has kept meanwhile.
    pub(in crate::patient) async fn keep(&mut self, home: &Home) -> Result<()> {
        if !self.fresh {
            return Ok(());
        }
        let _lock = home.lock().await?;
        for (record, number) in kept(home)? {
            self.note(record, number);
        }
        let all = self.seen().iter();
        let all: BTreeMap<String, u64> = all
            .map(|(record, number)| (record.to_string(), *number))
            .collect();
        home.write_json(PLACEMENTS, &all)?;
        self.fresh = false;
        Ok(())
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

    fn read(home: &Home) -> Placements {
        Placements {
            seen: Some(kept(home).unwrap()),
            fresh: false,
        }
    }

    /// COL-10
    #[tokio::test]
    async fn an_older_placement_than_any_process_has_kept_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let (mut one, mut other) = (read(&home), read(&home));
        one.check(RECORD, None).unwrap();
        for (process, number) in [(&mut one, 7), (&mut other, 3)] {
            process.note(RECORD, number);
            process.note(RecordId::from_bytes([number.to_le_bytes()[0]; 16]), number);
            process.keep(&home).await.unwrap();
        }
        let mut later = read(&home);
        assert_eq!(later.seen().len(), 3, "what both have seen");
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
