//! The imaginary patient, and identifiers derived from the seed.

use sha2::{Digest, Sha256};

/// The patient and the root of all identifiers in one set of demo data.
pub(super) struct Identity {
    seed: u64,
    pub(super) family: &'static str,
    pub(super) given: &'static str,
    pub(super) sex: Sex,
    pub(super) birth_date: Date,
    /// Medical record number.
    pub(super) number: String,
}

#[derive(Clone, Copy)]
pub(super) enum Sex {
    Female,
    Male,
}

#[derive(Clone, Copy)]
pub(super) struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Identity {
    /// The same seed draws the same patient.
    pub(super) fn draw(seed: u64) -> Self {
        let number = |name: &str, below: u64| {
            let bytes = digest(seed, name);
            u64::from_be_bytes(*bytes.first_chunk().unwrap_or(&[0; 8])) % below
        };
        let (given, sex) = pick(&GIVEN, number("given", GIVEN.len() as u64));
        Self {
            seed,
            family: pick(&FAMILY, number("family", FAMILY.len() as u64)),
            given,
            sex,
            birth_date: Date {
                year: 1940 + number("year", 60),
                month: 1 + number("month", 12),
                day: 1 + number("day", 28),
            },
            number: format!("MRN-{:08}", number("record", 100_000_000)),
        }
    }

    /// Name in DICOM's form.
    pub(super) fn dicom_name(&self) -> String {
        format!("{}^{}", self.family, self.given)
    }

    /// Strings in the data that nobody but patient and institutions should see.
    pub(super) fn canaries(&self) -> Vec<String> {
        vec![
            self.dicom_name(),
            self.family.to_owned(),
            self.number.clone(),
            self.birth_date.dicom(),
            self.birth_date.iso(),
            self.dicom_uid("study"),
            self.dicom_uid("series"),
            self.uuid("patient"),
        ]
    }

    /// A DICOM unique identifier below the root for UUIDs (PS3.5 B.2).
    pub(super) fn dicom_uid(&self, name: &str) -> String {
        format!("2.25.{}", u128::from_be_bytes(self.uuid_bytes(name)))
    }

    /// A UUID (RFC 9562 version 8: derived, here by SHA-256) in its text form.
    pub(super) fn uuid(&self, name: &str) -> String {
        let hex = format!("{:032x}", u128::from_be_bytes(self.uuid_bytes(name)));
        let mut text = String::with_capacity(36);
        for (position, digit) in hex.chars().enumerate() {
            if [8, 12, 16, 20].contains(&position) {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }

    fn uuid_bytes(&self, name: &str) -> [u8; 16] {
        let digest = digest(self.seed, name);
        let mut bytes = *digest.first_chunk::<16>().unwrap_or(&[0; 16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes
    }
}

impl Sex {
    pub(super) fn dicom(self) -> &'static str {
        match self {
            Self::Female => "F",
            Self::Male => "M",
        }
    }

    pub(super) fn fhir(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }
}

impl Date {
    pub(super) fn dicom(self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    pub(super) fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn digest(seed: u64, name: &str) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"medvault demo data");
    hash.update(seed.to_be_bytes());
    hash.update(name);
    hash.finalize().into()
}

fn pick<T: Copy>(list: &[T], index: u64) -> T {
    let index = usize::try_from(index).unwrap_or_default();
    list[index % list.len()]
}

const FAMILY: [&str; 12] = [
    "Abendrot",
    "Birkenfeld",
    "Castellani",
    "Drozdowska",
    "Eskildsen",
    "Fitzwilliam",
    "Grünewald",
    "Hasegawa",
    "Iturriaga",
    "Johannesson",
    "Karamanlis",
    "Lindqvist",
];

const GIVEN: [(&str, Sex); 12] = [
    ("Adelheid", Sex::Female),
    ("Bartolomeo", Sex::Male),
    ("Concetta", Sex::Female),
    ("Desmond", Sex::Male),
    ("Eulalia", Sex::Female),
    ("Ferdinand", Sex::Male),
    ("Gwendolen", Sex::Female),
    ("Hideaki", Sex::Male),
    ("Ingeborg", Sex::Female),
    ("Joaquín", Sex::Male),
    ("Kassandra", Sex::Female),
    ("Leopold", Sex::Male),
];
