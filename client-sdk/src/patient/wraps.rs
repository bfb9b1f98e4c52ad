//! Data keys as the server keeps them, wrapped under the keys of her collections.

use crypto::{Collection, DataKey, WrappedKey};
use protocol_spec::{
    api::{self, WrapsQuery},
    ids::VersionId,
    messages as pb,
};

use crate::{Error, Result, pages::Pages, patient::vault::Vault};

/// The data key in a wrap.
pub(super) async fn unwrapped(
    vault: &Vault,
    wrap: &[u8],
    version: VersionId,
    of: Collection,
) -> Result<DataKey> {
    let ring = vault.ring.get();
    let key = ring.key(of);
    let key = key.ok_or_else(|| Error::tampered("a collection")("an epoch of it is not shown"))?;
    let wrapped = WrappedKey::try_from(wrap).map_err(Error::tampered("a record"))?;
    key.unwrap_data_key(&wrapped, &of, &version)
        .map_err(Error::tampered("a record"))
}

/// The data keys of a collection, as they are wrapped in one epoch, page by page.
pub(super) fn all_wraps(vault: &Vault, of: Collection) -> Pages<'_, pb::WrapPage, u64> {
    let Collection { id, epoch } = of;
    let query = WrapsQuery {
        collection: id,
        epoch,
        after: None,
        limit: Some(MAX_WRAPS),
    };
    let path = api::WRAPS.ask([], query);
    vault.session.server.pages(path)
}

/// One page of the data keys of a collection, as they are wrapped in one epoch.
pub(super) async fn wraps(vault: &Vault, of: Collection, after: u64, limit: usize) -> Result<pb::WrapPage> {
    let Collection { id, epoch } = of;
    let query = WrapsQuery {
        collection: id,
        epoch,
        after: Some(after),
        limit: Some(limit),
    };
    let path = api::WRAPS.ask([], query);
    vault.get(path).await
}

/// Wraps of one page; the server may give fewer.
pub(super) const MAX_WRAPS: usize = 4000;
