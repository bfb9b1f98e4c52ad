//! RFC 6962 §2.1, as clients and witnesses check it.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;

pub use super::node::Hash;
use super::{checkpoint::Checkpoint, node::join};
use crate::{Error, defence::Defence};

/// Checks that a leaf stands at this index under the checkpoint's root (LOG-3). Fails with [`Error::LogProof`], or
/// with [`Error::Field`] for a tree that is empty or larger than any.
pub fn verify_leaf(checkpoint: &Checkpoint, leaf: &[u8], index: u64, path: &[Hash]) -> Result<(), Error> {
    let root = root(checkpoint)?;
    let verified = InclusionProof::<Sha256>::try_from_bytes(path.concat())
        .map_err(|_| Error::LogProof)
        .and_then(|path| {
            root.verify_inclusion(&leaf, index, &path)
                .map_err(|_| Error::LogProof)
        });
    Defence::LogProofs.check(verified)
}

/// Checks that the log of `new` continues the log of `old` (LOG-4).
pub fn verify_consistency(old: &Checkpoint, new: &Checkpoint, path: &[Hash]) -> Result<(), Error> {
    let same_log = old.origin == new.origin;
    // Nothing is what every log begins with.
    if old.size == 0 || old.size == new.size {
        let known = if old.size == 0 {
            join(&[])
        } else {
            *new.root.as_bytes()
        };
        let same = same_log && *old.root.as_bytes() == known && path.is_empty();
        return Defence::LogGrowth.check(if same { Ok(()) } else { Err(Error::LogProof) });
    }
    let verified = match ConsistencyProof::<Sha256>::try_from_bytes(path.concat()) {
        Ok(path) if same_log => root(new)?
            .verify_consistency(&root(old)?, &path)
            .map_err(|_| Error::LogProof),
        _ => Err(Error::LogProof),
    };
    Defence::LogGrowth.check(verified)
}

fn root(checkpoint: &Checkpoint) -> Result<RootHash<Sha256>, Error> {
    // ct-merkle counts nodes in u64: more than 2^62 leaves would overflow its indices.
    if checkpoint.size == 0 || checkpoint.size > 1 << 62 {
        return Err(Error::Field { field: "size" });
    }
    Ok(RootHash::new(
        (*checkpoint.root.as_bytes()).into(),
        checkpoint.size,
    ))
}
