//! All 70 Wycheproof vectors for C2SP chunked-encryption, through the same framing, layout and reader that
//! carry our records; only the AEAD differs.

use aes_gcm::{Aes128Gcm, Aes256Gcm};
use sha2::{Digest, Sha512};
use wycheproof::{
    TestResult,
    chunked_encryption::{ChunkedEncryptionAead, Test, TestFlag, TestName, TestSet},
};

use super::{
    framing::{Framing, HEADER_LEN, NamedCipher},
    layout::Layout,
    reader::{ChunkReader, append_opened},
};
use crate::{Error, kdf::Cipher};

impl NamedCipher for Aes128Gcm {
    const NAME: &'static str = "AEAD_AES_128_GCM";
}

impl NamedCipher for Aes256Gcm {
    const NAME: &'static str = "AEAD_AES_256_GCM";
}

/// A header that opened, and the two ways to what is behind it.
struct Opened<A> {
    framing: Framing<A>,
    layout: Layout,
}

fn open_header<A: Cipher + NamedCipher>(test: &Test, stream: &[u8]) -> Result<Opened<A>, Error> {
    // Our key types have one length; here it is data.
    if test.key.len() != A::key_size() {
        return Err(Error::Malformed { what: "key length" });
    }
    let header = stream.first_chunk().ok_or(Error::Open)?;
    let framing = Framing::open(&test.key, &test.ctx, header)?;
    Ok(Opened {
        framing,
        layout: Layout::of_stream(stream.len() as u64)?,
    })
}

fn open_stream<A: NamedCipher>(opened: Opened<A>, stream: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reader = ChunkReader::new(opened.framing, opened.layout);
    let mut out = Vec::new();
    for piece in stream.split_at(HEADER_LEN).1.chunks(10_000) {
        reader.push(piece, &mut out)?;
    }
    reader.finish()?;
    Ok(out)
}

fn open_tail<A: NamedCipher>(opened: &Opened<A>, stream: &[u8]) -> Result<(), Error> {
    let last = opened.layout.last_chunk();
    let range = opened.layout.stream_range(last, last);
    let tail = &stream[usize::try_from(range.start).unwrap()..];
    append_opened(&opened.framing, last, tail, &mut Vec::new())
}

fn run<A: Cipher + NamedCipher>(test: &Test) {
    let stream = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
    let id = test.tc_id;
    let opened = open_header::<A>(test, &stream);
    if test.flags.contains(&TestFlag::HeaderFailure) {
        assert!(opened.is_err(), "{id}: header must be refused");
        return;
    }
    let tail = opened
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|opened| open_tail(opened, &stream));
    let plaintext = opened.and_then(|opened| open_stream(opened, &stream));
    if test.result == TestResult::Valid {
        let plaintext = plaintext.unwrap();
        assert_eq!(Some(plaintext.len()), test.msg_length, "{id}");
        assert_eq!(
            Sha512::digest(&plaintext)[..],
            test.msg_sha512.as_ref().unwrap()[..],
            "{id}"
        );
        assert_eq!(tail, Ok(()), "{id}");
    } else {
        assert!(plaintext.is_err(), "{id}: must be refused");
        assert_eq!(
            tail.is_ok(),
            test.flags.contains(&TestFlag::ValidFinalChunk),
            "{id}: last chunk"
        );
    }
}

/// ATK-12
#[test]
fn all_wycheproof_vectors_for_chunked_encryption() {
    let mut count = 0;
    for name in [TestName::Cobblestone128, TestName::Cobblestone256] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                match group.aead {
                    ChunkedEncryptionAead::Aes128Gcm => run::<Aes128Gcm>(test),
                    ChunkedEncryptionAead::Aes256Gcm => run::<Aes256Gcm>(test),
                }
                count += 1;
            }
        }
    }
    assert_eq!(count, 70);
}
