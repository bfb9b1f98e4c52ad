//! When this device has seen how much of what was done to the vault. What a thief signs can name any time, and so can the
//! server; what this device had seen by then is a fact of its own.

use crate::{Result, home::Home};

/// Notes how many acts have been seen until now.
pub(super) fn note(home: &Home, acts: u64) -> Result<()> {
    let mut times = read(home)?;
    let now = home.system().now_ms();
    if times.last().is_some_and(|(at, _)| now < at.saturating_add(STEP)) {
        return Ok(());
    }
    times.push((now, acts));
    if times.len() > MOST {
        thin(&mut times);
    }
    home.write_json(FILE, &times)
}

/// How many acts had been seen at a moment, in milliseconds since 1970; never more than there were.
pub(super) fn seen(home: &Home, moment: u64) -> Result<u64> {
    let before = |(at, acts): (u64, u64)| (at <= moment).then_some(acts);
    Ok(read(home)?.into_iter().rev().find_map(before).unwrap_or(0))
}

fn read(home: &Home) -> Result<Vec<(u64, u64)>> {
    Ok(home.read_json(FILE)?.unwrap_or_default())
}

/// Of the older half every second one goes: what is asked about was seen a little later then, never earlier.
fn thin(times: &mut Vec<(u64, u64)>) {
    let mut at = 0;
    times.retain(|_| {
        at += 1;
        at > MOST / 2 || at % 2 == 1
    });
}

const FILE: &str = "vault.times";
/// One second, counted in milliseconds.
const STEP: u64 = 1000;
const MOST: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(times: &[(u64, u64)]) -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.write_json(FILE, &times).unwrap();
        (folder, home)
    }

    /// DEV-22: only what was noted by then counts as seen by then.
    #[test]
    fn nothing_was_seen_before_it_was_noted() {
        let (_folder, home) = at(&[(1000, 3), (5000, 8)]);
        for (moment, acts) in [(999, 0), (1000, 3), (4999, 3), (5000, 8), (u64::MAX, 8)] {
            assert_eq!(seen(&home, moment).unwrap(), acts, "{moment}");
        }
        note(&home, 9).unwrap();
        assert_eq!(seen(&home, 5000).unwrap(), 8);
        assert_eq!(seen(&home, u64::MAX).unwrap(), 9);
    }

    #[test]
    fn notes_are_bounded_and_the_newest_stay() {
        let all: Vec<(u64, u64)> = (0..=MOST as u64).map(|at| (at * STEP, at)).collect();
        let (_folder, home) = at(&all);
        note(&home, 7777).unwrap();
        let kept = read(&home).unwrap();
        assert!(kept.len() <= MOST, "{}", kept.len());
        assert_eq!(kept.last().map(|(_, acts)| *acts), Some(7777));
        assert_eq!(kept.first(), Some(&(0, 0)));
        assert!(kept.is_sorted());
    }
}
