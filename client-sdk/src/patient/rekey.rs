//! New keys for a collection: a new epoch is opened, the data keys are brought under its key, the permissions that
//! still hold are given anew, and the old epoch is closed. Each step may be broken off and done again: what is done
//! already is seen at the server. See `protocol-spec/spec/revocation.md` §2.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use crypto::{Collection, CollectionKey, DataKey, WrappedKey};
use protocol_spec::{
    api,
    bodies::EpochClosure,
    ids::{CollectionId, VersionId},
    log::Logged,
    messages as pb,
    patient::PatientSigned,
    permission::Kind,
    problem::Problem,
    statement::Signed,
    vault_head::{Act, epoch_hash, wraps_hash},
};

use super::{Patient, standing::OwnPermission};
use crate::{Error, Progress, Result, mint, pages::Pages};

impl Patient {
    /// Takes an epoch out of use: nothing that its key opens is released any more, and the server destroys what lies
    /// under it. Counts records.
    pub(super) async fn retire_epoch(
        &self,
        old: Collection,
        progress: &dyn Progress,
    ) -> Result<pb::LoggedStatement> {
        for _ in 0..MAX_TRIES {
            let done = async {
                let current = self.newer_epoch(old).await?;
                if self.ring.lock().await.is_open(old) {
                    self.rewrap(old, current, progress).await?;
                }
                // Who still acts for her is not left without the new key.
                self.give_delegates_keys().await?;
                self.give_anew(old).await?;
                self.close_epoch(old).await
            };
            match done.await {
                // Another device has opened a newer epoch or moved a record: what is left is less each time.
                Err(Error::Refused {
                    problem: Problem::EpochMismatch | Problem::PlacementConflict | Problem::WrapsMissing,
                    ..
                }) => drop(self.refresh_ring().await?),
                done => return done,
            }
        }
        Err(Error::Usage(
            "other devices change the collection all the time: try again later".into(),
        ))
    }

    /// The current epoch, which is opened now if that is still the old one.
    pub(super) async fn newer_epoch(&self, old: Collection) -> Result<Collection> {
        let unknown = || Error::Unknown {
            what: "collection",
            id: old.id.to_string(),
        };
        drop(self.catch_up().await?);
        let (newest, opens) = {
            let ring = self.refresh_ring().await?;
            let newest = ring.newest(old.id).ok_or_else(unknown)?;
            (newest, ring.key(newest).is_some())
        };
        // Under a key that does not open nothing can be brought.
        if newest.epoch > old.epoch && opens {
            return Ok(newest);
        }
        let next = Collection {
            epoch: newest.epoch + 1,
            ..newest
        };
        let known = self.keys.known();
        let wrap = known
            .root()?
            .wrap_collection_key(&CollectionKey::generate()?, &self.id(), &next)?;
        let message = pb::PutCollection {
            collection_id: Bytes::copy_from_slice(next.id.as_bytes()),
            epoch: next.epoch,
            key_wrap: Bytes::copy_from_slice(wrap.as_bytes()),
            sealed_name: Bytes::new(),
            root_epoch: known.newest().root_epoch,
        };
        self.session
            .server
            .post(api::PUT_COLLECTION.here(), &message)
            .await?;
        let act = Act::Epoch(next.id, epoch_hash(next.epoch, &message.key_wrap));
        self.did(act).await;
        drop(self.refresh_ring().await?);
        Ok(next)
    }

    /// Brings the data keys of an epoch under the current key, page by page (REV-5).
    async fn rewrap(&self, old: Collection, current: Collection, progress: &dyn Progress) -> Result<()> {
        let placed = self.placed_in(old.id).await?;
        let mut pages = self.all_wraps(old);
        loop {
            let after = pages.place().unwrap_or_default();
            let (page, done) = tokio::try_join!(pages.next(), self.wraps(current, after, MAX_WRAPS))?;
            let Some(page) = page else {
                return Ok(());
            };
            progress.advanced(page.wraps.len() as u64);
            let done: HashSet<u64> = done.wraps.iter().map(|wrap| wrap.number).collect();
            let mut wraps = Vec::with_capacity(page.wraps.len());
            for wrap in page.wraps.iter().filter(|wrap| !done.contains(&wrap.number)) {
                let version = VersionId::try_from(wrap.version_id.as_ref())?;
                if placed.get(&wrap.number) != Some(&version)
                    && !self.lies_there(old.id, wrap.number, version).await?
                {
                    continue;
                }
                wraps.push(self.rewrapped(wrap, version, old, current).await?);
            }
            if !wraps.is_empty() {
                let message = pb::PutWraps {
                    collection_id: Bytes::copy_from_slice(old.id.as_bytes()),
                    from_epoch: old.epoch,
                    epoch: current.epoch,
                    wraps,
                };
                self.session.server.post(api::PUT_WRAPS.here(), &message).await?;
                let wraps = message.wraps.iter();
                let wraps = wraps.map(|wrap| (wrap.number, wrap.data_key_wrap.as_ref()));
                self.did(Act::Wraps(old.id, wraps_hash(current.epoch, wraps)))
                    .await;
            }
        }
    }

    /// What her devices have verified to lie in a collection: versions by the numbers of their placements. The server
    /// could show the wrap of a record that was moved away, to have it given to whoever gets the new key.
    async fn placed_in(&self, collection: CollectionId) -> Result<HashMap<u64, VersionId>> {
        let all = self.listing().await?.entries;
        let there = all.iter().filter(|entry| entry.collection_id == collection);
        Ok(there.map(|entry| (entry.number, entry.version_id)).collect())
    }

    /// Of a record that does not verify, or was placed just now: whether a device of hers has placed it there.
    async fn lies_there(&self, collection: CollectionId, number: u64, version: VersionId) -> Result<bool> {
        let shown = self.shown(version).await?;
        let placement = self.placement_of(shown.placement).await?;
        Ok(placement.version_id == version
            && placement.number == number
            && placement.collection_id == collection)
    }

    /// A data key under the current key, out of its wrap under an old one. A wrap that does not open is replaced by what
    /// the record came with; one that never opened to anybody stays as it is, for it must not keep the epoch open.
    async fn rewrapped(
        &self,
        wrap: &pb::Wrap,
        version: VersionId,
        old: Collection,
        current: Collection,
    ) -> Result<pb::Wrap> {
        let key = match self.unwrapped(wrap, version, old).await {
            Ok(key) => Some(key),
            Err(_) => self.arrived_key(self.shown(version).await?).await.ok(),
        };
        let missing = || Error::tampered("a collection")("an epoch of it is not shown");
        let data_key_wrap = match key {
            Some(key) => {
                let ring = self.ring.lock().await;
                let to = ring.key(current).ok_or_else(missing)?;
                Bytes::copy_from_slice(to.wrap_data_key(&key, &current, &version)?.as_bytes())
            }
            None => wrap.data_key_wrap.clone(),
        };
        Ok(pb::Wrap {
            number: wrap.number,
            version_id: wrap.version_id.clone(),
            data_key_wrap,
            record_id: Bytes::new(),
        })
    }

    /// The data key in a wrap.
    pub(super) async fn unwrapped(
        &self,
        wrap: &pb::Wrap,
        version: VersionId,
        of: Collection,
    ) -> Result<DataKey> {
        let ring = self.ring.lock().await;
        let key = ring.key(of);
        let key = key.ok_or_else(|| Error::tampered("a collection")("an epoch of it is not shown"))?;
        let wrapped =
            WrappedKey::try_from(wrap.data_key_wrap.as_ref()).map_err(Error::tampered("a record"))?;
        key.unwrap_data_key(&wrapped, &of, &version)
            .map_err(Error::tampered("a record"))
    }

    /// The data keys of a collection, as they are wrapped in one epoch, page by page.
    pub(super) fn all_wraps(&self, of: Collection) -> Pages<'_, pb::WrapPage, u64> {
        let Collection { id, epoch } = of;
        let path = api::WRAPS
            .here()
            .with("collection", &id)
            .with("epoch", &epoch)
            .with("limit", &MAX_WRAPS);
        self.session.server.pages(path)
    }

    /// One page of the data keys of a collection, as they are wrapped in one epoch.
    pub(super) async fn wraps(&self, of: Collection, after: u64, limit: usize) -> Result<pb::WrapPage> {
        let Collection { id, epoch } = of;
        let path = api::WRAPS
            .here()
            .with("collection", &id)
            .with("epoch", &epoch)
            .with("after", &after)
            .with("limit", &limit);
        self.session.server.get(path).await
    }

    /// Gives permissions over an old epoch of a collection anew, under its current key: those that rest on the word of devices
    /// which she still has (DEV-21).
    async fn give_anew(&self, old: Collection) -> Result<()> {
        for _ in 0..MAX_TRIES {
            let mut used_meanwhile = false;
            for own in self.standing_permissions().await? {
                let over = own.permission.collection.map(|selector| selector.collection);
                if !own.is_live() || over != Some(old) {
                    continue;
                }
                if self.is_for_a_retired_one(&own).await? {
                    continue;
                }
                match self.replace(&own, |_| ()).await {
                    Err(Error::Refused {
                        problem: Problem::ReplacementConflict,
                        ..
                    }) => used_meanwhile = true,
                    done => drop(done?),
                }
            }
            if !used_meanwhile {
                return Ok(());
            }
        }
        Err(Error::Usage(
            "a permission over the collection is used all the time: try again later".into(),
        ))
    }

    /// Nothing is released to an institution that has ended, by whatever key (INS-13, INS-15). An emergency permission is for
    /// none in particular.
    pub(super) async fn is_for_a_retired_one(&self, own: &OwnPermission) -> Result<bool> {
        if own.permission.kind == Kind::Emergency {
            return Ok(false);
        }
        let receiver = self.session.institution(own.permission.institution_id).await?;
        Ok(receiver.check_goes_on().is_err())
    }

    async fn close_epoch(&self, old: Collection) -> Result<pb::LoggedStatement> {
        let closure = EpochClosure {
            created: mint::now_ms(),
            patient_id: self.id(),
            collection_id: old.id,
            epoch: old.epoch,
        };
        let signed = Signed::sign(closure, |message| self.keys.sign(message));
        let closure = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::CloseEpoch {
            closure: Some((&closure).into()),
        };
        let logged: pb::LoggedStatement = self
            .session
            .server
            .post(api::CLOSE_EPOCH.here(), &message)
            .await?;
        let closed = self.epoch_closure(logged.clone()).await?;
        if (closed.statement.collection_id, closed.statement.epoch) != (old.id, old.epoch) {
            return Err(Error::tampered(CLOSURE)("it is of another epoch"));
        }
        self.did(Act::Closure(old.id, closed.statement.hash())).await;
        Ok(logged)
    }

    /// Checks a closure of hers and its place in the log.
    pub(super) async fn epoch_closure(&self, message: pb::LoggedStatement) -> Result<Logged<EpochClosure>> {
        let closure = Logged::<EpochClosure>::verify(message, self.session.server.operator())
            .map_err(Error::tampered(CLOSURE))?;
        self.session.accept_log(&closure.checkpoint).await?;
        self.known_device(closure.statement.device()).await?;
        if closure.statement.patient_id == self.id() {
            Ok(closure)
        } else {
            Err(Error::tampered(CLOSURE)("it is somebody else's"))
        }
    }

    /// Whether an epoch of a collection can still be released from, as the server shows it.
    pub(super) async fn is_open(&self, collection: Collection) -> Result<bool> {
        Ok(self.refresh_ring().await?.is_open(collection))
    }
}

/// Each failure is another device's success, or a use of a permission.
const MAX_TRIES: usize = 8;

/// Wraps of one page; the server may give fewer.
const MAX_WRAPS: usize = 4000;

const CLOSURE: &str = "the end of an epoch";
