//! The two halves of an emergency key: one on a card or with a guardian, one at the server. Either alone is 32 random
//! bytes that tell nothing; both together open what is wrapped to them. See `spec/emergency.md` §2.

use data_encoding::BASE32_NOPAD;
use protocol_spec::{
    emergency,
    field::SealedBytes,
    hash::{Sha256Digest, sha256},
    ids::{InstitutionId, PatientId, RequestId},
    keys::{IdentityKey, RecipientKey},
    labels,
};
use zeroize::Zeroizing;

use crate::{
    CardHalf, Error, RecipientSecret, SecureRandom, ServerHalf, SigningIdentity, kdf,
    wrap::{self, Info, Opens},
};

impl ServerHalf {
    /// How a permission names it.
    pub fn hash(&self) -> Sha256Digest {
        emergency::share_hash(self.expose())
    }
}

impl CardHalf {
    /// The key that whoever opens signs with.
    ///
    /// `seed = HKDF-Expand-SHA-512 (card half, LABEL(EMERGENCY_CARD_KEY) ‖ patient id, 32)` (EMG-2)
    pub fn key(&self, patient: &PatientId) -> Result<SigningIdentity, Error> {
        let info: [&[u8]; 2] = [&labels::EMERGENCY_CARD_KEY.bytes(), patient.as_bytes()];
        SigningIdentity::from_seed(&kdf::expand(self.expose(), &info))
    }

    /// The key pair that the permission key is wrapped to.
    ///
    /// `seed = HKDF-SHA-256 (salt = "", card half ‖ server half, LABEL(EMERGENCY_RECIPIENT) ‖ patient id ‖ card key, 32)`
    /// (EMG-2)
    pub fn recipient(&self, server: &ServerHalf, patient: &PatientId) -> Result<RecipientSecret, Error> {
        let mut both = Zeroizing::new([0; 64]);
        let (first, second) = both.split_at_mut(32);
        first.copy_from_slice(self.expose());
        second.copy_from_slice(server.expose());
        let card_key = self.key(patient)?.public();
        let info: [&[u8]; 3] = [
            &labels::EMERGENCY_RECIPIENT.bytes(),
            patient.as_bytes(),
            card_key.as_bytes(),
        ];
        RecipientSecret::from_seed(&kdf::extract_and_expand(both.as_slice(), &info))
    }

    /// The code on the card: `emg`, and in groups of four the base32 of the half and four check bytes (EMG-3).
    pub fn code(&self, patient: &PatientId) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(32 + CHECK));
        bytes.extend_from_slice(self.expose());
        bytes.extend_from_slice(&self.check_bytes(patient));
        let mut letters = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
        letters.make_ascii_lowercase();
        let mut code = Zeroizing::new(String::with_capacity(PREFIX.len() + letters.len() * 5 / 4 + 2));
        code.push_str(PREFIX);
        for (at, letter) in letters.chars().enumerate() {
            if at % 4 == 0 {
                code.push('-');
            }
            code.push(letter);
        }
        code
    }

    /// Reads a code as people type or scan it: in any case, with white space and hyphens anywhere, with or without
    /// the patient's id before it. Fails with [`Error::Malformed`] for what is no code, or
    /// one of another patient (EMG-3).
    pub fn from_code(text: &str, patient: &PatientId) -> Result<Self, Error> {
        let malformed = || Error::Malformed { what: "card's code" };
        let mut text = Zeroizing::new(text.trim().to_ascii_lowercase());
        if let Some((id, code)) = text
            .split_once(char::is_whitespace)
            .filter(|(id, _)| id.starts_with("pat_"))
        {
            if id != patient.to_string() {
                return Err(malformed());
            }
            text = Zeroizing::new(code.to_owned());
        }
        let mut letters = Zeroizing::new(String::with_capacity(text.len()));
        letters.extend(text.chars().filter(|c| !c.is_whitespace() && *c != '-'));
        let letters = Zeroizing::new(
            letters
                .strip_prefix(PREFIX)
                .ok_or_else(malformed)?
                .to_ascii_uppercase(),
        );
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| malformed())?);
        let (half, check) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let half = Self::from_bytes(half);
        if half.check_bytes(patient).as_slice() == check {
            Ok(half)
        } else {
            Err(malformed())
        }
    }

    /// SHA-256 (LABEL(EMERGENCY_CODE) ‖ patient id ‖ card half), its first bytes.
    fn check_bytes(&self, patient: &PatientId) -> [u8; CHECK] {
        let digest = sha256(&[&labels::EMERGENCY_CODE.bytes(), patient.as_bytes(), self.expose()]);
        let mut check = [0; CHECK];
        check.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        check
    }

    /// Seals the half to who is to have it.
    pub fn seal(
        &self,
        random: &dyn SecureRandom,
        to: &RecipientKey,
        context: &HalfContext,
    ) -> Result<SealedBytes, Error> {
        wrap::wrap(random, to, context.info(), self.expose())
    }

    /// Opens what [`Self::seal`] made in the same context. Whose half it is follows from the card key alone. Fails
    /// with [`Error::Open`], also for a half that has another card key.
    pub fn open<R: Opens>(with: &R, sealed: &SealedBytes, context: &HalfContext) -> Result<Self, R::Error> {
        let opened = with.open_sealed(&context.info(), sealed)?;
        let half = Self::from_bytes(opened.as_slice().try_into().map_err(|_| Error::Open)?);
        if half.key(&context.patient)?.public() == context.card_key {
            Ok(half)
        } else {
            Err(Error::Open.into())
        }
    }
}

/// Which half is sealed, and for whom (EMG-10).
#[derive(Clone, Copy, Debug)]
pub struct HalfContext {
    /// The patient whose vault is opened.
    pub patient: PatientId,
    /// The card key of the permission that is opened.
    pub card_key: IdentityKey,
    /// Who opens the half: a guardian, or the institution that is helped.
    pub reader: HalfReader,
}

/// For whom a guardian's half is sealed.
#[derive(Clone, Copy, Debug)]
pub enum HalfReader {
    /// By the patient, for the guardian.
    Guardian(PatientId),
    /// By the guardian, for an institution, with this help.
    Institution(InstitutionId, RequestId),
}

impl HalfContext {
    /// SHA-256 (LABEL(SEAL_GUARDIAN_HALF) ‖ patient id ‖ card key ‖ guardian id), or
    /// SHA-256 (LABEL(SEAL_HELP_HALF) ‖ patient id ‖ card key ‖ institution id ‖ help id).
    fn info(&self) -> Info {
        let Self {
            patient,
            card_key,
            reader,
        } = self;
        let (patient, card_key) = (patient.as_bytes().as_slice(), card_key.as_bytes().as_slice());
        match reader {
            HalfReader::Guardian(guardian) => Info::new(
                labels::SEAL_GUARDIAN_HALF,
                &[patient, card_key, guardian.as_bytes()],
            ),
            HalfReader::Institution(institution, help) => Info::new(
                labels::SEAL_HELP_HALF,
                &[patient, card_key, institution.as_bytes(), help.as_bytes()],
            ),
        }
    }
}

/// How codes begin, so that people know what they have found.
const PREFIX: &str = "emg";
/// A wrong letter passes once in four thousand million times.
const CHECK: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    const PATIENT: PatientId = PatientId::from_bytes([1; 32]);
    const OTHER: PatientId = PatientId::from_bytes([2; 32]);

    fn halves() -> (CardHalf, ServerHalf) {
        (CardHalf::from_bytes(&[3; 32]), ServerHalf::from_bytes(&[4; 32]))
    }

    /// EMG-2: another card, another share or another patient gives another key.
    #[test]
    fn the_key_follows_from_both_halves_and_the_patient() {
        let (card, server) = halves();
        let key = |card: &CardHalf, server: &ServerHalf, patient| {
            card.recipient(server, patient).unwrap().public().clone()
        };
        let whole = key(&card, &server, &PATIENT);
        assert_eq!(whole, key(&card, &server, &PATIENT));
        assert_ne!(whole, key(&CardHalf::from_bytes(&[9; 32]), &server, &PATIENT));
        assert_ne!(whole, key(&card, &ServerHalf::from_bytes(&[9; 32]), &PATIENT));
        assert_ne!(whole, key(&card, &server, &OTHER));
        // The halves in each other's place are other halves.
        let swapped = key(
            &CardHalf::from_bytes(&[4; 32]),
            &ServerHalf::from_bytes(&[3; 32]),
            &PATIENT,
        );
        assert_ne!(whole, swapped);
        assert_ne!(
            card.key(&PATIENT).unwrap().public(),
            card.key(&OTHER).unwrap().public()
        );
    }

    /// EMG-3
    #[test]
    fn codes_are_read_as_people_type_them_and_checked() {
        let (card, _) = halves();
        let code = card.code(&PATIENT);
        assert!(code.starts_with("emg-") && code.len() < 80, "{}", code.len());
        let spaced = code.replace('-', " ").to_uppercase();
        for text in [
            code.as_str(),
            &spaced,
            &format!("{PATIENT} {}", *code),
            &format!(" {PATIENT}\n{}\n", *code),
        ] {
            assert_eq!(
                CardHalf::from_code(text, &PATIENT),
                Ok(CardHalf::from_bytes(&[3; 32])),
                "{text}"
            );
        }
        for (at, letter) in code.char_indices().skip(4).filter(|(_, letter)| *letter != '-') {
            let mut typo = code.to_string();
            typo.replace_range(at..=at, if letter == 'a' { "b" } else { "a" });
            assert!(CardHalf::from_code(&typo, &PATIENT).is_err(), "{at}");
        }
        assert!(CardHalf::from_code(&code, &OTHER).is_err());
        assert!(CardHalf::from_code(&format!("{OTHER} {}", *code), &PATIENT).is_err());
        for bad in ["", "emg", "emg-aaaa", &code[..code.len() - 1], &code[3..]] {
            assert!(CardHalf::from_code(bad, &PATIENT).is_err(), "{bad}");
        }
    }

    /// EMG-10
    #[test]
    fn a_sealed_half_opens_for_its_reader_patient_and_card_key_alone() {
        let (card, _) = halves();
        let reader = RecipientSecret::generate(&OperatingSystem).unwrap();
        let context = HalfContext {
            patient: PATIENT,
            card_key: card.key(&PATIENT).unwrap().public(),
            reader: HalfReader::Institution(
                InstitutionId::from_bytes([5; 32]),
                RequestId::from_bytes([6; 16]),
            ),
        };
        let sealed = card.seal(&OperatingSystem, reader.public(), &context).unwrap();
        assert_eq!(
            CardHalf::open(&reader, &sealed, &context),
            Ok(CardHalf::from_bytes(&[3; 32]))
        );
        let stranger = RecipientSecret::generate(&OperatingSystem).unwrap();
        assert_eq!(CardHalf::open(&stranger, &sealed, &context), Err(Error::Open));
        let wrong = [
            HalfContext {
                patient: OTHER,
                ..context
            },
            HalfContext {
                card_key: stranger_key(),
                ..context
            },
            HalfContext {
                reader: HalfReader::Guardian(PatientId::from_bytes([5; 32])),
                ..context
            },
            HalfContext {
                reader: HalfReader::Institution(
                    InstitutionId::from_bytes([7; 32]),
                    RequestId::from_bytes([6; 16]),
                ),
                ..context
            },
            HalfContext {
                reader: HalfReader::Institution(
                    InstitutionId::from_bytes([5; 32]),
                    RequestId::from_bytes([7; 16]),
                ),
                ..context
            },
        ];
        for context in wrong {
            assert_eq!(
                CardHalf::open(&reader, &sealed, &context),
                Err(Error::Open),
                "{context:?}"
            );
        }
        // Well sealed, but another half than the permission names.
        let other = CardHalf::from_bytes(&[8; 32])
            .seal(&OperatingSystem, reader.public(), &context)
            .unwrap();
        assert_eq!(CardHalf::open(&reader, &other, &context), Err(Error::Open));
    }

    fn stranger_key() -> IdentityKey {
        SigningIdentity::from_seed(&[9; 32]).unwrap().public()
    }

    #[test]
    fn debug_shows_no_half() {
        let (card, server) = halves();
        insta::assert_snapshot!(format!("{card:?} {server:?}"), @"CardHalf(..) ServerHalf(..)");
    }
}
