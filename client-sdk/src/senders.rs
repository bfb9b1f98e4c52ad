//! Whom a patient or an institution blocks, and with whom they deal. See `protocol-spec/spec/accounts.md` §4.

use protocol_spec::{api, ids::PatientId, submitted};

use crate::{
    Result,
    connect::Server,
    patient::{SenderId, SenderInfo},
};

/// Blocks a sender, whose unanswered things are deleted; or takes that back (ACC-9).
pub(crate) async fn block(server: &Server, sender: SenderId, blocked: bool) -> Result<()> {
    let message = submitted::BlockSender {
        sender_id: *sender.as_bytes(),
        blocked,
    };
    server.post(api::BLOCK_SENDER.here(), &message).await?;
    Ok(())
}

/// With whom the reader deals, of whom something is open, whom she has blocked.
pub(crate) async fn senders(server: &Server) -> Result<Vec<SenderInfo>> {
    let mut all = Vec::new();
    // The cursor is an id of either kind.
    let mut pages = server.pages::<_, PatientId>(api::SENDERS.here());
    while let Some(page) = pages.next().await? {
        for sender in page.senders {
            all.push(SenderInfo {
                id: if sender.institution {
                    SenderId::Institution(sender.sender_id.as_ref().try_into()?)
                } else {
                    SenderId::Patient(sender.sender_id.as_ref().try_into()?)
                },
                known: sender.known,
                blocked: sender.blocked,
                open: sender.open,
            });
        }
    }
    Ok(all)
}
