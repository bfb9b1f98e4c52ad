//! What the institution has stored under a permission, whichever of its homes has
//! sent it. See `protocol-spec/spec/flows.md` (FLW-22).

use protocol_spec::{
    api,
    bodies::UploadReceipt,
    field::ReadsAs,
    ids::{PermissionId, RecordId, UploadId},
    log::{Receipt, ReceiptClaim},
    permission::{Kind, VerifiedPermission},
    problem::Problem,
};

use super::{delivery, office::Office, taking_back};
use crate::{Error, Result, error::time};

/// A record that the institution has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredUpload {
    /// The record that the receipt is for.
    pub record_id: RecordId,
    /// When the server has committed it, in milliseconds since 1970.
    pub at: u64,
    /// Length of the sealed stream.
    pub bytes: u64,
    /// Whether this home has sent it, or has met it before.
    pub known: bool,
}

pub(super) async fn stored_under(office: &Office, permission: PermissionId) -> Result<Vec<StoredUpload>> {
    let delivered = delivery::deliver(office, permission).await?;
    let body = &delivered.permission;
    if body.kind != Kind::Upload {
        return Err(Error::Usage(
            "this permission is for downloads: nothing is stored with it".into(),
        ));
    }
    let known = taking_back::sent_records(office)?;
    let list = api::COMMITTED_UPLOADS.at([&permission]);
    let mut pages = office.session.server.pages::<_, UploadId>(list);
    let mut stored = Vec::new();
    while let Some(page) = pages.next().await? {
        for message in page.receipts {
            let said = &receipt_under(office, body, message).await?.statement;
            let known = known.contains(&said.record_id);
            if !known {
                taking_back::keep_sent(office, said)?;
            }
            stored.push(StoredUpload {
                record_id: said.record_id,
                at: said.created,
                bytes: said.stream_len,
                known,
            });
        }
    }
    stored.sort_by_key(|stored| stored.at);
    Ok(stored)
}

/// A receipt for what this institution has stored under this permission.
async fn receipt_under(
    office: &Office,
    permission: &VerifiedPermission,
    receipt: impl ReadsAs<ReceiptClaim<UploadReceipt>>,
) -> Result<Receipt<UploadReceipt>> {
    let receipt = office
        .session
        .log
        .receipt::<UploadReceipt>(receipt, RECEIPT)
        .await?;
    let said = &receipt.statement;
    let own = said.permission_id == permission.permission_id
        && said.patient_id == permission.patient_id
        && said.institution_id == office.id()
        && said.operator_id == office.session.server.operator_id();
    if own {
        Ok(receipt)
    } else {
        Err(Error::tampered(RECEIPT)("it is for something else"))
    }
}

/// Says with a permission that is spent what it was spent for: an earlier run, which was to send a stream of this length, may not have
/// seen its answer. What that finds to be false is said instead.
pub(super) async fn spent_for(office: &Office, error: Error, permission: PermissionId, length: u64) -> Error {
    let Error::Refused {
        problem: problem @ Problem::PermissionSpent,
        reader,
        ..
    } = error
    else {
        return error;
    };
    let stored = match stored_under(office, permission).await {
        Ok(stored) if !stored.is_empty() => stored,
        Err(found @ Error::Tampered { .. }) => return found,
        _ => return error,
    };
    let each = |stored: &StoredUpload| {
        let StoredUpload {
            record_id, at, bytes, ..
        } = stored;
        format!("{record_id} ({bytes} bytes sealed, {})", time(*at))
    };
    let newest: Vec<_> = stored.iter().rev().take(MOST_NAMED).map(each).collect();
    let mut detail = format!(
        "your institution has stored {} with it, newest first",
        newest.join(", ")
    );
    if stored.iter().any(|stored| stored.bytes == length) {
        detail.push_str("; one has the length of what you are sending: if it is that, nothing is left to do");
    }
    Error::Refused {
        problem,
        detail: Some(detail),
        reader,
    }
}

const RECEIPT: &str = "the receipt";
/// Of more, the newest are named.
const MOST_NAMED: usize = 3;
