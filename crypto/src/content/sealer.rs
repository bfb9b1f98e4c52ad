//! Seals a record leaf by leaf, in constant memory. See `spec/content.md` §2 to §4.

use chacha20poly1305::ChaCha20Poly1305;
use protocol_spec::content::{CHUNK_LEN, HEADER_LEN, LEAF_LEN, leaf_count, leaf_len, padme};

use super::{
    Class, Header, RecordContext,
    framing::{Framing, TAG},
    layout::{CHUNK, Layout},
};
use crate::{DataKey, Error, SecureRandom};

/// Seals one stream: plaintext comes from a callback that fills buffers in place, sealed leaves of 1
/// MiB come out in order.
///
/// The plaintext's length is known before; zeros up to Padmé of it are added (CNT-5).
pub struct Sealer {
    framing: Framing<ChaCha20Poly1305>,
    header: Header,
    layout: Layout,
    /// How many bytes of plaintext there are, without padding.
    length: u64,
    leaf: u64,
    chunk: u64,
    /// Sealed bytes that stand in front of chunk `chunk` and belong to the coming leaf.
    carry: Vec<u8>,
    /// Bytes of chunk `chunk` that belong to earlier leaves, when sealing starts inside it.
    skip: usize,
    interrupted: bool,
}

impl Sealer {
    /// Starts the content stream of a record version, `length` bytes of plaintext, under a fresh salt. Fails with
    /// [`Error::TooLong`] for more bytes than a stream holds.
    pub fn new(
        random: &dyn SecureRandom,
        key: &DataKey,
        record: &RecordContext,
        length: u64,
    ) -> Result<Self, Error> {
        Self::start(random, key, record, Class::Content, length)
    }

    /// Goes on with a stream of which leaves before `leaf` exist already.
    ///
    /// The plaintext must be the same as before, byte for byte: sealing other bytes under the same header
    /// uses nonces twice, which gives both texts away (CNT-14). If the source may have changed, start anew with
    /// [`Self::new`] and send all leaves again. Fails with [`Error::Open`] if the header does not belong to the key
    /// and the record; [`Error::Malformed`] for a leaf beyond the end; [`Error::TooLong`].
    pub fn resume(
        key: &DataKey,
        record: &RecordContext,
        length: u64,
        header: &Header,
        leaf: u64,
    ) -> Result<Self, Error> {
        let framing = super::open(key, record, Class::Content, header)?;
        let mut sealer = Self::at_start(framing, *header, length)?;
        if leaf > leaf_count(sealer.stream_len()) {
            return Err(Error::Malformed { what: "leaf number" });
        }
        if let Some(body) = (leaf * LEAF_LEN).checked_sub(HEADER_LEN) {
            const SEALED: u64 = (CHUNK + TAG) as u64;
            sealer.carry.clear();
            sealer.leaf = leaf;
            sealer.chunk = body / SEALED;
            sealer.skip = usize::try_from(body % SEALED).unwrap_or(0);
        }
        Ok(sealer)
    }

    pub(super) fn start(
        random: &dyn SecureRandom,
        key: &DataKey,
        record: &RecordContext,
        class: Class,
        length: u64,
    ) -> Result<Self, Error> {
        let (framing, header) = super::start(random, key, record, class)?;
        Self::at_start(framing, header, length)
    }

    fn at_start(framing: Framing<ChaCha20Poly1305>, header: Header, length: u64) -> Result<Self, Error> {
        let layout = Layout::of_plaintext(padme(length))?;
        let carry = header.to_vec();
        Ok(Self {
            framing,
            header,
            layout,
            length,
            leaf: 0,
            chunk: 0,
            carry,
            skip: 0,
            interrupted: false,
        })
    }

    /// Salt and commitment, the first bytes of leaf 0. Kept, they allow to [`Self::resume`].
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of the whole stream, padding included.
    pub fn stream_len(&self) -> u64 {
        self.layout.stream_len()
    }

    /// Number of the leaf that comes next.
    pub fn next_leaf_number(&self) -> u64 {
        self.leaf
    }

    /// The plaintext byte that `fill` is asked for next: where the source must stand.
    pub fn plaintext_offset(&self) -> u64 {
        (self.chunk * CHUNK_LEN).min(self.length)
    }

    /// Seals the next leaf into `leaf`, whose buffer is used again; false when there is none left.
    ///
    /// `fill` fills the whole slice with the next plaintext bytes, or fails; it is asked for at most 16 KiB
    /// at once. After a failure the sealer seals nothing more. Fails as `fill` does, and with [`Error::Interrupted`]
    /// when it is called again after that.
    pub fn next_leaf<E: From<Error>>(
        &mut self,
        leaf: &mut Vec<u8>,
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        if self.interrupted {
            return Err(Error::Interrupted.into());
        }
        let length = usize::try_from(leaf_len(self.stream_len(), self.leaf)).unwrap_or(0);
        leaf.resize(length, 0);
        self.interrupted = true;
        self.fill_leaf(leaf, &mut fill)?;
        self.interrupted = false;
        self.leaf += 1;
        Ok(length > 0)
    }

    fn fill_leaf<E: From<Error>>(
        &mut self,
        leaf: &mut [u8],
        fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.take_carry(leaf);
        while !rest.is_empty() {
            let sealed_len = self
                .layout
                .sealed_len(self.chunk)
                .ok_or(Error::Malformed { what: "leaf number" })?;
            if self.skip == 0 && sealed_len <= rest.len() {
                let (slot, after) = rest.split_at_mut(sealed_len);
                self.seal_next(slot, fill)?;
                rest = after;
            } else {
                let mut chunk = std::mem::take(&mut self.carry);
                chunk.resize(sealed_len, 0);
                self.seal_next(&mut chunk, fill)?;
                chunk.drain(..std::mem::take(&mut self.skip));
                self.carry = chunk;
                rest = self.take_carry(rest);
            }
        }
        Ok(())
    }

    /// Moves as much of the carry as fits to the front of `leaf`, and returns the room that is left.
    fn take_carry<'a>(&mut self, leaf: &'a mut [u8]) -> &'a mut [u8] {
        let fits = self.carry.len().min(leaf.len());
        let (front, rest) = leaf.split_at_mut(fits);
        front.copy_from_slice(self.carry.split_at(fits).0);
        self.carry.drain(..fits);
        rest
    }

    /// Reads, pads and seals the next chunk in place.
    fn seal_next<E: From<Error>>(
        &mut self,
        slot: &mut [u8],
        fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = slot.len().saturating_sub(TAG);
        let left = self.length.saturating_sub(self.chunk * CHUNK_LEN);
        let (real, padding) = slot.split_at_mut(usize::try_from(left).map_or(text, |left| left.min(text)));
        if !real.is_empty() {
            fill(real)?;
        }
        padding.fill(0);
        self.framing.seal_chunk(self.chunk, slot)?;
        self.chunk += 1;
        Ok(())
    }
}
