//! What the institution has stored under a permission, whichever of its homes has sent it. See `protocol-spec/spec/flows.md`
//! (FLW-22).

use protocol_spec::{
    api,
    bodies::UploadReceipt,
    ids::{PermissionId, RecordId, UploadId},
    problem::Problem,
};

use super::Institution;
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

impl Institution {
    /// What the institution has stored under an upload permission, oldest first, also what the patient has deleted since. This home
    /// can take it back from now on.
    ///
    /// # Errors
    /// `not-permitted` for a permission that is not the institution's; [`Error::Tampered`]; of the connection.
    pub async fn stored_under(&self, permission: PermissionId) -> Result<Vec<StoredUpload>> {
        self.keep_up().await?;
        let known = self.sent_records()?;
        let path = api::COMMITTED_UPLOADS.at([&permission]);
        let mut pages = self.session.server.pages::<_, UploadId>(path);
        let mut stored = Vec::new();
        while let Some(page) = pages.next().await? {
            for message in page.receipts {
                let receipt = self
                    .session
                    .receipt::<UploadReceipt>(Some(message), RECEIPT)
                    .await?;
                let said = &receipt.statement;
                let own = said.permission_id == permission
                    && said.institution_id == self.id()
                    && said.operator_id == self.session.server.operator_id();
                if !own {
                    return Err(Error::tampered(RECEIPT)("it is for something else"));
                }
                let known = known.contains(&said.record_id);
                if !known {
                    self.keep_sent(said)?;
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

    /// Says with a permission that is spent what it was spent for: an earlier run may not have seen its answer.
    pub(super) async fn spent_for(&self, error: Error, permission: PermissionId) -> Error {
        let Error::Refused {
            problem: problem @ Problem::PermissionSpent,
            reader,
            ..
        } = error
        else {
            return error;
        };
        match self.stored_under(permission).await {
            Ok(stored) if !stored.is_empty() => {
                let each = |stored: &StoredUpload| {
                    format!(
                        "{} ({} bytes sealed, {})",
                        stored.record_id,
                        stored.bytes,
                        time(stored.at)
                    )
                };
                let newest: Vec<_> = stored.iter().rev().take(MOST_NAMED).map(each).collect();
                Error::Refused {
                    problem,
                    detail: Some(format!(
                        "your institution has stored {} with it, newest first; if that is what you are sending, nothing is left to do",
                        newest.join(", ")
                    )),
                    reader,
                }
            }
            _ => error,
        }
    }
}

const RECEIPT: &str = "the receipt";
/// Of more, the newest are named.
const MOST_NAMED: usize = 3;
