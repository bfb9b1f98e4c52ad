//! The manifest: the small second stream of a record, sealed under the same data key in a class of
//! its own. See `spec/content.md` §5.

use protocol_spec::content::padme;

use super::{Class, HEADER_LEN, Header, Opener, RecordContext, Sealer, StreamLengths, layout::Layout};
use crate::{
    DataKey, Error, SecureRandom,
    padding::{frame, unframe},
};

/// The least that a manifest takes: short lists of parts look alike.
const MIN_MANIFEST: usize = 1024;

/// Seals the wire bytes of the signed manifest: u32be(len) ‖ statement ‖ zeros up to Padmé, at least 1 KiB,
/// through the same framing as the content, with class 2 (CNT-10). Fails with [`Error::TooLong`]
/// when the statement does not fit.
pub fn seal_manifest(
    random: &dyn SecureRandom,
    key: &DataKey,
    record: &RecordContext,
    statement: &[u8],
) -> Result<Vec<u8>, Error> {
    let plaintext = frame(statement, padded_len)?;
    let mut rest = plaintext.as_slice();
    let mut sealer = Sealer::start(random, key, record, Class::Manifest, rest.len() as u64)?;
    let mut take = |slot: &mut [u8]| {
        let (taken, left) = rest.split_at_checked(slot.len()).ok_or(Error::Interrupted)?;
        slot.copy_from_slice(taken);
        rest = left;
        Ok::<_, Error>(())
    };
    let (mut stream, mut leaf) = (Vec::new(), Vec::new());
    while sealer.next_leaf(&mut leaf, &mut take)? {
        stream.extend_from_slice(&leaf);
    }
    Ok(stream)
}

/// Opens a sealed manifest: the wire bytes of a statement that is still to be verified. Fails with
/// [`Error::Malformed`] for a length that no sealed manifest has, else [`Error::Open`].
pub fn open_manifest(key: &DataKey, record: &RecordContext, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let (header, body): (&Header, _) = sealed.split_first_chunk::<HEADER_LEN>().ok_or(Error::Malformed {
        what: "sealed manifest",
    })?;
    let stream = sealed.len() as u64;
    let plaintext = Layout::of_stream(stream)?.plaintext_len();
    let mut opener = Opener::of_class(
        key,
        record,
        Class::Manifest,
        header,
        StreamLengths { stream, plaintext },
    )?
    .stream();
    let mut framed = Vec::new();
    opener.push(body, &mut framed)?;
    let _complete = opener.finish()?;
    unframe(&framed, padded_len).map(<[u8]>::to_vec)
}

/// Padmé of at least 1 KiB; what is so padded, [`Sealer`] does not pad again.
fn padded_len(length: usize) -> usize {
    usize::try_from(padme(length.max(MIN_MANIFEST) as u64)).unwrap_or(usize::MAX)
}
