//! Her collections: made, listed, and what lies in them. See `protocol-spec/spec/collections.md`.

use crypto::{Collection, CollectionKey};
use protocol_spec::{
    api,
    field::Name,
    ids::{CollectionId, RecordId},
    names::Look,
    submitted,
    vault_head::{Act, epoch_hash},
};

use crate::{
    Error, Result,
    patient::{acts, examine::Examined, heads, listing, placing, ring, vault::Vault},
};

/// A collection as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CollectionInfo {
    /// The collection's id, which never changes.
    #[serde(rename = "collection_id")]
    pub id: CollectionId,
    /// Its name, which only her devices know.
    pub name: String,
    /// Counts its keys, from 0.
    pub epoch: u64,
}

pub(super) async fn collections(vault: &Vault) -> Result<Vec<CollectionInfo>> {
    let ring = ring::refresh_ring(vault).await?;
    let info = |(id, name, epoch): (CollectionId, &Name, u64)| CollectionInfo {
        id,
        name: name.as_str().to_owned(),
        epoch,
    };
    Ok(ring.list().map(info).collect())
}

pub(super) async fn collection(vault: &Vault, id_or_name: &str) -> Result<CollectionInfo> {
    let all = collections(vault).await?;
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

pub(super) async fn create_collection(vault: &Vault, name: &str) -> Result<CollectionInfo> {
    let name = Name::try_from(name.to_owned())?;
    let look = Look::of(name.as_str());
    let all = collections(vault).await?;
    if let Some(taken) = all.iter().find(|info| Look::of(&info.name).is_like(&look)) {
        return Err(Error::Usage(format!(
            "there is a collection called {:?} already: choose another name",
            taken.name
        )));
    }
    let id = if name.as_str() == EMERGENCY {
        CollectionId::EMERGENCY
    } else {
        vault.session.system().id(CollectionId::mint)?
    };
    put_collection(vault, id, &name).await?;
    heads::put_head(vault).await?;
    Ok(CollectionInfo {
        id,
        name: name.as_str().to_owned(),
        epoch: 0,
    })
}

/// Makes the collections that every vault has, unless they are there (COL-9).
pub(super) async fn put_first_collections(vault: &Vault) -> Result<()> {
    for (id, name) in [(CollectionId::DEFAULT, DEFAULT), (CollectionId::OWN, OWN)] {
        if ring::refresh_ring(vault).await?.current(id).is_none() {
            put_collection(vault, id, &Name::try_from(name.to_owned())?).await?;
        }
    }
    Ok(())
}

/// Opens a collection's epoch 0.
async fn put_collection(vault: &Vault, id: CollectionId, name: &Name) -> Result<()> {
    let (known, patient) = (vault.keys.known(), vault.id());
    let root = known.root()?;
    let key = CollectionKey::generate(vault.session.system())?;
    let wrap = root.wrap_collection_key(
        vault.session.system(),
        &key,
        &patient,
        &Collection { id, epoch: 0 },
    )?;
    let message = submitted::PutCollection {
        collection_id: id,
        epoch: 0,
        key_wrap: (&wrap).into(),
        sealed_name: root
            .seal_collection_name(vault.session.system(), name, &patient, &id)?
            .into(),
        root_epoch: known.newest().root_epoch,
    };
    vault.post(api::PUT_COLLECTION.here(), &message).await?;
    acts::did(vault, Act::Epoch(id, epoch_hash(0, wrap.as_bytes()))).await;
    Ok(())
}

pub(super) async fn move_record(vault: &Vault, record: RecordId, to: CollectionId) -> Result<()> {
    let Examined { verified, key, .. } = listing::examine(vault, record).await?;
    placing::place(vault, &verified, &key, to).await?;
    vault.placements.keep().await?;
    heads::put_head(vault).await
}

const DEFAULT: &str = "default";
const OWN: &str = "own";
/// The name that means [`CollectionId::EMERGENCY`].
pub(super) const EMERGENCY: &str = "emergency";
