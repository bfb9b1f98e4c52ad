//! C2SP chunked-encryption@v1: derivation, header and single chunks, for any AEAD of the right sizes.

use chacha20poly1305::{ChaCha20Poly1305, aead::inout::InOutBuf};

use crate::{
    Error, SecureRandom,
    kdf::{Cipher, Committing},
};

/// Bytes in front of the chunks.
pub const HEADER_LEN: usize = 56;
/// salt (24) ‖ commitment (32).
pub type Header = [u8; HEADER_LEN];

/// Bytes of a Poly1305 or GCM tag.
pub(super) const TAG: usize = 16;
/// chunked-encryption: "the message MUST NOT exceed 2⁴⁰ chunks".
const MAX_CHUNKS: u64 = 1 << 40;

/// An AEAD with its name in the IANA registry, which enters the derivation.
pub(super) trait NamedCipher: Cipher {
    const NAME: &'static str;
}

impl NamedCipher for ChaCha20Poly1305 {
    const NAME: &'static str = "AEAD_CHACHA20_POLY1305";
}

/// The derived key and base nonce of one stream. They serve this stream alone: another salt or context
/// gives others, so no (key, nonce) pair occurs twice as long as each index is sealed once.
pub(super) struct Framing<A> {
    derived: Committing<A>,
}

impl<A: NamedCipher> Framing<A> {
    /// A new stream under `input_key`, with a random salt.
    pub(super) fn start(
        random: &dyn SecureRandom,
        input_key: &[u8],
        context: &[u8],
    ) -> Result<(Self, Header), Error> {
        let salt: [u8; 24] = random.public()?;
        let framing = Self::derive(input_key, &salt, context);
        let mut header = [0; HEADER_LEN];
        let bytes = salt.into_iter().chain(framing.derived.commitment);
        header.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok((framing, header))
    }

    /// The stream that has this header. Commitment first, before any chunk (CNT-2).
    pub(super) fn open(input_key: &[u8], context: &[u8], header: &Header) -> Result<Self, Error> {
        let (salt, commitment) = header.split_first_chunk().ok_or(Error::Open)?;
        let commitment = commitment.first_chunk().ok_or(Error::Open)?;
        let framing = Self::derive(input_key, salt, context);
        framing.derived.check(commitment)?;
        Ok(framing)
    }

    /// key ‖ base nonce ‖ commitment = HKDF-Expand (input key, "…@v1+" ‖ aead ‖ 0x00 ‖ salt ‖ context)
    fn derive(input_key: &[u8], salt: &[u8; 24], context: &[u8]) -> Self {
        let info = [
            b"c2sp.org/chunked-encryption@v1+",
            A::NAME.as_bytes(),
            &[0],
            salt,
            context,
        ];
        Self {
            derived: Committing::derive(input_key, &info),
        }
    }

    /// Seals chunk `index` in place; the last 16 bytes of `chunk` receive the tag (CNT-4).
    pub(super) fn seal_chunk(&self, index: u64, chunk: &mut [u8]) -> Result<(), Error> {
        let impossible = Error::Malformed {
            what: "chunk to be sealed",
        };
        let nonce = self.nonce(index).ok_or(impossible.clone())?;
        let (text, tag) = chunk.split_last_chunk_mut::<TAG>().ok_or(impossible.clone())?;
        let computed = self
            .derived
            .aead
            .encrypt_inout_detached(&nonce.into(), b"", text.into())
            .map_err(|_| impossible)?;
        *tag = computed.into();
        Ok(())
    }

    /// Opens chunk `index` into `plaintext`, which is 16 bytes shorter and stays as it is on failure (CNT-4).
    pub(super) fn open_chunk(&self, index: u64, chunk: &[u8], plaintext: &mut [u8]) -> Result<(), Error> {
        let nonce = self.nonce(index).ok_or(Error::Open)?;
        let (text, tag) = chunk.split_last_chunk::<TAG>().ok_or(Error::Open)?;
        let buffer = InOutBuf::new(text, plaintext).map_err(|_| Error::Open)?;
        self.derived
            .aead
            .decrypt_inout_detached(&nonce.into(), b"", buffer, tag.into())
            .map_err(|_| Error::Open)
    }

    /// base nonce ⊕ index as a 12-byte big-endian number.
    pub(super) fn nonce(&self, index: u64) -> Option<[u8; 12]> {
        let mut nonce = self.derived.nonce;
        nonce
            .iter_mut()
            .rev()
            .zip(index.to_le_bytes())
            .for_each(|(byte, counter)| *byte ^= counter);
        (index < MAX_CHUNKS).then_some(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    #[test]
    fn the_counter_enters_the_last_five_bytes_and_stops_at_two_to_the_forty() {
        let (framing, _) = Framing::<ChaCha20Poly1305>::start(&OperatingSystem, &[1; 32], b"").unwrap();
        let base = framing.nonce(0).unwrap();
        let last = framing.nonce(MAX_CHUNKS - 1).unwrap();
        assert_eq!(base[..7], last[..7]);
        assert!(base[7..].iter().zip(&last[7..]).all(|(a, b)| a ^ b == 0xff));
        assert_eq!(framing.nonce(MAX_CHUNKS), None);
        assert!(framing.seal_chunk(MAX_CHUNKS, &mut [0; 20]).is_err());
        assert!(framing.seal_chunk(0, &mut [0; 15]).is_err());
    }

    #[test]
    fn a_failed_chunk_leaves_the_output_as_it_was() {
        let (framing, _) = Framing::<ChaCha20Poly1305>::start(&OperatingSystem, &[1; 32], b"").unwrap();
        let mut chunk = [5; 26];
        framing.seal_chunk(0, &mut chunk).unwrap();
        let mut out = [9; 10];
        assert_eq!(framing.open_chunk(1, &chunk, &mut out), Err(Error::Open));
        assert_eq!(out, [9; 10]);
        assert_eq!(framing.open_chunk(0, &chunk, &mut [0; 11]), Err(Error::Open));
        framing.open_chunk(0, &chunk, &mut out).unwrap();
        assert_eq!(out, [5; 10]);
    }
}
