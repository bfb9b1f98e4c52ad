//! Days of records, and how windows of days fall into blocks. See `spec/conditions.md` §3.
//!
//! A day is a number of [`LEVELS`] bits; a block of level ℓ is all days whose numbers begin with the same ℓ
//! bits. So each day lies in one block of each level, and a window that is open on one side is a few
//! blocks, never more than [`LEVELS`].

use std::{fmt, str::FromStr};

use crate::Error;

/// Bits of a day's number.
pub const LEVELS: u8 = 17;

/// How many days there are, and numbers for them.
const DAYS: u32 = 1 << LEVELS;
/// 1900-01-01 is so many days before 1970-01-01.
const BEFORE_1970: i64 = 25_567;

/// A day of the Gregorian calendar, from 1900-01-01 on, for 2^17 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

/// The days whose numbers begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayBlock {
    /// How many bits: 1 to [`LEVELS`].
    pub level: u8,
    /// The bits that they have in common, as a number.
    pub number: u32,
}

impl Day {
    /// The earliest day, 1900-01-01.
    pub const FIRST: Self = Self(0);
    /// The latest day, 2^17 - 1 days later.
    pub const LAST: Self = Self(DAYS - 1);

    /// A day by its number from 1900-01-01.
    pub fn from_number(number: u32) -> Option<Self> {
        (number < DAYS).then_some(Self(number))
    }

    /// The day's number, counted from 1900-01-01.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The block of each level that it lies in, from level 1 on.
    pub fn blocks(self) -> impl Iterator<Item = DayBlock> {
        (1..=LEVELS).map(move |level| DayBlock {
            level,
            number: self.0 >> (LEVELS - level),
        })
    }

    /// The fewest blocks that hold this day and all after it, and no other (CND-4).
    pub fn and_after(self) -> Vec<DayBlock> {
        let (mut blocks, mut at) = (Vec::new(), self.0);
        while at < DAYS {
            let block = largest(at.trailing_zeros());
            blocks.push(DayBlock {
                level: LEVELS - block,
                number: at >> block,
            });
            at += 1 << block;
        }
        blocks
    }

    /// The fewest blocks that hold this day and all before it, and no other (CND-4).
    pub fn and_before(self) -> Vec<DayBlock> {
        let (mut blocks, mut end) = (Vec::new(), self.0 + 1);
        while end > 0 {
            let block = largest(end.trailing_zeros());
            end -= 1 << block;
            blocks.push(DayBlock {
                level: LEVELS - block,
                number: end >> block,
            });
        }
        blocks
    }
}

/// As many days as fit, as a power of two; no block is all days.
fn largest(zeros: u32) -> u8 {
    u8::try_from(zeros).unwrap_or(u8::MAX).min(LEVELS - 1)
}

/// `YYYY-MM-DD`, of a day that there is.
impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let day = read(text).and_then(|(year, month, day)| {
            let number = days_since_1970(year, month, day) + BEFORE_1970;
            Self::from_number(u32::try_from(number).ok()?)
        });
        // The calendar gives back what it was given, unless the month has no such day.
        day.filter(|day| day.to_string() == text)
            .ok_or(Error::Field { field: "date" })
    }
}

fn read(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split('-');
    let mut part = |length: usize| -> Option<i64> {
        let digits = parts.next().filter(|part| part.len() == length)?;
        let all = digits.bytes().all(|c| c.is_ascii_digit());
        all.then(|| digits.parse().ok()).flatten()
    };
    let date = (part(4)?, part(2)?, part(2)?);
    let sound = parts.next().is_none() && (1..=12).contains(&date.1) && (1..=31).contains(&date.2);
    sound.then_some(date)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years start in March, so that the leap day is their last; eras have 146,097 days.
        let days = i64::from(self.0) - BEFORE_1970 + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. Years start in March here, so that the leap day is their last.
pub fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_counted_from_1900() {
        assert_eq!(day("1900-01-01"), Day::FIRST);
        assert_eq!(day("1970-01-01").number(), 25_567);
        assert_eq!(day("2258-11-11"), Day::LAST);
        for bad in [
            "",
            "2024",
            "2024-02-30",
            "2023-02-29",
            "2024-2-3",
            "2024-13-01",
            "2024-00-10",
            "1899-12-31",
            "2258-11-12",
            "2024-01-01T",
            "+024-01-01",
            "2024-01-01-",
        ] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }

    /// Every date of the calendar is one day, and the next one the next.
    #[test]
    fn the_text_of_every_day_is_read_back() {
        let (mut year, mut month, mut date) = (1900, 1, 1);
        for number in 0..DAYS {
            let day = Day::from_number(number).unwrap();
            let text = format!("{year:04}-{month:02}-{date:02}");
            assert_eq!(day.to_string(), text);
            assert_eq!(text.parse(), Ok(day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            date += 1;
            if date > length {
                (month, date) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    fn holds(blocks: &[DayBlock], day: Day) -> usize {
        day.blocks().filter(|block| blocks.contains(block)).count()
    }

    fn sides_hold(bound: Day, other: Day) {
        let (after, before) = (bound.and_after(), bound.and_before());
        assert_eq!(
            holds(&after, other),
            usize::from(other >= bound),
            "{bound} {other}"
        );
        assert_eq!(
            holds(&before, other),
            usize::from(other <= bound),
            "{bound} {other}"
        );
    }

    proptest! {
        /// CND-4: every day of a side lies in exactly one of its blocks, no other day in any; and they are few.
        #[test]
        fn a_side_holds_its_days_and_no_others(bound in 0..DAYS, other in 0..DAYS, near in -3_i64..=3) {
            let bound = Day(bound);
            sides_hold(bound, Day(other));
            let near = (i64::from(bound.0) + near).clamp(0, i64::from(DAYS - 1));
            sides_hold(bound, Day(u32::try_from(near).unwrap()));
            sides_hold(bound, Day::FIRST);
            sides_hold(bound, Day::LAST);
            prop_assert!(bound.and_after().len() <= usize::from(LEVELS));
            prop_assert!(bound.and_before().len() <= usize::from(LEVELS));
        }
    }

    /// The same, without chance, for all pairs of a sample and at the ends.
    #[test]
    fn the_ends_of_the_calendar_are_blocks_too() {
        for bound in [0, 1, 2, 65_535, 65_536, 65_537, DAYS - 2, DAYS - 1] {
            for other in (0..DAYS).step_by(97).chain([DAYS - 1, 65_535, 65_536]) {
                sides_hold(Day(bound), Day(other));
            }
        }
        assert_eq!(Day(1).and_after().len(), usize::from(LEVELS));
        assert_eq!(Day(DAYS - 2).and_before().len(), usize::from(LEVELS));
        assert_eq!(Day::FIRST.and_after().len(), 2);
    }
}
