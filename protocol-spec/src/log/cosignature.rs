//! Cosignatures of witnesses, `cosignature/v1` of c2sp.org/tlog-cosignature: a witness has seen this checkpoint
//! at this time, and that it continues every one that it has seen before.

use super::{
    checkpoint::VerifiedCheckpoint,
    note::{KeyKind, NoteKey, SignatureLine, malformed},
};
use crate::Error;

/// Has a checkpoint cosigned at a time, in seconds since 1970: `sign` gets the message. Fails with [`Error::Note`] if
/// the key is no witness's, or the time beyond 2^63.
pub fn cosign(
    checkpoint: &VerifiedCheckpoint,
    witness: &NoteKey,
    time: u64,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Result<SignatureLine, Error> {
    if witness.kind() != KeyKind::Cosignature || i64::try_from(time).is_err() {
        return malformed("a witness cosigns by a key of kind 4, in time");
    }
    let signature = sign(message(checkpoint, time).as_bytes());
    Ok(witness.line([time.to_be_bytes().as_slice(), &signature].concat()))
}

/// The newest time at which this witness has cosigned the checkpoint; none if it has not (LOG-8). Fails with
/// [`Error::Signature`] if a line that says it is this witness's does not verify.
pub fn cosigned_at(checkpoint: &VerifiedCheckpoint, witness: &NoteKey) -> Result<Option<u64>, Error> {
    let mut newest = None;
    for bytes in checkpoint.note().by(witness) {
        let Some((time, signature)) = bytes.split_first_chunk() else {
            return Err(Error::Signature);
        };
        let time = u64::from_be_bytes(*time);
        let signature = signature.try_into().map_err(|_| Error::Signature)?;
        let message = message(checkpoint, time);
        witness.key().verify(message.as_bytes(), signature)?;
        newest = newest.max(Some(time));
    }
    Ok(newest)
}

/// `cosignature/v1`, the time, and the checkpoint's text.
fn message(checkpoint: &VerifiedCheckpoint, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{}", checkpoint.note().text())
}
