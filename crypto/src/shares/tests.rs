use protocol_spec::{bodies::RecoveryShares, statement::Signed};

use super::*;
use crate::OperatingSystem;

const PATIENT: PatientId = PatientId::from_bytes([1; 32]);
const HOLDER: ShareReader = ShareReader([2; 32]);

fn secret() -> RecoverySecret {
    RecoverySecret::from_bytes(&[0x5a; 32])
}

fn division_of(secret: &RecoverySecret, threshold: u8, shares: &[Share]) -> Division {
    let identity = secret.keys().unwrap().identity;
    let commitments = shares
        .iter()
        .map(|share| share.commitment(&PATIENT, &identity.public()));
    let body = RecoveryShares {
        created: 1,
        patient_id: PATIENT,
        recovery_key: identity.public(),
        threshold: threshold.into(),
        commitments: commitments.collect(),
    };
    Division::verify(Signed::sign(body, |message| identity.sign_bytes(message))).unwrap()
}

/// A secret divided, and the division.
fn divided(threshold: u8, holders: u8) -> (Vec<Share>, Division) {
    let shares = secret().divide(&OperatingSystem, threshold, holders).unwrap();
    let division = division_of(&secret(), threshold, &shares);
    (shares, division)
}

fn copy(share: &Share) -> Share {
    Share {
        number: share.number,
        salt: share.salt.clone(),
        value: share.value.clone(),
    }
}

fn pick(shares: &[Share], numbers: &[usize]) -> Vec<Share> {
    numbers.iter().map(|&number| copy(&shares[number - 1])).collect()
}

/// RCV-10: every choice of k, in every order; and no choice of fewer.
#[test]
fn any_threshold_of_shares_gives_the_secret_and_fewer_are_refused() {
    let (shares, division) = divided(3, 5);
    for a in 1..=5 {
        for b in 1..=5 {
            for c in 1..=5 {
                let distinct = a != b && a != c && b != c;
                let combined = RecoverySecret::combine(&division, &pick(&shares, &[a, b, c]));
                assert_eq!(combined.is_ok(), distinct, "{a} {b} {c}");
                if distinct {
                    assert_eq!(combined, Ok(secret()));
                }
            }
        }
    }
    assert_eq!(RecoverySecret::combine(&division, &shares), Ok(secret()));
    for few in [&[][..], &[4], &[2, 5], &[2, 2, 2]] {
        assert!(matches!(
            RecoverySecret::combine(&division, &pick(&shares, few)),
            Err(Error::TooFewShares { need: 3, .. })
        ));
    }
}

#[test]
fn sixteen_of_sixteen_have_randomness_enough() {
    let (shares, division) = divided(MAX_SHARES, MAX_SHARES);
    assert_eq!(RecoverySecret::combine(&division, &shares), Ok(secret()));
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (threshold, holders) in [(0, 3), (1, 3), (4, 3), (2, 17), (2, 0)] {
        assert!(
            secret().divide(&OperatingSystem, threshold, holders).is_err(),
            "{threshold} of {holders}"
        );
    }
}

/// GF(2^8) with x^8 + x^4 + x^3 + x + 1, written anew: the library does not judge itself.
fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        product ^= if b & 1 == 1 { a } else { 0 };
        a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b };
        b >>= 1;
    }
    product
}

fn over(a: u8, b: u8) -> u8 {
    (0..=255).find(|&quotient| times(quotient, b) == a).unwrap()
}

/// Pearson's statistic of counts that should be equal.
fn chi_square(counts: &[u32; 256]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
    counts
        .iter()
        .map(|&count| (f64::from(count) - expected).powi(2) / expected)
        .sum()
}

/// ATK-48: the coefficients of RUSTSEC-2024-0398 were never zero. With 255 degrees of freedom the statistic is above
/// 400 once in 10^8 times.
#[test]
fn coefficients_are_uniform_zero_included() {
    let (mut first, mut second) = ([0; 256], [0; 256]);
    for round in 0..4096_u32 {
        let secret = RecoverySecret::from_bytes(&[round.to_le_bytes()[0]; 32]);
        let shares = secret.divide(&OperatingSystem, 3, 3).unwrap();
        for ((&s, &y1), &y2) in secret
            .expose()
            .iter()
            .zip(shares[0].value.iter())
            .zip(shares[1].value.iter())
        {
            // y1 = s + a + b, y2 = s + 2a + 4b
            let b = over(y2 ^ times(2, y1) ^ times(3, s), 6);
            let a = y1 ^ s ^ b;
            first[usize::from(a)] += 1;
            second[usize::from(b)] += 1;
        }
    }
    for counts in [first, second] {
        assert!(
            counts[0] > 0 && chi_square(&counts) < 400.0,
            "{}",
            chi_square(&counts)
        );
    }
}

/// ATK-48: The same statistic finds the bias of RUSTSEC-2024-0398, and that of `sharks`' odd bytes.
#[test]
fn the_statistic_finds_biased_coefficients() {
    let (mut no_zero, mut odd) = ([0; 256], [0; 256]);
    for round in 0..4096 * 32_u32 {
        no_zero[1 + (round % 255) as usize] += 1;
        odd[(round % 256) as usize | 1] += 1;
    }
    for counts in [no_zero, odd] {
        assert!(chi_square(&counts) > 400.0);
    }
}

/// RCV-5: to k − 1 shares every secret is possible, each in exactly one way: over all values of one more share, the
/// combined byte takes each value once. As the coefficients are uniform, no secret is likelier than another.
#[test]
fn fewer_shares_leave_every_secret_possible() {
    let (shares, _) = divided(3, 3);
    let known: Vec<Vec<u8>> = shares[..2]
        .iter()
        .map(|share| [&[share.number], share.value.as_slice()].concat())
        .collect();
    let mut seen = [[false; 256]; 32];
    for guess in 0..=255 {
        let third = [&[3], [guess; 32].as_slice()].concat();
        let combined = Gf256::combine_bytes([known.clone(), vec![third]].concat()).unwrap();
        for (seen, byte) in seen.iter_mut().zip(combined) {
            assert!(!std::mem::replace(&mut seen[usize::from(byte)], true));
        }
    }
    assert!(seen.iter().flatten().all(|&seen| seen));
}

/// RCV-7, RCV-8
#[test]
fn a_share_opens_for_its_holder_key_number_and_division_alone() {
    let (shares, division) = divided(2, 3);
    let (key, other_key) = (
        RecipientSecret::generate(&OperatingSystem).unwrap(),
        RecipientSecret::generate(&OperatingSystem).unwrap(),
    );
    let sealed = shares[1]
        .seal(&OperatingSystem, key.public(), &division, &HOLDER)
        .unwrap();
    let open = |with, division, number, holder| Share::open(with, division, number, holder, &sealed);
    assert_eq!(open(&key, &division, 2, &HOLDER).unwrap().value, shares[1].value);
    assert!(matches!(
        open(&other_key, &division, 2, &HOLDER),
        Err(Error::Open)
    ));
    assert!(matches!(open(&key, &division, 1, &HOLDER), Err(Error::Open)));
    assert!(matches!(
        open(&key, &division, 2, &ShareReader([9; 32])),
        Err(Error::Open)
    ));
    let again = division_of(&secret(), 2, &secret().divide(&OperatingSystem, 2, 3).unwrap());
    assert!(matches!(open(&key, &again, 2, &HOLDER), Err(Error::Open)));
    assert!(
        matches!(Share::take_back(&key, &division, 2, &sealed), Err(Error::Open)),
        "what is sealed to a holder is not given back"
    );
}

/// RCV-7, RCV-9: ATK-48.
#[test]
fn a_share_that_is_not_what_was_committed_to_is_refused() {
    let (shares, division) = divided(2, 3);
    let machine = RecipientSecret::generate(&OperatingSystem).unwrap();
    let give = |share: &Share| {
        share
            .give_back(&OperatingSystem, machine.public(), &division)
            .unwrap()
    };
    let take = |number, sealed: &SealedBytes| Share::take_back(&machine, &division, number, sealed);
    let returned = take(1, &give(&shares[0])).unwrap();
    assert_eq!((returned.number(), &returned.value), (1, &shares[0].value));

    let (mut value, mut salt, mut number) = (copy(&shares[0]), copy(&shares[0]), copy(&shares[0]));
    value.value[31] ^= 1;
    salt.salt[0] ^= 1;
    number.number = 2;
    for wrong in [value, salt, number] {
        assert!(
            matches!(take(wrong.number, &give(&wrong)), Err(Error::Open)),
            "{}",
            wrong.number
        );
    }
    for number in [0, 4, 255] {
        assert!(take(number, &give(&shares[0])).is_err());
    }
    let other = RecipientSecret::generate(&OperatingSystem).unwrap();
    assert!(Share::take_back(&other, &division, 1, &give(&shares[0])).is_err());
}

/// RCV-10: a dealer who commits to shares of something else gives nobody a key that is not the division's.
#[test]
fn what_is_combined_must_be_the_secret_of_the_divisions_key() {
    let shares = RecoverySecret::from_bytes(&[7; 32])
        .divide(&OperatingSystem, 2, 2)
        .unwrap();
    let division = division_of(&secret(), 2, &shares);
    assert_eq!(RecoverySecret::combine(&division, &shares), Err(Error::Open));
}

#[test]
fn debug_shows_the_number_alone() {
    let (shares, _) = divided(2, 2);
    insta::assert_snapshot!(format!("{:?}", shares[0]), @"Share { number: 1, .. }");
}
