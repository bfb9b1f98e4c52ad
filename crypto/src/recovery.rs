//! The secret of a recovery member: 32 random bytes, written down as 24 words, from which its two key
//! pairs follow. See `spec/recovery.md` §2.

use std::fmt;

use bip39::{Language, Mnemonic};
use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    labels::{self, Label},
};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    Error, RecipientSecret, RecoverySecret, SigningIdentity, kdf, link,
    words_error::{WORDS, WordsError},
};

impl RecoverySecret {
    /// The 24 words that say it (RCV-1). This never fails in practice: 32 bytes are a
    /// length that BIP-39 has words for.
    pub fn words(&self) -> Result<RecoveryWords, Error> {
        // BIP-39: entropy (32 bytes) ‖ first byte of its SHA-256, cut into 24 indices of 11 bits
        Mnemonic::from_entropy_in(Language::English, self.expose())
            .map(RecoveryWords)
            .map_err(|_| Error::Malformed { what: "entropy" })
    }

    /// Reads words as people type or copy them: in any case, with any white space between them, and with or without
    /// their numbers. The error says which word is wrong, and where it stands (RCV-1).
    pub fn from_words(text: &str) -> Result<Self, WordsError> {
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let words: Vec<&str> = text.split_whitespace().filter(|word| !is_number(word)).collect();
        if words.len() != WORDS {
            return Err(WordsError::Count { got: words.len() });
        }
        let phrase = Zeroizing::new(words.join(" "));
        let words =
            Mnemonic::parse_in_normalized(Language::English, &phrase).map_err(|error| match error {
                bip39::Error::UnknownWord(index) => WordsError::Unknown { number: index + 1 },
                _ => WordsError::Checksum,
            })?;
        let (entropy, _) = words.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let entropy = entropy.first_chunk().ok_or(WordsError::Checksum)?;
        Ok(Self::from_bytes(entropy))
    }

    /// The keys of the member (RCV-2).
    ///
    /// `seed = HKDF-Expand-SHA-512 (secret, LABEL, 32)`, with a label for each key.
    pub fn keys(&self) -> Result<RecoveryKeys, Error> {
        let seed = |label: Label| kdf::expand(self.expose(), &[&label.bytes()]);
        Ok(RecoveryKeys {
            identity: SigningIdentity::from_seed(&seed(labels::RECOVERY_IDENTITY))?,
            recipient: RecipientSecret::from_seed(&seed(labels::RECOVERY_RECIPIENT))?,
        })
    }
}

impl RecoverySecret {
    /// The approval of the list that adds the member: HKDF-Expand-SHA-512 (secret, LABEL(RECOVERY_APPROVAL) ‖ patient
    /// id ‖ SHA-256(list) ‖ device id, 32) (RCV-3).
    pub fn approval(&self, patient: &PatientId, list: &Sha256Digest, device: &DeviceId) -> [u8; 32] {
        link::approval(self.expose(), labels::RECOVERY_APPROVAL, patient, list, device)
    }

    /// Whether an approval is of this list (RCV-3).
    pub fn check_approval(
        &self,
        approval: &[u8],
        patient: &PatientId,
        list: &Sha256Digest,
        device: &DeviceId,
    ) -> Result<(), Error> {
        link::check_same(
            &self.approval(patient, list, device),
            approval,
            Defence::RecoveryApproval,
        )
    }
}

/// `7`, `7.` or `7)`: how lists number their words.
fn is_number(word: &str) -> bool {
    let digits = word.strip_suffix(['.', ')']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a recovery member signs with, and what its vault root keys are wrapped to.
#[derive(Debug)]
pub struct RecoveryKeys {
    /// Signs as a device does.
    pub identity: SigningIdentity,
    /// Opens as a device does.
    pub recipient: RecipientSecret,
}

/// 24 words. Whoever reads them has the vault.
pub struct RecoveryWords(Mnemonic);

impl RecoveryWords {
    /// The words, from the first to the 24th.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.words()
    }

    /// The words with one space between them.
    pub fn phrase(&self) -> Zeroizing<String> {
        // 24 words of at most 8 letters: no reallocation leaves a copy behind.
        let mut phrase = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in self.iter() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        phrase
    }

    /// Whether `answer` is word `number`, counted from 1.
    pub fn is(&self, number: usize, answer: &str) -> bool {
        let word = number.checked_sub(1).and_then(|index| self.iter().nth(index));
        word.is_some_and(|word| word.eq_ignore_ascii_case(answer.trim()))
    }
}

impl ZeroizeOnDrop for RecoveryWords {}

impl fmt::Debug for RecoveryWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("RecoveryWords(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const fn wiped_when_dropped<T: ZeroizeOnDrop>() {}
    const _: () = {
        wiped_when_dropped::<Mnemonic>();
        wiped_when_dropped::<RecoverySecret>();
    };

    fn zeros() -> String {
        "abandon ".repeat(23) + "art"
    }

    /// RCV-1, ATK-47: the last of the vectors of BIP-39 with 24 words, and its first.
    #[test]
    fn words_are_those_of_bip_39() {
        let secret = RecoverySecret::from_bytes(&[0; 32]);
        assert_eq!(*secret.words().unwrap().phrase(), zeros());
        let entropy = data_encoding::HEXLOWER
            .decode(b"f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f")
            .unwrap();
        let phrase = "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing \
                      screen patrol group space point ten exist slush involve unfold";
        let secret = RecoverySecret::from_bytes(entropy.first_chunk().unwrap());
        assert_eq!(*secret.words().unwrap().phrase(), phrase);
        assert_eq!(RecoverySecret::from_words(phrase), Ok(secret));
    }

    /// RCV-1
    #[test]
    fn words_are_read_as_people_type_and_copy_them() {
        let zeros = zeros();
        let numbered: String = zeros
            .split(' ')
            .zip(1..)
            .map(|(word, n)| format!("{n}. {word}\n"))
            .collect();
        for text in [
            zeros.clone(),
            zeros.to_uppercase(),
            numbered,
            format!("\t{}\r\n", zeros.replace(' ', "  ")),
        ] {
            assert_eq!(
                RecoverySecret::from_words(&text),
                Ok(RecoverySecret::from_bytes(&[0; 32])),
                "{text:?}"
            );
        }
    }

    /// RCV-1: every word of a kit, replaced by its neighbour in it, is noticed but for one in
    /// 256, which gives another secret.
    #[test]
    fn a_wrong_word_is_refused_by_its_place_or_by_the_checksum() {
        let wrong = |text: &str| RecoverySecret::from_words(text).unwrap_err();
        assert_eq!(wrong(&"abandon ".repeat(23)), WordsError::Count { got: 23 });
        assert_eq!(wrong(&"abandon ".repeat(25)), WordsError::Count { got: 25 });
        assert_eq!(wrong(""), WordsError::Count { got: 0 });
        assert_eq!(
            wrong(&zeros().replace("art", "artt")),
            WordsError::Unknown { number: 24 }
        );
        assert_eq!(wrong(&"abandon ".repeat(24)), WordsError::Checksum);
        // 12 words with a right checksum are no kit.
        assert_eq!(
            wrong(&("abandon ".repeat(11) + "about")),
            WordsError::Count { got: 12 }
        );

        let secret = RecoverySecret::from_bytes(&[0x5a; 32]);
        let words: Vec<_> = secret.words().unwrap().iter().collect();
        let (mut refused, mut changed) = (0, 0);
        for at in 0..WORDS - 1 {
            let mut swapped = words.clone();
            swapped.swap(at, at + 1);
            if swapped == words {
                continue;
            }
            changed += 1;
            match RecoverySecret::from_words(&swapped.join(" ")) {
                Ok(other) => assert_ne!(other, secret),
                Err(error) => {
                    assert_eq!(error, WordsError::Checksum);
                    refused += 1;
                }
            }
        }
        assert!(refused + 2 >= changed, "{refused} of {changed}");
    }

    /// RCV-2
    #[test]
    fn the_keys_follow_from_the_secret_and_differ() {
        let keys = RecoverySecret::from_bytes(&[1; 32]).keys().unwrap();
        let again = RecoverySecret::from_bytes(&[1; 32]).keys().unwrap();
        let other = RecoverySecret::from_bytes(&[2; 32]).keys().unwrap();
        assert_eq!(keys.identity.public(), again.identity.public());
        assert_eq!(keys.recipient.public(), again.recipient.public());
        let seeds = [&keys, &other].map(|keys| [keys.identity.expose_seed(), keys.recipient.expose_seed()]);
        let seeds: HashSet<_> = seeds
            .iter()
            .flatten()
            .map(|seed| **seed)
            .chain([[1; 32], [2; 32]])
            .collect();
        assert_eq!(seeds.len(), 6);
    }

    /// RCV-3: an approval is of one list, for one member of one patient, by whoever has the secret.
    #[test]
    fn an_approval_is_of_its_list_alone() {
        let secret = RecoverySecret::from_bytes(&[1; 32]);
        let (patient, device) = (PatientId::from_bytes([2; 32]), DeviceId::from_bytes([3; 32]));
        let (list, other) = (Sha256Digest::of(b"list"), Sha256Digest::of(b"other"));
        let approval = secret.approval(&patient, &list, &device);
        assert!(secret.check_approval(&approval, &patient, &list, &device).is_ok());
        let stranger = RecoverySecret::from_bytes(&[9; 32]);
        assert!(
            stranger
                .check_approval(&approval, &patient, &list, &device)
                .is_err()
        );
        assert!(
            secret
                .check_approval(&approval, &PatientId::from_bytes([9; 32]), &list, &device)
                .is_err()
        );
        assert!(
            secret
                .check_approval(&approval, &patient, &other, &device)
                .is_err()
        );
        assert!(
            secret
                .check_approval(&approval, &patient, &list, &DeviceId::from_bytes([9; 32]))
                .is_err()
        );
        assert!(
            secret
                .check_approval(&approval[..31], &patient, &list, &device)
                .is_err()
        );
        assert!(secret.check_approval(&[], &patient, &list, &device).is_err());
    }

    #[test]
    fn answers_are_compared_by_place() {
        let words = RecoverySecret::from_bytes(&[0; 32]).words().unwrap();
        assert!(words.is(24, " Art\n") && words.is(1, "abandon"));
        for (number, answer) in [(24, "abandon"), (0, "abandon"), (25, "art"), (1, "")] {
            assert!(!words.is(number, answer), "{number} {answer}");
        }
    }

    #[test]
    fn debug_and_errors_show_no_word() {
        let secret = RecoverySecret::from_bytes(&[0x41; 32]);
        insta::assert_snapshot!(format!("{secret:?} {:?}", secret.words().unwrap()), @"RecoverySecret(..) RecoveryWords(..)");
        let error = RecoverySecret::from_words(&zeros().replace("art", "secretword")).unwrap_err();
        insta::assert_snapshot!(error, @"word 24 is not in the list of words");
    }
}
