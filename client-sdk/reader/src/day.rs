//! Days, as they are written in files. What names a month or a year alone is all its days.

use std::fmt;

/// A day that conditions can speak of (CND-3): from 1900-01-01 to 2258-11-11. Shown as `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

/// The days that a file is of, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first day, of which the last is never earlier.
    pub first: Day,
    /// The last, which may be the same one.
    pub last: Day,
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Day {
    fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let days = days_of(year, month)?;
        let found = Self { year, month, day };
        ((1..=days).contains(&day) && (FIRST..=LAST).contains(&found)).then_some(found)
    }
}

impl Days {
    /// ISO 8601 as FHIR, XMP and others write it: `2026`, `2026-05`, `2026-05-01` and what follows behind a `T`.
    pub(crate) fn iso(text: &[u8]) -> Option<Self> {
        let day = text.split(|&byte| byte == b'T' || byte == b' ').next()?;
        let mut fields = day.split(|&byte| byte == b'-');
        let (year, month, day) = (fields.next()?, fields.next(), fields.next());
        fields.next().is_none().then_some(())?;
        let month = month
            .map(|month| number(month, 2))
            .map_or(Some(None), |found| found.map(Some))?;
        let day = day
            .map(|day| number(day, 2))
            .map_or(Some(None), |found| found.map(Some))?;
        Self::of(number(year, 4)?, month, day)
    }

    /// As DICOM and HL7 write it: `2026`, `202605`, `20260501` and what follows.
    pub(crate) fn compact(text: &[u8]) -> Option<Self> {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Parts of seconds and the offset.
        matches!(text.get(digits), None | Some(b'.' | b'+' | b'-')).then_some(())?;
        let field = |at: usize| -> Option<Option<u16>> {
            match text.get(at..at + 2) {
                Some(two) if at + 2 <= digits => number(two, 2).map(Some),
                _ if digits == at => Some(None),
                _ => None,
            }
        };
        let year = number(text.get(..4)?, 4)?;
        let month = field(4)?;
        let day = if month.is_some() { field(6)? } else { None };
        Self::of(year, month, day)
    }

    /// Both and all between them.
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    fn of(year: u16, month: Option<u16>, day: Option<u16>) -> Option<Self> {
        let small = |number: Option<u16>| number.and_then(|number| u8::try_from(number).ok());
        let (first_month, last_month) = small(month).map_or((1, 12), |month| (month, month));
        let first = small(day).unwrap_or(1);
        let last = small(day).or_else(|| days_of(year, last_month))?;
        Some(Self {
            first: Day::new(year, first_month, first)?,
            last: Day::new(year, last_month, last)?,
        })
    }
}

/// Both, as far as they are there.
pub(crate) fn joined(one: Option<Days>, other: Option<Days>) -> Option<Days> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.join(other)),
        (one, other) => one.or(other),
    }
}

fn number(digits: &[u8], length: usize) -> Option<u16> {
    let plain = digits.len() == length && digits.iter().all(u8::is_ascii_digit);
    let value = |so_far: u16, digit: &u8| so_far * 10 + u16::from(digit - b'0');
    plain.then(|| digits.iter().fold(0, value))
}

fn days_of(year: u16, month: u8) -> Option<u8> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if leap { 29 } else { 28 }),
        _ => None,
    }
}

const FIRST: Day = Day {
    year: 1900,
    month: 1,
    day: 1,
};
const LAST: Day = Day {
    year: 2258,
    month: 11,
    day: 11,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(days: Option<Days>) -> Option<(String, String)> {
        days.map(|days| (days.first.to_string(), days.last.to_string()))
    }

    /// CNT-20
    #[test]
    fn a_month_or_a_year_is_all_its_days() {
        for (iso, compact, first, last) in [
            ("2026-05-01", "20260501", "2026-05-01", "2026-05-01"),
            (
                "2026-05-01T23:59:59.5+02:00",
                "20260501235959.5+0200",
                "2026-05-01",
                "2026-05-01",
            ),
            ("2024-02", "202402", "2024-02-01", "2024-02-29"),
            ("2026", "2026", "2026-01-01", "2026-12-31"),
        ] {
            let expected = Some((first.to_owned(), last.to_owned()));
            assert_eq!(shown(Days::iso(iso.as_bytes())), expected, "{iso}");
            assert_eq!(shown(Days::compact(compact.as_bytes())), expected, "{compact}");
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for bad in [
            "",
            "26",
            "2026-",
            "2026-13",
            "2026-02-29",
            "2026-5-1",
            "2026-05-01-",
            "1899-12-31",
            "9999-12-31",
            "2026-05-0x",
        ] {
            assert_eq!(Days::iso(bad.as_bytes()), None, "{bad}");
        }
        for bad in [
            "", "202", "20261", "2026050", "20260230", "00000000", "2026x501", "99991231",
        ] {
            assert_eq!(Days::compact(bad.as_bytes()), None, "{bad}");
        }
    }
}
