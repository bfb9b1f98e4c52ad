//! Words of a recovery member, and its secret put together from shares.

use crypto::{OperatingSystem, RecoverySecret, SigningIdentity, shares::Share};
use protocol_spec::{bodies::RecoveryShares, ids::PatientId, recovery::Division, statement::Signed};

use super::{Cases, flipped};
use crate::vectors::case::{Case, Check, Hex, ReturnedShare, Statement};

const PATIENT: PatientId = PatientId::from_bytes([0xa0; 32]);

pub fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    words(&mut cases);
    divisions(&mut cases);
    shares(&mut cases);
    cases.0
}

fn words(cases: &mut Cases) {
    let check = |words: &str| Check::RecoveryWords {
        words: words.to_owned(),
    };
    let zeros = "abandon ".repeat(23) + "art";
    let ones = "zoo ".repeat(23) + "vote";
    let mixed = "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen \
                 patrol group space point ten exist slush involve unfold";
    cases.success("zeros", "RCV-1", "32 zero bytes", check(&zeros));
    cases.success("ones", "RCV-2", "32 bytes 0xff", check(&ones));
    cases.success("mixed", "RCV-2", "a vector of BIP-39", check(mixed));
    cases.success(
        "capitals",
        "RCV-1",
        "the same in capitals",
        check(&mixed.to_uppercase()),
    );
    for (name, description, words) in [
        ("one-word-less", "23 words", "abandon ".repeat(23)),
        ("one-word-more", "25 words", format!("{zeros} art")),
        (
            "twelve-words",
            "12 words with a right checksum",
            "abandon ".repeat(11) + "about",
        ),
        (
            "unknown-word",
            "a word that is not in the list",
            zeros.replace("art", "artt"),
        ),
        ("wrong-checksum", "another last word", zeros.replace("art", "arm")),
        (
            "swapped",
            "two words have changed places",
            mixed.replace("void come", "come void"),
        ),
        (
            "other-language",
            "a word of another list",
            zeros.replace("art", "ábaco"),
        ),
    ] {
        cases.malformed(name, "RCV-1", description, check(&words));
    }
}

/// A secret divided among three, any two of whom have it.
struct Divided {
    identity: SigningIdentity,
    shares: Vec<Share>,
    body: RecoveryShares,
}

impl Divided {
    fn new(secret: &RecoverySecret) -> Self {
        let identity = secret.keys().unwrap().identity;
        let shares = secret.divide(&OperatingSystem, 2, 3).unwrap();
        let body = RecoveryShares {
            created: 1_800_000_000_000,
            patient_id: PATIENT,
            recovery_key: identity.public(),
            threshold: 2,
            commitments: shares
                .iter()
                .map(|share| share.commitment(&PATIENT, &identity.public()))
                .collect(),
        };
        Self {
            identity,
            shares,
            body,
        }
    }

    fn signed(&self, body: RecoveryShares) -> Signed<RecoveryShares> {
        Signed::sign(body, |message| self.identity.sign_bytes(message))
    }

    fn division(&self) -> Division {
        Division::verify(self.signed(self.body.clone())).unwrap()
    }

    /// A share of this division as its holder gives it back under any division.
    fn returned(&self, number: u8, under: &Division) -> ReturnedShare {
        let share = &self.shares[usize::from(number) - 1];
        let sealed = share
            .give_back(&OperatingSystem, super::sealed::recipient().public(), under)
            .unwrap();
        ReturnedShare {
            number,
            share: super::sealed::sealed(&sealed),
        }
    }

    fn combine(&self, numbers: &[u8]) -> Check {
        let division = self.division();
        Check::CombineShares {
            division: statement(&self.signed(self.body.clone())),
            shares: numbers
                .iter()
                .map(|&number| self.returned(number, &division))
                .collect(),
        }
    }
}

fn statement(signed: &Signed<RecoveryShares>) -> Statement {
    let message = signed.to_message();
    Statement {
        body: Hex(message.body.to_vec()),
        signature: Hex(message.signature.to_vec()),
    }
}

fn divisions(cases: &mut Cases) {
    let divided = Divided::new(&RecoverySecret::from_bytes(&[0x5a; 32]));
    let with = |change: fn(&mut RecoveryShares)| {
        let mut body = divided.body.clone();
        change(&mut body);
        Check::CombineShares {
            division: statement(&divided.signed(body)),
            shares: vec![],
        }
    };
    cases.malformed(
        "threshold-1",
        "RCV-6",
        "one share would be the secret",
        with(|body| body.threshold = 1),
    );
    cases.malformed(
        "threshold-4",
        "RCV-6",
        "more shares than there are",
        with(|body| body.threshold = 4),
    );
    let many: fn(&mut RecoveryShares) = |body| body.commitments = vec![body.commitments[0]; 17];
    cases.malformed("17-shares", "RCV-6", "more shares than may be", with(many));
    let Check::CombineShares { division, shares } = divided.combine(&[1, 2]) else {
        unreachable!()
    };
    let division = Statement {
        signature: flipped(&division.signature, 0),
        ..division
    };
    cases.failure(
        "bad-signature",
        "RCV-6",
        "one bit of the division's signature",
        "bad signature",
        Check::CombineShares { division, shares },
    );
}

fn shares(cases: &mut Cases) {
    let secret = RecoverySecret::from_bytes(&[0x5a; 32]);
    let divided = Divided::new(&secret);
    cases.success(
        "first-and-third",
        "RCV-10",
        "two shares of three",
        divided.combine(&[1, 3]),
    );
    cases.success(
        "all",
        "RCV-10",
        "all three, the last one first",
        divided.combine(&[3, 1, 2]),
    );
    let few = |name: &str, numbers: &[u8], cases: &mut Cases| {
        let check = divided.combine(numbers);
        cases.failure(
            name,
            "RCV-10",
            "one share, once or twice",
            "too few shares",
            check,
        );
    };
    few("one-share", &[2], cases);
    few("one-share-twice", &[2, 2], cases);

    let division = divided.division();
    let again = Divided::new(&secret);
    let with = |number: u8, share: ReturnedShare| Check::CombineShares {
        division: statement(&divided.signed(divided.body.clone())),
        shares: vec![divided.returned(2, &division), ReturnedShare { number, ..share }],
    };
    let mut wrong = |name: &str, rule: &str, what: &str, check| cases.open_failure(name, rule, what, check);
    wrong(
        "uncommitted",
        "RCV-7",
        "a share that was not committed to",
        with(1, again.returned(1, &division)),
    );
    wrong(
        "another-division",
        "RCV-9",
        "sealed under another division",
        with(1, again.returned(1, &again.division())),
    );
    wrong(
        "another-number",
        "RCV-9",
        "share 1 shown as share 3",
        with(3, divided.returned(1, &division)),
    );

    let other = Divided::new(&RecoverySecret::from_bytes(&[0x5b; 32]));
    let mut lying = divided.body.clone();
    lying.commitments = other
        .shares
        .iter()
        .map(|share| share.commitment(&PATIENT, &lying.recovery_key))
        .collect();
    let signed = divided.signed(lying);
    let division = Division::verify(signed.clone()).unwrap();
    let shares = [1, 2].map(|number| other.returned(number, &division)).into();
    let check = Check::CombineShares {
        division: statement(&signed),
        shares,
    };
    wrong(
        "another-secret",
        "RCV-10",
        "the shares give another secret than that of the recovery key",
        check,
    );
}
