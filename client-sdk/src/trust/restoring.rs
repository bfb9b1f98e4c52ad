//! A server whose newest data were lost goes on with an older copy of them. A home goes with it only when operator and registrar
//! have both signed that, and when somebody has been told. See `protocol-spec/spec/restoration.md`.

use std::sync::Arc;

use prost::Message;
use protocol_spec::{
    api::{self, ConsistencyQuery},
    hash::Sha256Digest,
    log::{Checkpoint, DirectoryHead, Hash, VerifiedCheckpoint, verify_consistency},
    mirror::{Directory, KeptEvent},
    restoration::VerifiedRestoration,
};

use super::{
    log::{self, PinnedLog},
    mirror::{self, Mirror},
    witnesses::Witnesses,
};
use crate::{
    Contradiction, Error, Result,
    connect::Server,
    home::{Home, Lived},
    pages::Whole,
};

/// What a home is told of a restoration, once (RST-7).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RestorationInfo {
    /// Of the log that it began, from 2.
    pub generation: u64,
    /// When the copy was made at the latest, in milliseconds since 1970: what came later is lost.
    #[serde(serialize_with = "crate::text::moment")]
    pub until: u64,
    /// When the operator has signed it, in milliseconds since 1970.
    #[serde(skip)]
    pub created: u64,
    /// Leaves that the copy has.
    pub leaves: u64,
    /// Leaves that were lost, as far as operator or home know.
    pub lost: u64,
    /// Of these, how many the home itself had seen.
    pub lost_seen: u64,
}

impl From<&Lived> for RestorationInfo {
    fn from(lived: &Lived) -> Self {
        Self {
            generation: lived.generation,
            until: lived.until,
            created: lived.created,
            leaves: lived.size,
            lost: lived.seen.max(lived.seen_here).saturating_sub(lived.size),
            lost_seen: lived.seen_here.saturating_sub(lived.size),
        }
    }
}

/// Restorations that a home has not accepted yet, verified, and what it goes on with.
pub(crate) struct Found {
    restorations: Vec<VerifiedRestoration>,
    checkpoint: VerifiedCheckpoint,
    events: Vec<KeptEvent>,
    seen_here: u64,
}

/// Finds and accepts restorations of the server.
pub(crate) struct Restorations {
    server: Arc<Server>,
    home: Home,
    witnesses: Arc<Witnesses>,
    log: Arc<PinnedLog>,
    mirror: Arc<Mirror>,
}

impl Restorations {
    pub(crate) fn new(
        home: Home,
        server: Arc<Server>,
        witnesses: Arc<Witnesses>,
        log: Arc<PinnedLog>,
        mirror: Arc<Mirror>,
    ) -> Self {
        Self {
            server,
            home,
            witnesses,
            log,
            mirror,
        }
    }

    /// The restorations that the server's log has behind the one that this home goes by. All of the directory is read anew with
    /// them: it says how many there are, and each is signed by operator and registrar and stands in its place (RST-5, RST-6).
    pub(crate) async fn find(&self) -> Result<Option<Found>> {
        let Some(pinned) = self.log.pinned()? else {
            return Ok(None);
        };
        let shown = self.witnesses.shown().await?;
        if shown.generation() < pinned.generation() {
            return Err(Error::Contradicted(Contradiction::OlderLog {
                seen: pinned.generation().number(),
                shown: shown.generation().number(),
            }));
        }
        if shown.generation() == pinned.generation() {
            return Ok(None);
        }
        let (directory, events, checkpoint) = self.read_directory().await?;
        let new = |restored: &&VerifiedRestoration| restored.generation > pinned.generation();
        let restorations: Vec<VerifiedRestoration> =
            directory.restorations().iter().filter(new).copied().collect();
        let first = restorations
            .first()
            .ok_or_else(|| Error::tampered(WHAT)("the log has none"))?;
        for restored in &restorations {
            self.must_begin(&checkpoint, restored.size, restored.root).await?;
        }
        // What this home has seen of the copy is in it.
        if pinned.size <= first.size {
            self.must_begin(&checkpoint, pinned.size, pinned.root).await?;
        }
        let before: Vec<_> = self.mirror.kept_events()?;
        let common = |events: &[KeptEvent]| -> Vec<_> {
            let copied = events.iter().filter(|event| event.index < first.size);
            copied.cloned().collect()
        };
        let (here, there) = (common(&before), common(&events));
        // The home may not have read all of them.
        if !there.starts_with(&here) {
            return Err(Error::tampered(WHAT)(
                "the directory had other events before than it shows now",
            ));
        }
        Ok(Some(Found {
            seen_here: pinned.size,
            restorations,
            checkpoint,
            events,
        }))
    }

    /// From the next session on this home goes by the log that the last restoration has begun, and never by one before (RST-6).
    /// Writing which restorations there were is what makes the rest count.
    pub(crate) async fn take(&self, found: Found, done: bool) -> Result<()> {
        let Found {
            restorations,
            checkpoint,
            events,
            seen_here,
        } = found;
        let home = &self.home;
        let _lock = home.lock().await?;
        let (next, note) = (home.after(), checkpoint.note().to_string().into_bytes());
        mirror::write_all(&next, events, &note)?;
        next.write(log::CHECKPOINT, &note)?;
        let mut lived = home.restorations()?;
        let last = restorations.last();
        // Several at once are one step for this home: from what it had seen to what there is now.
        lived.extend(restorations.first().zip(last).map(|(first, last)| Lived {
            generation: last.generation.number(),
            size: first.size,
            seen: first.seen,
            seen_here,
            until: first.until,
            created: last.created,
            done,
        }));
        home.keep_restorations(&lived)
    }

    /// Whether a patient's device still has to do what a restoration asks of it (RST-9).
    pub(crate) fn must_be_back(&self) -> Result<()> {
        match self.home.restorations()?.last() {
            Some(lived) if !lived.done => Err(Error::Restored {
                generation: lived.generation,
            }),
            _ => Ok(()),
        }
    }

    /// What contradicts what was seen may come of a restoration: then that is said, and what to do about it (RST-7).
    pub(crate) async fn or_restored(&self, error: Error) -> Error {
        let contradicts = matches!(
            error,
            Error::Contradicted(
                Contradiction::OlderVault { .. }
                    | Contradiction::OtherVault { .. }
                    | Contradiction::HiddenFromVault { .. }
            ) | Error::Tampered { .. }
        );
        let (true, Ok(Some(pinned))) = (contradicts, self.log.pinned()) else {
            return error;
        };
        match self.witnesses.shown().await {
            Ok(shown) if shown.generation() > pinned.generation() => Error::Restored {
                generation: shown.generation().number(),
            },
            _ => error,
        }
    }

    /// All events of the directory, as if this home had seen none.
    async fn read_directory(&self) -> Result<(Directory, Vec<KeptEvent>, VerifiedCheckpoint)> {
        let witnessed = self.witnesses.are_asked_for();
        let mut directory = Directory::new(*self.server.registrar(), *self.server.operator());
        let mut events = Vec::new();
        let mut whole = Whole::new(WHAT);
        let mut before: Option<VerifiedCheckpoint> = None;
        loop {
            let after = directory.head().events;
            let path = mirror::events_after(after, witnessed);
            let page = self.server.get(path).await?;
            whole.add(page.events.len(), page.encoded_len())?;
            let checkpoint = self.witnesses.believe(page.checkpoint.as_bytes())?;
            if let Some(before) = before.filter(|before| before.size != checkpoint.size) {
                self.must_begin(&checkpoint, before.size, before.root).await?;
            }
            let last = page.events.is_empty();
            for event in page.events {
                mirror::take(&mut directory, &checkpoint, &event)?;
                events.push(event.into());
            }
            let said = DirectoryHead::of(&checkpoint).map_err(Error::tampered(WHAT))?;
            if last || directory.head().events >= said.events {
                directory.check(&checkpoint).map_err(Error::tampered(WHAT))?;
                return Ok((directory, events, checkpoint));
            }
            before = Some(checkpoint);
        }
    }

    /// Whether a log begins with so many leaves under this root, whatever the log was called then.
    async fn must_begin(&self, log: &VerifiedCheckpoint, size: u64, root: Sha256Digest) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        let begin = Checkpoint {
            origin: log.origin.clone(),
            size,
            root,
            extensions: Vec::new(),
        };
        let path: Vec<Hash> = if size == log.size {
            Vec::new()
        } else {
            let query = ConsistencyQuery {
                first: size,
                second: log.size,
            };
            let query = api::LOG_CONSISTENCY.ask([], query);
            let proof = self.server.get(query).await?;
            let path: Result<Vec<_>, _> = proof.path.iter().map(|hash| hash.as_ref().try_into()).collect();
            path.map_err(|_| Error::tampered(WHAT)("a proof has no hashes"))?
        };
        verify_consistency(&begin, log, &path).map_err(Error::tampered(WHAT))
    }
}

const WHAT: &str = "the restoration";
