//! The files of `protocol-spec/vectors`: one case each, of what is checked, with what, and what must come out.

use std::{collections::BTreeMap, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What a case checks, and with what.
pub trait Run: Serialize + DeserializeOwned {
    /// How it fails.
    type Error: std::fmt::Display;

    /// What it gives.
    ///
    /// # Errors
    /// Those that the vectors name.
    fn run(&self) -> Result<String, Self::Error>;

    /// The words that vectors use for a failure.
    fn class(error: &Self::Error) -> &'static str;
}

/// One file.
#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned"))]
pub struct Case<C> {
    /// File name without its ending.
    pub name: String,
    /// The rule of `spec/` that it is about.
    pub rule: String,
    /// What is special about it.
    pub description: String,
    /// `success`, or the failure that it must give.
    pub expect: String,
    /// What a success yields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives: Option<String>,
    /// What is checked.
    #[serde(flatten)]
    pub check: C,
}

/// A case that must succeed; what it gives is what the code gave when the file was written.
pub fn good<C: Run>(rule: &str, name: &str, description: &str, check: C) -> Case<C> {
    let gives = check.run().unwrap_or_else(|error| panic!("{name}: {error}"));
    Case {
        gives: Some(gives),
        ..bad(rule, "success", name, description, check)
    }
}

/// A case that must fail in this way.
pub fn bad<C: Run>(rule: &str, expect: &str, name: &str, description: &str, check: C) -> Case<C> {
    Case {
        name: name.to_owned(),
        rule: rule.to_owned(),
        description: description.to_owned(),
        expect: expect.to_owned(),
        gives: None,
        check,
    }
}

impl<C: Run> Case<C> {
    /// Whether it must succeed.
    pub fn succeeds(&self) -> bool {
        self.expect == "success"
    }

    /// The text of its file.
    pub fn to_json(&self) -> String {
        format!("{}\n", serde_json::to_string_pretty(self).unwrap())
    }

    /// Checks that it gives what it says.
    fn assert(&self, place: &str) {
        let expected = match &self.gives {
            Some(gives) if self.succeeds() => Ok(gives.clone()),
            None if !self.succeeds() => Err(self.expect.clone()),
            _ => panic!("{place}: what succeeds gives something, and nothing else does"),
        };
        let outcome = self.check.run().map_err(|error| C::class(&error).to_owned());
        assert_eq!(outcome, expected, "{place}: {}", self.description);
    }
}

/// Folders, each with its cases as they are made today.
pub type Made<C> = Vec<(&'static str, Vec<Case<C>>)>;

/// Cases in each folder: (folder, must succeed, must fail).
pub type Counts = [(&'static str, usize, usize)];

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "vectors", name]
        .iter()
        .collect()
}

/// The files of a folder, by name.
fn stored(name: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        (stem.to_owned(), fs::read_to_string(&path).unwrap())
    };
    entries.map(text).collect()
}

fn write_missing<C: Run>(made: Made<C>) {
    for (name, cases) in made {
        fs::create_dir_all(folder(name)).unwrap();
        for case in cases {
            let path = folder(name).join(format!("{}.json", case.name));
            if !path.exists() {
                fs::write(path, case.to_json()).unwrap();
            }
        }
    }
}

/// Checks that every file gives what it says, and that there are so many of them. With `MEDVAULT_WRITE_VECTORS` set, it
/// writes the files that do not exist yet; one that exists is never written again.
pub fn assert_stored<C: Run>(counts: &Counts, make: impl FnOnce() -> Made<C>) {
    if std::env::var_os("MEDVAULT_WRITE_VECTORS").is_some() {
        write_missing(make());
    }
    for (name, good, bad) in counts {
        let mut succeed = Vec::new();
        for (file, text) in stored(name) {
            let place = format!("{name}/{file}");
            let read = serde_json::from_str(&text);
            let case: Case<C> = read.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(case.name, file);
            case.assert(&place);
            succeed.push(case.succeeds());
        }
        let found = succeed.iter().filter(|succeeds| **succeeds).count();
        assert_eq!((found, succeed.len() - found), (*good, *bad), "{name}");
    }
}

/// Checks that what is made today is what the files say, to the byte.
pub fn assert_unmoved<C: Run>(made: &Made<C>) {
    for (name, cases) in made {
        let texts = cases.iter().map(|case| (case.name.clone(), case.to_json()));
        let texts: BTreeMap<_, _> = texts.collect();
        assert_eq!(texts.len(), cases.len(), "{name}: two cases share a name");
        for (file, text) in stored(name) {
            assert_eq!(texts.get(&file), Some(&text), "{name}/{file}");
        }
        assert_eq!(stored(name).len(), texts.len(), "{name}");
    }
}

/// Checks that what is made today, with fresh randomness, has the names of the files, and gives what it says.
pub fn assert_made<C: Run>(made: &Made<C>) {
    for (name, cases) in made {
        let names: Vec<_> = cases.iter().map(|case| case.name.clone()).collect();
        assert_eq!(names, stored(name).into_keys().collect::<Vec<_>>(), "{name}");
        for case in cases {
            case.assert(&format!("{name}/{}", case.name));
        }
    }
}

/// Bytes, as lower-case hexadecimal digits.
#[derive(Clone)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    /// As an array, of whose length they must be.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }
}

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

impl<M: prost::Message> From<&M> for Hex {
    fn from(message: &M) -> Self {
        Self(message.encode_to_vec())
    }
}

/// Lower-case digits.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// `bytes` with one bit flipped.
pub fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
