//! Her collections: made, listed, and what lies in them. See `protocol-spec/spec/collections.md`.

use crypto::{Collection, CollectionKey, DataKey};
use protocol_spec::{
    api,
    attributes::Attributes,
    bodies::Placement,
    field::Name,
    hash::{ContentRoot, Sha256Digest},
    ids::{CollectionId, RecordId, VersionId},
    messages as pb,
    names::Look,
    patient::PatientSigned,
    problem::Problem,
    statement::Signed,
    vault_head::{Act, epoch_hash},
};

use super::{Patient, examine::Examined};
use crate::{Error, Result, mint, provenance::VerifiedRecord};

/// A collection as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its id.
    pub id: CollectionId,
    /// Its name, which only her devices know.
    pub name: String,
    /// Counts its keys, from 0.
    pub epoch: u64,
}

impl Patient {
    /// Her collections.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the server shows one that is not hers, or an older state than this device has seen.
    pub async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let ring = self.refresh_ring().await?;
        let info = |(id, name, epoch): (CollectionId, &Name, u64)| CollectionInfo {
            id,
            name: name.as_str().to_owned(),
            epoch,
        };
        Ok(ring.list().map(info).collect())
    }

    /// The collection with this id or name.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, or several have the name.
    pub async fn collection(&self, id_or_name: &str) -> Result<CollectionInfo> {
        let all = self.collections().await?;
        let by_id = id_or_name.parse::<CollectionId>().ok();
        let look = Look::of(id_or_name);
        let mut found = all
            .into_iter()
            .filter(|info| by_id.map_or(Look::of(&info.name).is_like(&look), |id| info.id == id));
        match (found.next(), found.next()) {
            (Some(info), None) => Ok(info),
            (None, _) => Err(Error::Unknown {
                what: "collection",
                id: id_or_name.to_owned(),
            }),
            _ => Err(Error::Usage(format!(
                "several collections are called {id_or_name:?}, or have a name that looks like it: name one by its id"
            ))),
        }
    }

    /// Makes a collection. `emergency` is the name of the one that is opened in an emergency.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that is taken or is none.
    pub async fn create_collection(&self, name: &str) -> Result<CollectionInfo> {
        let name = Name::try_from(name.to_owned())?;
        let look = Look::of(name.as_str());
        let all = self.collections().await?;
        if let Some(taken) = all.iter().find(|info| Look::of(&info.name).is_like(&look)) {
            return Err(Error::Usage(format!(
                "there is a collection called {:?} already: choose another name",
                taken.name
            )));
        }
        let id = if name.as_str() == EMERGENCY {
            CollectionId::EMERGENCY
        } else {
            mint::id(CollectionId::mint)?
        };
        self.put_collection(id, &name).await?;
        self.put_head().await?;
        Ok(CollectionInfo {
            id,
            name: name.as_str().to_owned(),
            epoch: 0,
        })
    }

    /// Makes the collections that every vault has, unless they are there (COL-9).
    pub(super) async fn put_first_collections(&self) -> Result<()> {
        for (id, name) in [(CollectionId::DEFAULT, DEFAULT), (CollectionId::OWN, OWN)] {
            if self.refresh_ring().await?.current(id).is_none() {
                self.put_collection(id, &Name::try_from(name.to_owned())?).await?;
            }
        }
        Ok(())
    }

    /// Opens a collection's epoch 0.
    async fn put_collection(&self, id: CollectionId, name: &Name) -> Result<()> {
        let (known, patient) = (self.keys.known(), self.id());
        let root = known.root()?;
        let key = CollectionKey::generate()?;
        let wrap = root.wrap_collection_key(&key, &patient, &Collection { id, epoch: 0 })?;
        let message = pb::PutCollection {
            collection_id: bytes::Bytes::copy_from_slice(id.as_bytes()),
            epoch: 0,
            key_wrap: bytes::Bytes::copy_from_slice(wrap.as_bytes()),
            sealed_name: root.seal_collection_name(name, &patient, &id)?.into(),
            root_epoch: known.newest().root_epoch,
        };
        self.session
            .server
            .post(api::PUT_COLLECTION.here(), &message)
            .await?;
        self.did(Act::Epoch(id, epoch_hash(0, &message.key_wrap))).await;
        Ok(())
    }

    /// Moves one of her records into a collection. Permissions over the collection it leaves release it no more.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Tampered`].
    pub async fn move_record(&self, record: RecordId, to: CollectionId) -> Result<()> {
        let Examined { verified, key, .. } = self.examine(record).await?;
        self.place(&verified, &key, to).await?;
        self.keep_placements(&[]).await?;
        self.put_head().await
    }

    /// Places a record version in a collection. Gives the number of the placement.
    pub(super) async fn place(
        &self,
        record: &VerifiedRecord,
        key: &DataKey,
        to: CollectionId,
    ) -> Result<u64> {
        let path = api::ADOPT.at([&record.version_id()]);
        let adopt = |adoption| {
            let (server, path) = (&self.session.server, &path);
            async move { server.post(path.again(), &adoption).await }
        };
        let (number, _) = self.placing(&record.into(), key, to, adopt).await?;
        Ok(number)
    }

    /// Sends a placement. When another device has placed one meanwhile, it is done anew behind that (COL-4). Gives its
    /// number and the answer.
    pub(super) async fn placing<A, F: Future<Output = Result<A>>>(
        &self,
        record: &ToPlace,
        key: &DataKey,
        to: CollectionId,
        send: impl Fn(pb::AdoptRecord) -> F,
    ) -> Result<(u64, A)> {
        for _ in 0..MAX_TRIES {
            let (number, hash, message) = self.placement(record, key, to).await?;
            match send(message).await {
                Ok(answer) => {
                    {
                        let mut ring = self.ring.lock().await;
                        ring.last_placement = ring.last_placement.max(number);
                    }
                    self.seen_placements().await?.note(record.record_id, number);
                    self.did(Act::Placement(record.record_id, hash)).await;
                    return Ok((number, answer));
                }
                Err(Error::Refused {
                    problem: Problem::PlacementConflict | Problem::EpochMismatch,
                    ..
                }) => drop(self.refresh_ring().await?),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Usage(
            "other devices place records all the time: try again later".into(),
        ))
    }

    async fn placement(
        &self,
        record: &ToPlace,
        key: &DataKey,
        to: CollectionId,
    ) -> Result<(u64, Sha256Digest, pb::AdoptRecord)> {
        let version = record.version_id;
        let tags = self.tag_key().await?.tags(&record.attributes, &version)?;
        let wrap = |ring: &super::ring::Ring| {
            let (collection, wrapping) = ring.current(to)?;
            Some((
                collection.epoch,
                ring.last_placement,
                wrapping.wrap_data_key(key, &collection, &version),
            ))
        };
        let (epoch, last, wrap) = self.in_ring(wrap).await?.ok_or_else(|| Error::Unknown {
            what: "collection",
            id: to.to_string(),
        })?;
        let body = Placement {
            created: mint::now_ms(),
            patient_id: self.id(),
            record_id: record.record_id,
            version_id: version,
            content_root: record.content_root,
            stream_len: record.stream_len,
            collection_id: to,
            number: last + 1,
            tags,
        };
        let signed = Signed::sign(body, |message| self.keys.sign(message));
        let hash = signed.hash();
        let placement = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::AdoptRecord {
            placement: Some((&placement).into()),
            epoch,
            data_key_wrap: bytes::Bytes::copy_from_slice(wrap?.as_bytes()),
        };
        Ok((last + 1, hash, message))
    }
}

/// A record version as a placement names it.
pub(super) struct ToPlace {
    pub(super) record_id: RecordId,
    pub(super) version_id: VersionId,
    pub(super) content_root: ContentRoot,
    pub(super) stream_len: u64,
    pub(super) attributes: Attributes,
}

impl From<&VerifiedRecord> for ToPlace {
    fn from(record: &VerifiedRecord) -> Self {
        Self {
            record_id: record.record_id(),
            version_id: record.version_id(),
            content_root: record.content_root(),
            stream_len: record.stream_len(),
            attributes: record.attributes(),
        }
    }
}

const DEFAULT: &str = "default";
const OWN: &str = "own";
/// The name that means [`CollectionId::EMERGENCY`].
pub(super) const EMERGENCY: &str = "emergency";

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
