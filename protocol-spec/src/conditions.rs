//! Conditions on records: which media types, from which days. In plain they are known to the patient's devices and
//! to the institution alone; what the server tests are tokens ([`crate::tags`]). See `spec/conditions.md` §4.

use std::{collections::BTreeSet, fmt};

use prost::Message;

use crate::{
    Error,
    attributes::{Attribute, Attributes, MediaType, Side},
    day::Day,
    messages as pb,
};

/// Most media types of one permission: the tokens are one for each set of them.
pub const MAX_MEDIA_TYPES: usize = 4;

/// What a record must be like to be released.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Each of its parts has one of these media types; empty for no condition.
    pub media_types: BTreeSet<MediaType>,
    /// None of its days is before this one.
    pub from: Option<Day>,
    /// None of its days is after this one.
    pub to: Option<Day>,
    /// What has no day fits `from` and `to` as well.
    pub undated: bool,
}

/// Why a record does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misfit {
    /// It has a part of another media type.
    MediaType,
    /// It has no date, or one that cannot be read.
    NoDate,
    /// It is from before the window.
    TooEarly,
    /// It is from after the window.
    TooLate,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MediaType => "it has a part of another media type",
            Self::NoDate => "it has no date",
            Self::TooEarly => "it is from before the first day",
            Self::TooLate => "it is from after the last day",
        })
    }
}

impl Conditions {
    /// Whether no condition is set, so that every record fits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Conditions that can be put into a permission (CND-8). Fails with [`Error::Field`] when there are none, too
    /// many media types, a window without a day, or no window that undated records could fall out of.
    pub fn checked(self) -> Result<Self, Error> {
        let window = match (self.from, self.to) {
            (Some(from), Some(to)) => from <= to,
            (None, None) => !self.undated,
            _ => true,
        };
        if self.is_empty() || !window || self.media_types.len() > MAX_MEDIA_TYPES {
            return Err(Error::Field { field: "conditions" });
        }
        Ok(self)
    }

    /// Whether a record fits (CND-3). The error is the first condition that does not hold.
    pub fn check(&self, record: &Attributes) -> Result<(), Misfit> {
        let fits = |types: &BTreeSet<MediaType>| !types.is_empty() && types.is_subset(&self.media_types);
        if !self.media_types.is_empty() && !record.media_types.as_ref().is_some_and(fits) {
            return Err(Misfit::MediaType);
        }
        if self.from.is_none() && self.to.is_none() {
            return Ok(());
        }
        let Some((first, last)) = record.days else {
            return if self.undated { Ok(()) } else { Err(Misfit::NoDate) };
        };
        if self.from.is_some_and(|from| first < from) {
            return Err(Misfit::TooEarly);
        }
        if self.to.is_some_and(|to| last > to) {
            return Err(Misfit::TooLate);
        }
        Ok(())
    }

    /// The same in attributes: a record fits if it has one of each group (CND-4).
    pub fn groups(&self) -> Vec<Vec<Attribute>> {
        let side = |side: Side, blocks: Vec<crate::day::DayBlock>| {
            let undated = self.undated.then(|| Attribute::no_day(side, 1));
            let days = blocks.into_iter().map(|block| Attribute::day(side, block));
            days.chain(undated).collect()
        };
        let types = (!self.media_types.is_empty()).then(|| self.sets_of_types());
        let first = self.from.map(|from| side(Side::First, from.and_after()));
        let last = self.to.map(|to| side(Side::Last, to.and_before()));
        // A record of which only the last day is bounded must have one all the same; the group says so by itself.
        [types, first, last].into_iter().flatten().collect()
    }

    /// Every set of some of the media types.
    fn sets_of_types(&self) -> Vec<Attribute> {
        let sets = 1..1_u32 << self.media_types.len();
        sets.map(|set| {
            let chosen = self.media_types.iter().enumerate();
            let chosen = chosen.filter(|(number, _)| set >> number & 1 == 1);
            Attribute::media_types(chosen.map(|(_, media_type)| media_type))
        })
        .collect()
    }

    /// The bytes of the message `Conditions`, which are then sealed.
    pub fn encode(&self) -> Vec<u8> {
        let day = |day: Option<Day>| day.map(|day| day.to_string()).unwrap_or_default();
        pb::Conditions {
            media_types: self.media_types.iter().map(ToString::to_string).collect(),
            from: day(self.from),
            to: day(self.to),
            undated: self.undated,
        }
        .encode_to_vec()
    }

    /// Reads what [`Self::encode`] made; each of them has one form (STM-5).
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let pb::Conditions {
            media_types,
            from,
            to,
            undated,
        } = pb::decode_canonical(bytes)?;
        let day = |text: String| (!text.is_empty()).then(|| text.parse()).transpose();
        let ascending = media_types.is_sorted_by(|a, b| a < b);
        let media_types: Result<_, _> = media_types.iter().map(|one| one.parse()).collect();
        if !ascending {
            return Err(Error::Field { field: "media_types" });
        }
        Self {
            media_types: media_types?,
            from: day(from)?,
            to: day(to)?,
            undated,
        }
        .checked()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPES: [&str; 5] = ["a/1", "a/2", "a/3", "a/4", "a/5"];

    fn types(set: u8) -> BTreeSet<MediaType> {
        let chosen = TYPES
            .iter()
            .enumerate()
            .filter(|(number, _)| set >> number & 1 == 1);
        chosen.map(|(_, text)| text.parse().unwrap()).collect()
    }

    fn day(number: u32) -> Option<Day> {
        Day::from_number(number)
    }

    /// Around one place, so that both outcomes come about.
    fn days() -> impl Strategy<Value = Option<Day>> {
        proptest::option::of((45_000..45_040_u32).prop_map(|number| day(number).unwrap()))
    }

    proptest! {
        /// CND-4: testing attributes group by group comes to the same as looking at the record.
        #[test]
        fn groups_say_what_the_conditions_say(
            set in 0..32_u8,
            (from, to, undated) in (days(), days(), any::<bool>()),
            record in proptest::option::of(0..32_u8),
            dates in proptest::option::of((45_000..45_040_u32, 0..6_u32)),
        ) {
            let conditions = Conditions { media_types: types(set), from, to, undated };
            prop_assume!(conditions.clone().checked().is_ok());
            let record = Attributes {
                media_types: record.map(types),
                days: dates.map(|(first, more)| (day(first).unwrap(), day(first + more).unwrap())),
            };
            let own = record.each();
            let groups = conditions.groups();
            let all = groups.iter().all(|group| group.iter().any(|one| own.contains(one)));
            prop_assert_eq!(all, conditions.check(&record).is_ok());
        }

        #[test]
        fn what_was_encoded_is_read_back(set in 0..32_u8, from in days(), to in days(), undated in any::<bool>()) {
            let conditions = Conditions { media_types: types(set), from, to, undated };
            let read = Conditions::decode(&conditions.encode());
            prop_assert_eq!(read, conditions.checked());
        }
    }

    /// CND-8
    #[test]
    fn conditions_have_one_form() {
        let wire = |types: &[&str], from: &str, to: &str| {
            let types = types.iter().map(|&one| one.to_owned()).collect();
            let message = pb::Conditions {
                media_types: types,
                from: from.into(),
                to: to.into(),
                undated: false,
            };
            Conditions::decode(&message.encode_to_vec())
        };
        assert!(wire(&["a/b", "c/d"], "2026-05-01", "2026-05-01").is_ok());
        for (types, from, to) in [
            (&[][..], "", ""),
            (&["c/d", "a/b"][..], "", ""),
            (&["a/b", "a/b"][..], "", ""),
            (&["A/b"][..], "", ""),
            (&["a/b; c=d"][..], "", ""),
            (&TYPES[..], "", ""),
            (&[][..], "2026-05-02", "2026-05-01"),
            (&[][..], "2026-02-30", ""),
        ] {
            assert!(wire(types, from, to).is_err(), "{types:?} {from} {to}");
        }
        let undated = pb::Conditions {
            media_types: vec!["a/b".into()],
            undated: true,
            ..pb::Conditions::default()
        };
        assert!(Conditions::decode(&undated.encode_to_vec()).is_err());
    }
}
