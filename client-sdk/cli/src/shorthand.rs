//! Ids as people give them: whole, shortened to what names one thing here, or `last` for the newest. A shortened id is looked for among
//! one's own things alone, so what others mint can make it ambiguous and nothing else.

use std::{fmt::Display, str::FromStr};

use client_sdk::{InboxWhat, Institution, Patient, PermissionId, RecordId, RequestId};

use crate::failure::Failure;

/// An id, or what stands for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named<T> {
    Whole(T),
    /// How it begins, `req_ae5kq…`, or ends, `…xq3d`.
    Part(Part),
    /// The newest one, written `last`.
    Last,
}

/// A part of an id, in the letters of base32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Begins(String),
    Ends(String),
}

/// An id that can be shortened.
pub(crate) trait Short: FromStr + Display + Copy + PartialEq {
    /// How the id begins, with the underscore.
    const PREFIX: &'static str;
    /// What it names, and where such things are listed.
    const WHAT: (&'static str, &'static str);
}

impl Short for RequestId {
    const PREFIX: &'static str = "req_";
    const WHAT: (&'static str, &'static str) = ("request", "medvault inbox");
}

impl Short for PermissionId {
    const PREFIX: &'static str = "perm_";
    const WHAT: (&'static str, &'static str) = ("permission", "medvault inbox, medvault permissions");
}

impl Short for RecordId {
    const PREFIX: &'static str = "rec_";
    const WHAT: (&'static str, &'static str) = ("record", "medvault records");
}

impl<T: Short> FromStr for Named<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Whole(id));
        }
        let letters = |part: &str| part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        let dots = |c| matches!(c, '…' | '.');
        let form = || {
            let (prefix, (what, _)) = (T::PREFIX, T::WHAT);
            format!(
                "a {what} is {prefix}… in full, its first or last letters ({prefix}ae5kq…, …xq3d), or last"
            )
        };
        if let Some(end) = text.strip_prefix('…').or_else(|| text.strip_prefix("...")) {
            let long_enough = end.len() >= LEAST && letters(end);
            return long_enough
                .then(|| Self::Part(Part::Ends(end.to_owned())))
                .ok_or_else(form);
        }
        let begin = text
            .strip_prefix(T::PREFIX)
            .map(|begin| begin.trim_end_matches(dots));
        match begin {
            Some(begin) if begin.len() >= LEAST && letters(begin) => {
                Ok(Self::Part(Part::Begins(format!("{}{begin}", T::PREFIX))))
            }
            _ => Err(form()),
        }
    }
}

impl<T: Short> Named<T> {
    /// The one among these, the newest last, that it stands for.
    pub(crate) fn among(self, known: impl IntoIterator<Item = T>) -> Result<T, Failure> {
        let (what, list) = T::WHAT;
        let mut known: Vec<T> = known.into_iter().collect();
        let part = match self {
            Self::Whole(id) => return Ok(id),
            Self::Last => {
                let none = || Failure::usage(format!("there is no {what} yet: look with {list}"));
                return known.pop().ok_or_else(none);
            }
            Self::Part(part) => part,
        };
        let mut found: Vec<T> = Vec::new();
        for id in known.into_iter().filter(|id| part.is_of(&id.to_string())) {
            if !found.contains(&id) {
                found.push(id);
            }
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::usage(format!(
                "no {what} here {}: look with {list}",
                part.text()
            ))),
            several => {
                let ids: Vec<String> = several.iter().take(SHOWN).map(ToString::to_string).collect();
                let text = part.text();
                Err(Failure::usage(format!(
                    "{} of yours are a {what} that {text}, give more letters: {}",
                    several.len(),
                    ids.join(", ")
                )))
            }
        }
    }

    /// Refuses `last` where nobody looks at what it stands for before something is done that cannot be taken back.
    pub(crate) fn not_last_unseen(self, seen: bool) -> Result<Self, Failure> {
        if self == Self::Last && !seen {
            let (what, list) = T::WHAT;
            return Err(Failure::usage(format!(
                "which {what} is the last one may change at any moment, and nobody is asked here: name it, as {list} shows it"
            )));
        }
        Ok(self)
    }
}

impl Part {
    fn is_of(&self, id: &str) -> bool {
        match self {
            Self::Begins(begin) => id.starts_with(begin),
            Self::Ends(end) => id.ends_with(end),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Begins(begin) => format!("begins with {begin}"),
            Self::Ends(end) => format!("ends with {end}"),
        }
    }
}

/// A request to her, as `medvault inbox` shows them.
pub(crate) async fn request(patient: &Patient, named: Named<RequestId>) -> Result<RequestId, Failure> {
    if let Named::Whole(id) = named {
        return Ok(id);
    }
    let events = patient.inbox(0, None).await?;
    named.among(events.iter().filter_map(|event| event.what.asked()))
}

/// A permission that she has given.
pub(crate) async fn given(patient: &Patient, named: Named<PermissionId>) -> Result<PermissionId, Failure> {
    if let Named::Whole(id) = named {
        return Ok(id);
    }
    let all = patient.permissions().await?;
    named.among(all.into_iter().map(|info| info.permission_id))
}

/// A permission that an institution has got: to send by, or to receive by.
pub(crate) async fn got(
    institution: &Institution,
    named: Named<PermissionId>,
    to_send: bool,
) -> Result<PermissionId, Failure> {
    if let Named::Whole(id) = named {
        return Ok(id);
    }
    let wanted = |what: &InboxWhat| match what {
        InboxWhat::UploadRequest { permission_id, .. } if to_send => Some(*permission_id),
        InboxWhat::Permission { permission_id, .. } if !to_send => Some(*permission_id),
        _ => None,
    };
    let events = institution.inbox(0, None).await?;
    named.among(events.iter().filter_map(|event| wanted(&event.what)))
}

/// Letters of an id that are worth looking for.
const LEAST: usize = 4;
/// Ids that an ambiguous one is told with.
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> RequestId {
        let mut bytes = [1; 16];
        bytes[15] = last;
        RequestId::from_bytes(bytes)
    }

    fn read(text: &str) -> Result<Named<RequestId>, String> {
        text.parse()
    }

    #[test]
    fn an_id_is_whole_shortened_or_the_last() {
        let whole = id(1).to_string();
        assert_eq!(read(&whole), Ok(Named::Whole(id(1))));
        assert_eq!(read("last"), Ok(Named::Last));
        let begin = Named::Part(Part::Begins("req_aeaq".to_owned()));
        for text in ["req_aeaq", "req_aeaq…", "req_aeaq..."] {
            assert_eq!(read(text), Ok(begin.clone()), "{text}");
        }
        assert_eq!(read("…xq3d"), Ok(Named::Part(Part::Ends("xq3d".to_owned()))));
        for wrong in [
            "",
            "req_",
            "req_abc",
            "perm_aeaqc",
            "req_not-an-id",
            "…ab",
            "latest",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_names_one_thing_is_taken_and_what_names_two_is_not() {
        let known = [id(1), id(2), id(2), id(3)];
        let whole = id(2).to_string();
        let end = format!("…{}", &whole[whole.len() - 4..]);
        assert_eq!(read(&end).unwrap().among(known).unwrap(), id(2));
        assert_eq!(read("last").unwrap().among(known).unwrap(), id(3));
        assert_eq!(read(&id(9).to_string()).unwrap().among(known).unwrap(), id(9));
        let several = read(&whole[..12]).unwrap().among(known).unwrap_err();
        assert!(several.message().contains("3 of yours"), "{}", several.message());
        let none = read("req_zzzz").unwrap().among(known).unwrap_err();
        assert!(none.message().contains("medvault inbox"), "{}", none.message());
        assert!(read("last").unwrap().among([]).is_err());
    }

    #[test]
    fn the_last_one_is_not_taken_unseen() {
        assert!(read("last").unwrap().not_last_unseen(false).is_err());
        assert!(read("last").unwrap().not_last_unseen(true).is_ok());
        assert!(read("req_aeaq").unwrap().not_last_unseen(false).is_ok());
    }
}
