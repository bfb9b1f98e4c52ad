//! Names of parts as files: which a sender gives (CNT-17), and under which a reader writes them
//! (CNT-18), whatever old or hostile senders have sent, and whatever other systems hold. People, shells and file systems take more names for one another than a manifest does.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization;

use crate::{
    defence::Defence,
    manifest::PartName,
    names::{is_bidi_control, is_ignorable},
};

/// Checks the names of all parts that a sender puts into one record (CNT-17). What only some file system does not hold, or takes for
/// another one, is carried: a reader gives it another name (CNT-18). The error is the first name that is refused, and
/// what to do about it.
pub fn check_sent<'a>(names: impl Iterator<Item = &'a PartName>) -> Result<(), (&'a PartName, &'static str)> {
    let refused = |name: &'a PartName| {
        let fault = name.as_str().split('/').find_map(deceives)?;
        Some((name, fault))
    };
    let refused = names.filter(|_| !Defence::FileNames.is_off()).find_map(refused);
    refused.map_or(Ok(()), Err)
}

/// What a sender can put right by itself: letters with their accents in one, and the ordinary space for all others.
pub fn tidied(name: &str) -> String {
    let spaced = |c: char| {
        if c.is_whitespace() && !c.is_control() {
            ' '
        } else {
            c
        }
    };
    name.nfc().map(spaced).collect()
}

/// Why a component deceives people, if it does.
pub fn deceives(component: &str) -> Option<&'static str> {
    if component.contains(is_hidden) {
        Some("its name has characters that cannot be seen: rename it")
    } else if component.starts_with(['-', '.']) {
        Some(
            "its name begins with - or . and would be an option or a hidden file: rename it, or leave it out",
        )
    } else if tidied(component) != component {
        Some("its name has accents apart from their letters, or unusual spaces: rename it")
    } else {
        None
    }
}

/// What is not seen, or changes what is. The joiners stay, since scripts and emoji need them.
fn is_hidden(c: char) -> bool {
    let joins = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
    c.is_control() || is_bidi_control(c) || (is_ignorable(c) && !joins)
}

/// `CON`, `aux.txt` and their kind.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let number = numbered.is_some_and(|number| {
        let mut digits = number.chars();
        let one = digits.next().is_some_and(|c| "123456789¹²³".contains(c));
        one && digits.next().is_none()
    });
    number || DEVICES.contains(&stem.as_str())
}

/// The key under which some file system takes two names for one: case, forms of one letter, and what cannot be seen do not count.
fn folded(component: &str) -> String {
    let seen: String = component.nfkc().filter(|c| !is_ignorable(*c)).collect();
    seen.to_uppercase().to_lowercase().nfkc().collect()
}

/// Gives the parts of one record the paths of their files, in the order of the manifest (CNT-18).
#[derive(Clone, Debug, Default)]
pub struct FileNames {
    /// By the folder's own path.
    folders: HashMap<String, FolderNames>,
}

#[derive(Clone, Debug, Default)]
struct FolderNames {
    /// What a component of a manifest is called here, or a path whose folders are left out.
    given: HashMap<String, String>,
    /// Keys of the names that are taken.
    taken: HashSet<String>,
    /// The last number that was put behind a name, by the name's key.
    last: HashMap<String, u32>,
}

impl FileNames {
    /// Where a part goes: its own name where that is safe, else the nearest to it. Never leaves the record's folder.
    pub fn place(&mut self, name: &PartName) -> String {
        if Defence::FileNames.is_off() {
            return name.as_str().to_owned();
        }
        let mut path = String::new();
        let mut rest = name.as_str();
        while let Some((component, deeper)) = rest.split_once('/') {
            if path.len() > LONGEST_FOLDER {
                // Deeper folders are left out of the path.
                break;
            }
            let given = self.folder(&path).give(component, component);
            join(&mut path, &given);
            rest = deeper;
        }
        let last = rest.rsplit('/').next().unwrap_or(rest);
        let given = self.folder(&path).give(rest, last);
        join(&mut path, &given);
        path
    }

    fn folder(&mut self, path: &str) -> &mut FolderNames {
        self.folders.entry(path.to_owned()).or_default()
    }
}

fn join(path: &mut String, component: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(component);
}

impl FolderNames {
    /// The name that `key` has here, which is near to the component.
    fn give(&mut self, key: &str, component: &str) -> String {
        if let Some(given) = self.given.get(key) {
            return given.clone();
        }
        let safe = safe(component);
        let near = folded(&safe);
        let mut name = safe.clone();
        while !self.taken.insert(folded(&name)) {
            let number = self.last.entry(near.clone()).or_insert(1);
            *number = number.saturating_add(1);
            name = numbered(&safe, *number);
        }
        self.given.insert(key.to_owned(), name.clone());
        name
    }
}

/// The nearest name that no rule is against: what must not stand there becomes `_`.
fn safe(component: &str) -> String {
    let mut name: String = tidied(component)
        .chars()
        .map(|c| {
            if is_hidden(c) || RESERVED.contains(&c) {
                '_'
            } else {
                c
            }
        })
        .collect();
    name.truncate(cut(&name, MAX_COMPONENT).len());
    if name.starts_with(['-', '.', ' ']) || is_device(&name) {
        name.replace_range(..first_len(&name), "_");
    }
    if name.ends_with([' ', '.']) {
        name.pop();
        name.push('_');
    }
    name
}

/// The name with a number before its ending, as in `report~2.pdf`.
fn numbered(name: &str, number: u32) -> String {
    let dot = name.rfind('.').filter(|at| name.len() - at <= LONGEST_ENDING);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let mark = format!("~{number}");
    format!(
        "{}{mark}{ending}",
        cut(stem, MAX_COMPONENT - mark.len() - ending.len())
    )
}

fn first_len(name: &str) -> usize {
    name.chars().next().map_or(0, char::len_utf8)
}

/// The longest beginning of at most so many bytes.
fn cut(name: &str, most: usize) -> &str {
    let end = (0..=most.min(name.len()))
        .rev()
        .find(|at| name.is_char_boundary(*at));
    name.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// What NTFS and its kin do not hold.
const RESERVED: &[char] = &['<', '>', ':', '"', '|', '?', '*', '\\'];
/// What opens something else than a file, with any ending.
const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];
/// Most bytes of a component on the file systems that there are.
const MAX_COMPONENT: usize = 255;
/// Most bytes of a path to which more folders are joined: with one more and a file, no path is longer than 1,024 bytes, which
/// with the folder that it lies in is what systems hold.
const LONGEST_FOLDER: usize = 1024 - 2 * (MAX_COMPONENT + 1);
/// With its dot; what is longer is no ending.
const LONGEST_ENDING: usize = 16;

#[cfg(test)]
mod tests;
