//! What secrets leave behind, in memory and in time.

use std::{hint::black_box, time::Instant};

use crypto::OperatingSystem;
use subtle::ConstantTimeEq;

/// The bytes of this process at an address, whoever owns them now.
#[cfg(target_os = "linux")]
fn memory_at(address: usize) -> [u8; 32] {
    use std::{fs::File, os::unix::fs::FileExt};
    let mut bytes = [0; 32];
    let memory = File::open("/proc/self/mem").unwrap();
    memory.read_exact_at(&mut bytes, address as u64).unwrap();
    bytes
}

/// Bytes that are where they were: what frees memory may use its beginning for itself.
#[cfg(target_os = "linux")]
fn left_of(secret: &[u8; 32], address: usize) -> usize {
    let pairs = memory_at(address).into_iter().zip(secret);
    pairs.filter(|(now, then)| now == *then).count()
}

/// ATK-55: a key on the heap that is only dropped is still there.
#[cfg(target_os = "linux")]
#[test]
fn without_wiping_a_dropped_key_is_still_there() {
    let secret: [u8; 32] = crypto::DataKey::generate(&OperatingSystem)
        .unwrap()
        .expose()
        .to_owned();
    let held = black_box(Box::new(secret));
    let address = held.as_ptr() as usize;
    assert_eq!(memory_at(address), secret);
    drop(black_box(held));
    assert!(left_of(&secret, address) >= 16);
}

/// ATK-55: ours are gone.
#[cfg(target_os = "linux")]
#[test]
fn a_dropped_key_is_wiped() {
    let held = black_box(crypto::DataKey::generate(&OperatingSystem).unwrap());
    let (secret, address) = (*held.expose(), held.expose().as_ptr() as usize);
    assert_eq!(memory_at(address), secret);
    drop(black_box(held));
    // A byte may be right by chance.
    assert!(left_of(&secret, address) < 4);
}

const LENGTH: usize = 1 << 20;

/// How much longer a comparison takes that differs in the last byte than one that differs in the first: the least of
/// many, which nothing else on this machine can make smaller.
fn slowdown(equal: impl Fn(&[u8], &[u8]) -> bool) -> f64 {
    let secret = vec![7; LENGTH];
    let time = |at: usize| {
        let mut guess = secret.clone();
        guess[at] ^= 1;
        let once = || {
            let start = Instant::now();
            assert!(!equal(black_box(&secret), black_box(&guess)));
            start.elapsed().as_secs_f64()
        };
        (0..50).map(|_| once()).fold(f64::INFINITY, f64::min)
    };
    time(LENGTH - 1) / time(0).max(1e-9)
}

/// ATK-54: a comparison that stops at the first difference tells where it is.
#[test]
fn an_ordinary_comparison_tells_where_the_difference_is() {
    let slower = slowdown(|a, b| a == b);
    assert!(slower > 10.0, "{slower}");
}

/// ATK-54: the one that every comparison of a key, a commitment or an approval here goes through does not.
#[test]
fn a_comparison_of_secrets_takes_as_long_whatever_differs() {
    let slower = slowdown(|a, b| a.ct_eq(b).into());
    assert!((0.5..2.0).contains(&slower), "{slower}");
}
