//! Names that people decide by: which there may be (STM-8), and which look like one another (INS-17). By the profile of
//! UTS #39, in one version of Unicode: what is signed must be a name to everybody or to nobody.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

use unicode_normalization::{char::is_combining_mark, is_nfc};
use unicode_security::{GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, skeleton};

use crate::{Error, defence::Defence};

/// Longest name, in bytes of UTF-8.
pub const MAX_NAME: usize = 200;
/// Marks that may follow one letter.
const MAX_MARKS: usize = 4;

/// Checks a name (STM-8). Fails with [`Error::Name`], which says what to do instead.
pub(crate) fn check(text: &str) -> Result<(), Error> {
    must(!text.is_empty(), "it is empty: give one")?;
    must(text.len() <= MAX_NAME, "it is longer than 200 bytes: shorten it")?;
    must(
        text.trim() == text,
        "it begins or ends with a space: leave that out",
    )?;
    must(
        !text.chars().any(|c| c.is_control() || is_bidi_control(c)),
        "it has characters that cannot be seen: type it anew",
    )?;
    Defence::NameProfile.check(check_profile(text))
}

/// What keeps names from looking like others.
fn check_profile(text: &str) -> Result<(), Error> {
    must(
        text.chars().all(|c| is_punctuation(c) || c.identifier_allowed()),
        "it has characters other than letters, digits and ordinary punctuation: leave them out, or write them in words",
    )?;
    must(!text.contains("  "), "it has two spaces in a row: leave one out")?;
    if text.is_ascii() {
        return Ok(());
    }
    must(
        is_nfc(text),
        "its accents are apart from their letters: type it anew",
    )?;
    must(
        !text.starts_with(is_combining_mark) && !has_many_marks(text),
        "it has accents without a letter, or too many on one: type it anew",
    )?;
    let letters: String = text.chars().filter(|c| !is_punctuation(*c)).collect();
    must(
        letters
            .as_str()
            .check_restriction_level(RestrictionLevel::HighlyRestrictive),
        "it mixes scripts, so that letters can be taken for others: write it in one",
    )
}

fn must(condition: bool, rule: &'static str) -> Result<(), Error> {
    if condition {
        Ok(())
    } else {
        Err(Error::Name { rule })
    }
}

/// What can be seen of ASCII, and the space.
fn is_punctuation(c: char) -> bool {
    matches!(c, ' '..='~') && !c.is_ascii_alphanumeric()
}

fn has_many_marks(text: &str) -> bool {
    let longest = text
        .split(|c| !is_combining_mark(c))
        .map(|marks| marks.chars().count());
    longest.max().unwrap_or_default() > MAX_MARKS
}

/// Characters that reorder their neighbours could make one text look like another.
pub fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters of which nothing is seen where they stand: those with the property `Default_Ignorable_Code_Point`.
pub fn is_ignorable(c: char) -> bool {
    // A skeleton has none of them, and no other character is without one.
    !c.is_ascii() && skeleton(c.encode_utf8(&mut [0; 4])).next().is_none()
}

/// What a person sees of a name: two names with one look are one name to whoever reads them (INS-17). Punctuation and spaces do
/// not count, nor does case, except where one case looks like another letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    exact: String,
    as_written: String,
    in_lower_case: String,
}

impl Look {
    /// How a text looks, whether or not it is a name.
    pub fn of(text: &str) -> Self {
        let lower = text.trim().to_lowercase();
        Self {
            as_written: letters(text).to_lowercase(),
            in_lower_case: letters(&lower).to_lowercase(),
            exact: lower,
        }
    }

    /// Whether a person takes one for the other.
    pub fn is_like(&self, other: &Self) -> bool {
        self.aspects().any(|mine| other.aspects().any(|its| mine == its))
    }

    /// Names that agree in one of these are alike.
    fn aspects(&self) -> impl Iterator<Item = (u8, &str)> {
        let [exact, others @ ..] = [&self.exact, &self.as_written, &self.in_lower_case];
        let others = others.into_iter().filter(|_| !Defence::LookAlikes.is_off());
        (0..).zip(std::iter::once(exact).chain(others).map(String::as_str))
    }
}

/// Of many names, which others each one looks like; those that look like none are left out.
pub fn alike<'a, T: Copy + Ord>(names: impl Iterator<Item = (T, &'a str)>) -> BTreeMap<T, BTreeSet<T>> {
    let looks: Vec<(T, Look)> = names.map(|(whose, name)| (whose, Look::of(name))).collect();
    let mut groups: HashMap<(u8, &str), Vec<T>> = HashMap::new();
    for (whose, look) in &looks {
        for aspect in look.aspects() {
            groups.entry(aspect).or_default().push(*whose);
        }
    }
    let mut found: BTreeMap<T, BTreeSet<T>> = BTreeMap::new();
    for group in groups.values().filter(|group| group.len() > 1) {
        for whose in group {
            let others = group.iter().copied().filter(|other| other != whose);
            found.entry(*whose).or_default().extend(others);
        }
    }
    found
}

/// The letters, marks and digits of the skeleton (UTS #39 §4), or all of it where there is none.
fn letters(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    if text.is_ascii() {
        let parts = text.bytes().filter_map(|c| ASCII.get(usize::from(c)));
        out.extend(parts.map(String::as_str));
    } else {
        out.extend(skeleton(text));
    }
    let counts = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    if out.contains(counts) {
        out.retain(counts);
    }
    out
}

/// The skeleton of each character of ASCII: most names have no others, and a directory has many names.
static ASCII: LazyLock<Vec<String>> = LazyLock::new(|| {
    let one = |c: u8| skeleton(char::from(c).encode_utf8(&mut [0; 4])).collect();
    (0..128).map(one).collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Name;

    fn name(text: &str) -> Result<Name, Error> {
        Name::try_from(text.to_owned())
    }

    /// STM-8: another version of Unicode knows other names, so that it is another version of the protocol.
    #[test]
    fn names_are_those_of_one_version_of_unicode() {
        assert_eq!(unicode_security::UNICODE_VERSION, (18, 0, 0));
        assert_eq!(unicode_normalization::UNICODE_VERSION, (18, 0, 0));
    }

    /// STM-8
    #[test]
    fn names_of_hospitals_anywhere_are_names() {
        for good in [
            "St. Anna",
            "Krankenhaus München-Süd (Haus 3)",
            "Hôpital de l'Hôtel-Dieu",
            "L’Hôpital",
            "Szpital św. Łukasza",
            "Bệnh viện Chợ Rẫy",
            "Городская больница 1",
            "Νοσοκομείο Ευαγγελισμός",
            "東京大学医学部附属病院",
            "聖路加国際病院 A棟",
            "서울대학교병원",
            "مستشفى الملك",
            "בית חולים",
            "सफदरजंग अस्पताल",
            "โรงพยาบาลศิริราช",
            "medvault",
            "rustc 1.90.0 (1159e78c4 2026-09-14), x86_64-unknown-linux-gnu",
        ] {
            assert_eq!(
                name(good).map(|name| name.as_str().to_owned()).as_deref(),
                Ok(good)
            );
        }
    }

    /// STM-8, ATK-72: what the review of this protocol had accredited beside "St. Anna", and their kind.
    #[test]
    fn names_that_hide_something_are_refused() {
        for bad in [
            "St.\u{200b} Anna",
            "St.\u{a0}Anna",
            "St. \u{410}nna",
            "St. Anna\u{2060}",
            "St. An\u{34f}na",
            "St.  Anna",
            "St. Anna ",
            "\u{feff}St. Anna",
            "St. An\u{ad}na",
            "St. An\u{fe0f}na",
            "St. Ann\u{3164}",
            "St. Ａnna",
            "St. 𝐀nna",
            "A\u{308}rztehaus",
            "\u{301}Anna",
            "Ann\u{316}\u{317}\u{318}\u{319}\u{31a}",
            "St. Anna – Haus 3",
            "City\u{202e}Hospital",
            "Klinik عربي",
            "a\nb",
            "",
        ] {
            assert!(matches!(name(bad), Err(Error::Name { .. })), "{bad:?}");
        }
        assert!(name(&"n".repeat(200)).is_ok() && name(&"n".repeat(201)).is_err());
    }

    /// INS-17
    #[test]
    fn names_that_look_alike_are_one_name() {
        let like = |a: &str, b: &str| Look::of(a).is_like(&Look::of(b));
        // A letter that was changed for another, and the case with it.
        assert!(like("ST. ANNA H0SPITAL", "St. Anna Hospital"));
        assert!(like("St. Anna CIinic", "St. Anna clinic"));
        for other in [
            "st. anna",
            "St Anna",
            "ST.ANNA",
            "St. Anna.",
            "St.\u{200b} Anna",
            "St.\u{a0}Anna",
            "St. \u{410}nna",
            "St. An\u{34f}na",
        ] {
            assert!(like("St. Anna", other) && like(other, "St. Anna"), "{other:?}");
        }
        assert!(like("Illinois Clinic", "lllinois Clinic"), "capital i, small l");
        assert!(like("Modern Clinic", "Modem Clinic"), "r and n, m");
        assert!(like("Clinic 10", "Clinic lO"));
        assert!(like("сосо", "coco"), "a word of one other script");
        for other in ["St. Anne", "St. Änna", "St. Anna 2", ""] {
            assert!(!like("St. Anna", other), "{other:?}");
        }
        assert!(!like("東京", "京都") && !like("!!", "??"));
    }

    /// INS-17
    #[test]
    fn of_many_names_those_that_look_alike_are_found() {
        let names = ["St. Anna", "City", "St Anna", "C\u{456}ty", "Hill", "ST. ANNA"];
        let found = alike(names.iter().copied().enumerate());
        let expected = [
            (0, [2, 5].as_slice()),
            (1, &[3]),
            (2, &[0, 5]),
            (3, &[1]),
            (5, &[0, 2]),
        ];
        let expected = expected.map(|(whose, others)| (whose, others.iter().copied().collect()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn the_table_for_ascii_is_the_skeleton() {
        for text in ["St. Anna", "10 I l | m 0 O", "a-b_c'd\"e"] {
            let counts = |c: &char| c.is_alphanumeric() || is_combining_mark(*c);
            assert_eq!(letters(text), skeleton(text).filter(counts).collect::<String>());
        }
    }

    #[test]
    fn ignorable_characters_are_told_from_others() {
        for ignorable in [
            '\u{200b}',
            '\u{ad}',
            '\u{34f}',
            '\u{2060}',
            '\u{feff}',
            '\u{e0041}',
            '\u{3164}',
        ] {
            assert!(is_ignorable(ignorable), "{ignorable:?}");
        }
        for other in ['a', ' ', 'é', '\u{301}', '東', '\u{a0}'] {
            assert!(!is_ignorable(other), "{other:?}");
        }
    }
}
