use std::collections::HashMap;

use super::*;
use crate::{RecipientSecret, SigningIdentity};

fn keys(seed: u8) -> (SigningIdentity, RecipientSecret) {
    let device = SigningIdentity::from_seed(&[seed; 32]).unwrap();
    (device, RecipientSecret::from_seed(&[seed; 32]).unwrap())
}

fn nonce(byte: u8) -> LinkNonce {
    LinkNonce([byte; 32])
}

fn code(secret: u8, seed: u8) -> LinkCode {
    let (device, recipient) = keys(seed);
    LinkCode {
        secret: Zeroizing::new([secret; 16]),
        offer: offer(&device.public(), recipient.public(), &nonce(seed).commitment()),
    }
}

#[test]
fn a_code_survives_its_text_and_nothing_else_passes() {
    let code = code(1, 2);
    let text = code.to_text();
    let again: LinkCode = format!(" {}\n{}", &text[..40], &text[40..]).parse().unwrap();
    assert_eq!((again.place(), again.offer), (code.place(), code.offer));
    for wrong in [&text[1..], &text[..text.len() - 1], "", "code_", "code_!"] {
        assert!(wrong.parse::<LinkCode>().is_err(), "{wrong}");
    }
}

/// DEV-9, DEV-20: the code names both keys and the commitment.
#[test]
fn other_keys_or_another_commitment_are_not_those_of_the_code() {
    let code = code(1, 2);
    let ((device, recipient), (other_device, other_recipient)) = (keys(2), keys(3));
    let (bound, other_bound) = (nonce(2).commitment(), nonce(3).commitment());
    let check = |device: &SigningIdentity, recipient: &RecipientSecret, bound| {
        code.check_offer(&device.public(), recipient.public(), bound)
            .is_ok()
    };
    assert!(check(&device, &recipient, &bound));
    assert!(!check(&other_device, &recipient, &bound));
    assert!(!check(&device, &other_recipient, &bound));
    assert!(!check(&device, &recipient, &other_bound));
}

/// DEV-10: pinned, so that two programs show the same; whatever enters it changes it, and nothing else.
#[test]
fn the_short_string_follows_from_the_offer_and_both_nonces() {
    let short = |secret, seed, own, answer| code(secret, seed).short_string(&nonce(own), &nonce(answer));
    insta::assert_snapshot!(short(1, 2, 3, 4), @"127-449-384");
    assert_eq!(short(1, 2, 3, 4), short(9, 2, 3, 4));
    for other in [
        short(1, 9, 3, 4),
        short(1, 2, 9, 4),
        short(1, 2, 3, 9),
        short(1, 2, 4, 3),
    ] {
        assert_ne!(short(1, 2, 3, 4), other);
    }
}

/// DEV-20: one nonce for an offer, whoever asks how often; another one for another offer, patient or root key.
#[test]
fn an_answer_is_the_same_for_one_offer_alone() {
    let root = |byte| VaultRootKey::from_bytes(&[byte; 32]);
    let patient = |byte| PatientId::from_bytes([byte; 32]);
    let answer = root(1).link_answer(&patient(2), &code(3, 4));
    assert!(root(1).link_answer(&patient(2), &code(9, 4)) == answer);
    for other in [
        root(9).link_answer(&patient(2), &code(3, 4)),
        root(1).link_answer(&patient(9), &code(3, 4)),
        root(1).link_answer(&patient(2), &code(3, 9)),
    ] {
        assert!(other != answer);
    }
}

/// DEV-11: an approval is of one list, for one device of one patient, by somebody who has the code.
#[test]
fn an_approval_is_of_its_list_alone() {
    let (patient, device) = (PatientId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
    let list = Sha256Digest::of(b"list");
    let approval = code(1, 2).approval(&patient, &list, &device);
    let check =
        |code: LinkCode, patient, list, device| code.check_approval(&approval, &patient, &list, &device);
    assert!(check(code(1, 2), patient, list, device).is_ok());
    assert!(check(code(8, 2), patient, list, device).is_err(), "another code");
    assert!(check(code(1, 2), PatientId::from_bytes([9; 32]), list, device).is_err());
    assert!(check(code(1, 2), patient, Sha256Digest::of(b"other"), device).is_err());
    assert!(check(code(1, 2), patient, list, DeviceId::from_bytes([9; 32])).is_err());
    let short = code(1, 2).check_approval(&approval[..31], &patient, &list, &device);
    assert!(short.is_err());
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?} {:?}", code(0x41, 2), nonce(0x41));
    assert!(!shown.contains("41414141") && !shown.contains("[65"), "{shown}");
}

/// A game in which strings have three digits, so that it can be played to its end: somebody lays a code of his own in the
/// place of a new device's, stands between both, and wins when both show the same. Whether nonces enter the string, and
/// whether the new device is bound to its own before it has the answer.
struct Game {
    nonces: bool,
    commitment: bool,
}

/// The protocol's.
const OURS: Game = Game {
    nonces: true,
    commitment: true,
};
const ROUNDS: u64 = 1_000;
/// Ten for each string that there is.
const ATTEMPTS: u64 = 10_000;

fn numbered(number: u64) -> LinkCode {
    LinkCode {
        secret: Zeroizing::new([0; 16]),
        offer: Sha256Digest::of(&number.to_be_bytes()),
    }
}

/// A nonce that nobody has seen before.
fn fresh(round: u64, side: &str) -> LinkNonce {
    LinkNonce(sha256(&[&round.to_be_bytes(), side.as_bytes()]))
}

impl Game {
    fn string(&self, code: &LinkCode, own: &LinkNonce, answer: &LinkNonce) -> u64 {
        let number = if self.nonces {
            code.number(&[own.as_bytes(), answer.as_bytes()])
        } else {
            code.number(&[])
        };
        number % 1_000
    }

    fn won(wins: impl Fn(u64) -> bool) -> u64 {
        (0..ROUNDS).filter(|round| wins(*round)).count() as u64
    }

    /// He has made a table of offers by their strings once, for everybody, with a nonce of his own and the answers that he
    /// expects. He sees what the new device shows, and offers what the table has for it.
    fn with_a_table(&self) -> u64 {
        let own = nonce(7);
        let row = |number| (self.string(&numbered(number), &own, &nonce(8)), number);
        let table: HashMap<u64, u64> = (0..ATTEMPTS).map(row).collect();
        Self::won(|round| {
            let honest = numbered(u64::MAX - round);
            let shown = self.string(&honest, &fresh(round, "new"), &fresh(round, "answer to the new"));
            let his = table.get(&shown).map(|number| numbered(*number));
            his.is_some_and(|his| self.string(&his, &own, &fresh(round, "answer to him")) == shown)
        })
    }

    /// He has offered something and has the answer to it, which says what she expects. The new device has yet to be given an
    /// answer, and he gives it one: the best there is, if its nonce is known by then.
    fn by_speaking_last(&self) -> u64 {
        Self::won(|round| {
            let (honest, own) = (numbered(u64::MAX - round), fresh(round, "new"));
            let expected = self.string(&numbered(round), &nonce(7), &fresh(round, "answer to him"));
            let attempts = if self.commitment { 1 } else { ATTEMPTS };
            (0..attempts).any(|answer| self.string(&honest, &own, &fresh(answer, "his answer")) == expected)
        })
    }
}

/// DEV-20, ATK-70: neither a table that was made in advance nor the last word is of use: he wins as often as who guesses three
/// digits, once in a thousand.
#[test]
fn neither_a_table_nor_the_last_word_gives_a_short_string() {
    assert!(OURS.with_a_table() < 10);
    assert!(OURS.by_speaking_last() < 10);
}

/// ATK-70, the control: where the string follows from the offer, one table serves against everybody.
#[test]
fn without_nonces_one_table_serves_against_everybody() {
    let game = Game {
        nonces: false,
        ..OURS
    };
    assert!(game.with_a_table() > ROUNDS * 9 / 10);
}

/// ATK-70, the control: who knows the new device's nonce before he must give it an answer chooses the string.
#[test]
fn without_a_commitment_who_speaks_last_chooses_the_string() {
    let game = Game {
        commitment: false,
        ..OURS
    };
    assert!(game.by_speaking_last() > ROUNDS * 9 / 10);
}
