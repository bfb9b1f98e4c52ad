//! A record that has arrived, or lies in a collection, becomes one of hers: everything about it is verified, and it is placed
//! where it has no place yet. See `protocol-spec/spec/collections.md` §2.

use crypto::Collection;
use protocol_spec::{ids::CollectionId, messages as pb};

use crate::{
    Result,
    patient::{
        examine::{self, Examined},
        gone,
        known::tampered,
        placing, shown,
        vault::Vault,
    },
};

/// Verifies a record; one that is new is adopted.
pub(super) async fn own_record(vault: &Vault, message: pb::VaultRecord) -> Result<Examined> {
    let pb::VaultRecord {
        record,
        upload_key_wrap,
        upload_key_epoch,
        placement,
        epoch,
        data_key_wrap,
    } = message;
    let stored = record.ok_or_else(|| tampered("it is empty"))?;
    let record = vault.session.records.receipted(vault.id(), stored).await?;
    gone::check_not_gone(vault, record.receipt.statement.record_id).await?;
    shown::check_receipt_head(vault, record.receipt.statement.vault_head).await?;
    let placed = match placement {
        Some(placement) => Some(examine::placed(vault, placement, &record).await?),
        None => None,
    };
    let key = match &placed {
        Some((id, _)) => {
            let collection = Collection { id: *id, epoch };
            examine::placed_key(vault, &record, collection, &data_key_wrap).await?
        }
        None => {
            let id = record.receipt.statement.record_id;
            vault.placements.check(id, None)?;
            examine::uploaded_key(vault, &record, upload_key_epoch, &upload_key_wrap).await?
        }
    };
    let verified = vault.session.records.open(record, &key).await?;
    vault
        .session
        .met
        .version(verified.version_id(), &verified.manifest.hash())?;
    let (collection, number) = match placed {
        Some(placed) => placed,
        None => {
            let to = CollectionId::DEFAULT;
            (to, placing::place(vault, &verified, &key, to).await?)
        }
    };
    Ok(Examined {
        verified,
        key,
        collection,
        number,
    })
}
