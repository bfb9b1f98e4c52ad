//! The list of the leaves of an upload. A leaf that comes out otherwise than it stands there is never sent.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use protocol_spec::hash::LeafHash;

use crate::{
    Error, Result,
    home::{At, Home},
};

/// The hashes of the leaves sealed so far. What an earlier run wrote must come again. Of what a power cut has torn
/// off the end, no leaf has left the machine.
pub(crate) struct LeafLog {
    pub(super) known: Vec<LeafHash>,
    pub(super) home: Home,
    at: At,
    differs: Arc<AtomicBool>,
}

impl LeafLog {
    pub(super) fn open(home: &Home, header: &[u8], differs: Arc<AtomicBool>) -> Result<Self> {
        let mut at = At::default();
        let known = match kept(home, header, &mut at)? {
            Some(known) => known,
            None => {
                home.remove(LEAVES);
                at = At::default();
                home.extend_chain(LEAVES, &mut at, &[header])?;
                Vec::new()
            }
        };
        // No power cut may take the list away and leave the header.
        home.sync_folder("")?;
        Ok(Self {
            known,
            home: home.clone(),
            at,
            differs,
        })
    }

    /// Compares leaves that are known, writes and syncs those that are new.
    pub(in crate::transfer) fn extend(&mut self, first: u64, hashes: &[LeafHash]) -> Result<()> {
        let mut new = Vec::new();
        for (index, hash) in (first..).zip(hashes) {
            match usize::try_from(index)
                .ok()
                .and_then(|index| self.known.get(index))
            {
                Some(known) if known != hash => {
                    self.differs.store(true, Ordering::Relaxed);
                    return Err(Error::SourceChanged {
                        path: self.home.path(LEAVES),
                    });
                }
                Some(_) => {}
                None => new.extend_from_slice(hash.as_bytes()),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        if self.home.extend_chain(LEAVES, &mut self.at, &[&new])?.is_some() {
            // Its lock is held: nobody else writes here.
            return Err(self.home.damaged(LEAVES));
        }
        self.known
            .extend(new.as_chunks::<32>().0.iter().copied().map(LeafHash::from_bytes));
        Ok(())
    }
}

/// The list of leaves, whose first entry is the header under which they were sealed; none if there is none, or it is of another one.
pub(super) fn kept(home: &Home, header: &[u8], at: &mut At) -> Result<Option<Vec<LeafHash>>> {
    let more = home.read_chain(LEAVES, at)?;
    let entries = more.map(|more| more.entries).unwrap_or_default();
    let Some((first, hashes)) = entries.split_first() else {
        return Ok(None);
    };
    let hashes = hashes.concat();
    let (hashes, _) = hashes.as_chunks::<32>();
    let known = hashes.iter().copied().map(LeafHash::from_bytes).collect();
    Ok((first == header).then_some(known))
}

pub(super) const LEAVES: &str = "leaves";
