//! A vault's history: who asked, permitted, presented, received; numbered from 1 without gaps, each entry
//! written by the commit that did what it tells.

use protocol_spec::{ids::PatientId, messages as pb};

use super::{
    Caller, Refusal, Vault,
    tables::{self, Counted},
    tx::Tx,
};

use pb::history_entry::What;

impl Vault {
    /// The caller's history after this number, oldest first.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn history(
        &self,
        caller: &Caller,
        after: u64,
        limit: usize,
    ) -> Result<pb::HistoryPage, Refusal> {
        let first = tables::history(caller.patient()?, after.saturating_add(1));
        let (mut entries, more) = self.shared.page(first, limit).await?;
        for entry in &mut entries {
            match &mut entry.what {
                Some(What::Stored(receipt) | What::Released(receipt)) => {
                    self.shared.complete(receipt).await?;
                }
                Some(What::Closed(logged)) => self.shared.complete_logged(logged).await?,
                Some(What::Presented(pb::Presented {
                    release_ticket: Some(receipt),
                    ..
                })) => self.shared.complete(receipt).await?,
                _ => {}
            }
        }
        let next = entries.last().filter(|_| more).map_or(0, |entry| entry.number);
        Ok(pb::HistoryPage { entries, next })
    }
}

impl Tx<'_> {
    /// Adds to a vault's history (FLW-11).
    pub(super) async fn record_history(&mut self, patient: PatientId, what: What) -> Result<(), Refusal> {
        let number = self.next_number(*patient.as_bytes(), Counted::History).await?;
        let entry = pb::HistoryEntry {
            number,
            at: self.now,
            what: Some(what),
        };
        self.put(&tables::history(patient, number), &entry);
        Ok(())
    }
}
