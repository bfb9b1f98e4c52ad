//! The values of a rules file, each read from its text by one strict reading. An error says what is allowed;
//! the parser adds the line.

use std::time::Duration;

use protocol_spec::{day::days_since_1970, purpose::Purpose};
use serde::Deserialize;
use toml::value::{Datetime, Offset};

/// A moment before which a rule matches, in milliseconds since 1970.
///
/// A date means its beginning in UTC, so that "until 1 June" does not include 1 June: of two readings, the shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "UntilText")]
pub(super) struct Until(pub(super) u64);

/// TOML has dates of its own; editors that check by the schema, and other formats, have text.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "write a date such as 2027-06-01, or a moment such as 2027-06-01T08:00:00+02:00"
)]
enum UntilText {
    Date(Datetime),
    Text(String),
}

/// Reads a date, whose beginning in UTC counts, or a moment with its offset, in milliseconds since 1970.
/// Errors: errors: the text says what is allowed.
pub fn moment(text: &str) -> Result<u64, &'static str> {
    Until::try_from(UntilText::Text(text.to_owned())).map(|until| until.0)
}

impl TryFrom<UntilText> for Until {
    type Error = &'static str;

    fn try_from(text: UntilText) -> Result<Self, Self::Error> {
        let at = match text {
            UntilText::Date(at) => Some(at),
            UntilText::Text(text) => text.parse().ok(),
        };
        at.and_then(milliseconds).map(Self).ok_or(
            "write a date such as 2027-06-01, or a moment with its offset such as 2027-06-01T08:00:00+02:00",
        )
    }
}

fn milliseconds(at: Datetime) -> Option<u64> {
    let date = at.date?;
    let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let within_day = match (at.time, at.offset) {
        (None, None) => 0,
        (Some(time), Some(offset)) => {
            let offset = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i64::from(minutes),
            };
            let minutes = i64::from(time.hour) * 60 + i64::from(time.minute) - offset;
            let nanoseconds = i64::from(time.nanosecond.unwrap_or(0));
            (minutes * 60 + i64::from(time.second.unwrap_or(0))) * 1000 + nanoseconds / 1_000_000
        }
        // A local time means another moment in each time zone.
        _ => return None,
    };
    u64::try_from(days * 24 * 3600 * 1000 + within_day).ok()
}

/// A duration such as `90d`, longer than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&text)
            .ok()
            .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
            .map(Self)
            .ok_or("write a duration such as 90s, 1h or 7d, longer than zero and at most 3650d")
    }
}

/// Ten years: longer is a slip of the pen.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A pattern for media types: `type/subtype`, where `*` stands for any characters but `/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MediaGlob(String);

impl MediaGlob {
    /// The pattern, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a media type is one of these; its parameters (`; charset=…`) and its case do not count.
    pub fn matches(&self, media_type: &str) -> bool {
        let essence = media_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match (self.0.split_once('/'), essence.split_once('/')) {
            (Some((top, sub)), Some((media, subtype))) => {
                !subtype.contains('/') && glob(top, media) && glob(sub, subtype)
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for MediaGlob {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let token = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&c))
        };
        match text.split_once('/') {
            Some((top, sub)) if token(top) && token(sub) => Ok(Self(text.to_ascii_lowercase())),
            _ => Err("write a media type such as application/fhir+json, or a pattern such as image/*"),
        }
    }
}

/// Whether `*` in the pattern can be filled in so that it is the text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The earliest place of each piece leaves the most for those after it.
    for piece in between.split('*') {
        let Some((_, after)) = text.split_once(piece) else {
            return false;
        };
        text = after;
    }
    text.ends_with(last)
}

/// A purpose of use, by its HL7 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PurposeCode(pub(super) Purpose);

impl TryFrom<String> for PurposeCode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
            .map(Self)
            .map_err(|_| "write the HL7 code of a purpose of use, such as TREAT, HPAYMT or HRESCH")
    }
}

/// The name of a FHIR resource type, such as `Observation`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct FhirType(pub(super) String);

impl TryFrom<String> for FhirType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let named = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|c| c.is_ascii_alphabetic())
            && text.len() <= 64;
        named
            .then_some(Self(text))
            .ok_or("write a FHIR resource type such as Observation")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn until(text: &str) -> Option<u64> {
        Until::try_from(UntilText::Text(text.to_owned()))
            .ok()
            .map(|until| until.0)
    }

    #[test]
    fn moments_are_read_and_local_times_are_refused() {
        assert_eq!(until("1970-01-01"), Some(0));
        assert_eq!(until("2000-02-29"), Some(951_782_400_000));
        assert_eq!(until("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(until("2023-11-15T00:13:20.5+02:00"), Some(1_700_000_000_500));
        for bad in [
            "",
            "June",
            "2027-06",
            "2027-13-01",
            "2027-02-30",
            "2027-06-01T08:00:00",
            "08:00:00",
            "1969-01-01",
        ] {
            assert_eq!(until(bad), None, "{bad}");
        }
    }

    #[test]
    fn globs_match_whole_types_only() {
        let glob = |pattern: &str| MediaGlob::try_from(pattern.to_owned()).unwrap();
        for (pattern, media_type, matches) in [
            ("application/dicom", "application/dicom", true),
            ("application/dicom", "Application/DICOM; transfer-syntax=x", true),
            ("application/dicom", "application/dicom+json", false),
            ("application/dicom", "xapplication/dicom", false),
            ("image/*", "image/png", true),
            ("image/*", "image/a/b", false),
            ("*/*", "a/b", true),
            ("*/*", "", false),
            ("application/*+json", "application/fhir+json", true),
            ("application/*+json", "application/json", false),
            ("a/x*y*x", "a/xyx", true),
            ("a/x*x", "a/x", false),
            ("a/**", "a/b", true),
        ] {
            assert_eq!(
                glob(pattern).matches(media_type),
                matches,
                "{pattern} {media_type}"
            );
        }
        for bad in ["", "dicom", "a/", "/b", "a/b/c", "a b/c", "a/b; c=d"] {
            assert!(MediaGlob::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_longer_than_zero_and_bounded() {
        let span = |text: &str| Span::try_from(text.to_owned());
        assert_eq!(span("90d"), Ok(Span(Duration::from_secs(90 * 86400))));
        for bad in ["", "0s", "7", "-1h", "4000d", "soon"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    /// The same by trying everything that `*` can stand for.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
            Some((c, rest)) => text
                .split_first()
                .is_some_and(|(d, text)| c == d && slow(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn globs_match_what_a_slow_search_finds(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            prop_assert_eq!(glob(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn days_are_counted_without_gaps(day in 0_i64..40_000) {
            // Every day is reached by exactly one date: counting on from it gives the next.
            let (mut year, mut month, mut date) = (1970, 1, 1);
            for _ in 0..day {
                let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let length = match month { 2 if leap => 29, 2 => 28, 4 | 6 | 9 | 11 => 30, _ => 31 };
                date += 1;
                if date > length { (month, date) = (month + 1, 1); }
                if month > 12 { (year, month) = (year + 1, 1); }
            }
            prop_assert_eq!(days_since_1970(year, month, date), day);
        }
    }
}
