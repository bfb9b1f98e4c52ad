//! What a record is known by when it is permitted by conditions: the media types of its parts and the days that they
//! are of. See `spec/conditions.md` §2.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    Error,
    day::{Day, DayBlock, LEVELS},
    litter::decisive,
    manifest::Part,
};

/// A media type (RFC 6838) in lower case, without parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(String);

impl MediaType {
    /// The media type as text: type, slash, subtype.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a media type comes to as it is written elsewhere: case and parameters do not count. Fails with
    /// [`Error::Field`] for what is no media type.
    pub fn of(text: &str) -> Result<Self, Error> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.to_ascii_lowercase().parse()
    }
}

/// In lower case, without parameters: there is one way to write it.
impl FromStr for MediaType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = |name: &str| {
            let first = name.bytes().next();
            (1..=127).contains(&name.len())
                && first.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                && name
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$&-^_.+".contains(&c))
        };
        match text.split_once('/') {
            Some((top, sub)) if name(top) && name(sub) => Ok(Self(text.to_owned())),
            _ => Err(Error::Field { field: "media_type" }),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's media types and days (CND-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Of all parts but litter (CND-13); none when the type of one of them cannot be read.
    pub media_types: Option<BTreeSet<MediaType>>,
    /// The first and the last of its parts' dates; none when no part has a date, or one cannot be read.
    pub days: Option<(Day, Day)>,
}

impl Attributes {
    /// Those of a record with these parts.
    pub fn of(parts: &[Part]) -> Self {
        let decisive = decisive(parts);
        let media_types = decisive.iter().map(|part| MediaType::of(&part.media_type));
        let dates = parts
            .iter()
            .flat_map(|part| [&part.clinical.date, &part.clinical.last_date]);
        let days: Result<BTreeSet<Day>, Error> = dates
            .filter(|date| !date.is_empty())
            .map(|date| date.parse())
            .collect();
        Self {
            media_types: media_types.collect::<Result<_, _>>().ok(),
            days: days.ok().and_then(|days| Some((*days.first()?, *days.last()?))),
        }
    }

    /// One by one, as tokens are made of them: always [`Attribute::COUNT`] (CND-6).
    pub fn each(&self) -> Vec<Attribute> {
        let types = self.media_types.iter().flatten();
        let side = |side: Side, day: Option<Day>| -> Vec<Attribute> {
            match day {
                Some(day) => day.blocks().map(|block| Attribute::day(side, block)).collect(),
                None => (1..=LEVELS).map(|level| Attribute::no_day(side, level)).collect(),
            }
        };
        let mut all = vec![Attribute::media_types(types)];
        all.extend(side(Side::First, self.days.map(|days| days.0)));
        all.extend(side(Side::Last, self.days.map(|days| days.1)));
        all
    }
}

/// Which of the two days of a record: its content may be of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first day that its content is of.
    First = 2,
    /// The last day that its content is of.
    Last = 3,
}

/// One thing that a record is known by, as bytes: what a token is made of (CND-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute(Vec<u8>);

impl Attribute {
    /// Of every record: its set of media types, and for each level the blocks of its first and its last day.
    pub const COUNT: usize = 1 + 2 * LEVELS as usize;

    /// A set of media types, in ascending order.
    pub fn media_types<'a>(types: impl IntoIterator<Item = &'a MediaType>) -> Self {
        let mut bytes = vec![1];
        for (number, media_type) in types.into_iter().enumerate() {
            if number > 0 {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(media_type.as_str().as_bytes());
        }
        Self(bytes)
    }

    /// That the first or last day lies in this block.
    pub fn day(side: Side, block: DayBlock) -> Self {
        let head = [side as u8, block.level];
        Self([&head[..], &block.number.to_be_bytes()].concat())
    }

    /// What stands in its place for a record without a day.
    pub(crate) fn no_day(side: Side, level: u8) -> Self {
        Self(vec![side as u8, level])
    }

    /// As it enters the derivation.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::Sha256Digest, manifest::Clinical};

    fn part(media_type: &str, date: &str) -> Part {
        Part {
            name: "a".to_owned().try_into().unwrap(),
            media_type: media_type.into(),
            offset: 0,
            length: 0,
            sha256: Sha256Digest::of(b""),
            clinical: Clinical {
                date: date.into(),
                ..Clinical::default()
            },
            modified: None,
        }
    }

    /// CND-3
    #[test]
    fn a_record_is_known_by_its_types_and_by_its_first_and_last_day() {
        let of = |parts: &[Part]| Attributes::of(parts);
        let types = |record: &Attributes| {
            let types = record.media_types.clone().unwrap();
            types.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mixed = of(&[
            part("Text/Plain; charset=utf-8", "2026-05-03"),
            part("application/dicom", ""),
            part("text/plain", "2026-04-30"),
        ]);
        assert_eq!(types(&mixed), ["application/dicom", "text/plain"]);
        let days = mixed
            .days
            .map(|(first, last)| (first.to_string(), last.to_string()));
        assert_eq!(days, Some(("2026-04-30".into(), "2026-05-03".into())));
        let mut several = part("text/plain", "2026-05-01");
        several.clinical.last_date = "2026-05-09".into();
        let days = of(&[several, part("text/plain", "2026-05-03")]).days;
        assert_eq!(days.map(|(_, last)| last.to_string()), Some("2026-05-09".into()));
        assert_eq!(of(&[part("text/plain", "")]).days, None);
        assert_eq!(
            of(&[part("text/plain", "2026-02-30"), part("text/plain", "2026-02-03")]).days,
            None
        );
        for unreadable in ["", "text", "a b/c", "a/b/c", "/b", "*/*"] {
            let record = of(&[part(unreadable, ""), part("text/plain", "")]);
            assert_eq!(record.media_types, None, "{unreadable}");
        }
    }

    /// CND-6: the number tells nothing of the record, and each attribute is another.
    #[test]
    fn every_record_has_as_many_attributes() {
        for parts in [
            vec![],
            vec![part("text/plain", "")],
            vec![part("text/plain", "2026-04-30"), part("a/b", "2026-05-03")],
            vec![part("?", "yesterday")],
        ] {
            let all = Attributes::of(&parts).each();
            assert_eq!(all.len(), Attribute::COUNT);
            for (number, one) in all.iter().enumerate() {
                assert!(!all[number + 1..].contains(one), "{one:?}");
            }
        }
    }
}
