//! Wycheproof against the primitives, by way of our key types where there is one.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use protocol_spec::keys::{IdentityKey, RecipientKey};
use wycheproof::{TestResult, aead, eddsa, xdh};

/// Opening must give the text exactly where the set says so, and sealing must give its bytes.
#[test]
fn chacha20_poly1305() {
    let (mut count, mut valid) = (0, 0);
    for group in aead::TestSet::load(aead::TestName::ChaCha20Poly1305)
        .unwrap()
        .test_groups
    {
        for test in group.tests {
            count += 1;
            let sealed = [test.ct.as_slice(), &test.tag].concat();
            // Nonces of other sizes do not exist in our types.
            let nonce = <[u8; 12]>::try_from(test.nonce.as_slice());
            let cipher = ChaCha20Poly1305::new_from_slice(&test.key).unwrap();
            let opened = nonce.ok().and_then(|nonce| {
                cipher
                    .decrypt(
                        &nonce.into(),
                        Payload {
                            msg: &sealed,
                            aad: &test.aad,
                        },
                    )
                    .ok()
            });
            if test.result == TestResult::Invalid {
                assert_eq!(opened, None, "{}", test.tc_id);
                continue;
            }
            valid += 1;
            assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "{}", test.tc_id);
            let again = cipher.encrypt(
                &nonce.unwrap().into(),
                Payload {
                    msg: &test.pt,
                    aad: &test.aad,
                },
            );
            assert_eq!(again.unwrap(), sealed, "{}", test.tc_id);
        }
    }
    assert_eq!((count, valid), (325, 256));
}

/// Strict verification refuses what the set calls invalid, and nothing that it calls valid.
#[test]
fn ed25519() {
    let (mut count, mut valid) = (0, 0);
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        for test in group.tests {
            count += 1;
            let verified = IdentityKey::try_from(group.key.pk.as_slice()).is_ok_and(|key| {
                let signature = <[u8; 64]>::try_from(test.sig.as_slice());
                signature.is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok())
            });
            assert_eq!(verified, test.result == TestResult::Valid, "{}", test.tc_id);
            valid += usize::from(verified);
        }
    }
    assert_eq!((count, valid), (151, 88));
}

/// As the X25519 half of a recipient key: what is admitted gives the shared secret of the set, never zero;
/// what is refused is of low order or not canonical.
#[test]
fn x25519() {
    let (mut count, mut admitted) = (0, 0);
    for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            count += 1;
            let public: [u8; 32] = test.public_key.as_slice().try_into().unwrap();
            let private: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
            let shared = x25519_dalek::x25519(private, public);
            assert_eq!(shared[..], test.shared_secret[..], "{}", test.tc_id);
            let recipient_key = [&[0; RecipientKey::LEN - 32][..], &public].concat();
            if RecipientKey::try_from(recipient_key.as_slice()).is_ok() {
                admitted += 1;
                assert_ne!(shared, [0; 32], "{}", test.tc_id);
            } else {
                let canonical = is_canonical(&public);
                assert!(!canonical || shared == [0; 32], "{}", test.tc_id);
            }
        }
    }
    assert_eq!((count, admitted), (518, 474));
}

/// u < 2^255 − 19, little-endian.
fn is_canonical(u: &[u8; 32]) -> bool {
    let top = u[31] < 0x7f || (u[31] == 0x7f && u[1..31].iter().any(|byte| *byte != 0xff));
    top || (u[31] == 0x7f && u[0] < 0xed)
}
