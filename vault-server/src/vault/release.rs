//! Release sessions: bytes are spent durably before the first of them leaves, and a receipt tells at the
//! end how many did.

use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket},
    content,
    defence::Defence,
    ids::{InstitutionId, PatientId, ReleaseId, VersionId},
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use super::{
    Caller, Intent, LeafStream, Refusal, Shared, Vault,
    outflow::leaf_range,
    refusal::ensure,
    tables::{self, MeterRow, ReleaseRow},
    tx::{Operation, Tx},
};

use pb::{event, history_entry};

impl Vault {
    /// Releases leaves of a record under an open session: spends their bytes, then streams.
    ///
    /// # Errors
    /// `not-permitted`, `release-closed`, `permission-revoked`, `bytes-spent`, `range-not-satisfiable`.
    pub async fn release_leaves(
        &self,
        caller: &Caller,
        release: ReleaseId,
        version: VersionId,
        first: u32,
        count: u32,
    ) -> Result<LeafStream, Refusal> {
        let institution = caller.institution()?.id();
        let patient = self.shared.release_vault(release).await?;
        let spend = SpendRelease {
            patient,
            release,
            institution,
            version,
            first,
            count,
        };
        let (ticket, stream_len) = self.shared.run(&spend).await?;
        let guard = tables::meter(patient, ticket.permission_id);
        LeafStream::new(&self.shared, version, stream_len, first, count, Some(guard))
    }

    /// Ends a session and gives its receipt. A session that is closed already has its receipt (FLW-10).
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn close_release(
        &self,
        caller: &Caller,
        intent: &Intent,
        release: ReleaseId,
    ) -> Result<pb::Receipt, Refusal> {
        let institution = Some(caller.institution()?.id());
        let patient = self.shared.release_vault(release).await?;
        let close = CloseRelease {
            patient,
            release,
            institution,
        };
        let mut receipt = self.shared.mutate(caller, intent, close).await?;
        self.shared.complete(&mut receipt).await?;
        Ok(receipt)
    }
}

impl Shared {
    pub(super) async fn release_vault(&self, release: ReleaseId) -> Result<PatientId, Refusal> {
        self.vault_of(&release)
            .await?
            .ok_or_else(|| Refusal::absent("no such release"))
    }
}

impl ReleaseRow {
    /// The session's ticket, as this server has signed it.
    fn ticket(&self) -> Result<ReleaseTicket, Refusal> {
        let ticket = Signed::<ReleaseTicket>::try_from(self.ticket.clone()).map_err(Refusal::damaged)?;
        Ok(ticket.claimed().clone())
    }
}

impl Tx<'_> {
    /// A session, if it is this institution's, open, in its time and not revoked, and what is left of its permission.
    pub(super) async fn open_release(
        &mut self,
        patient: PatientId,
        release: ReleaseId,
        institution: InstitutionId,
    ) -> Result<(ReleaseRow, ReleaseTicket, MeterRow), Refusal> {
        let row = self.read_existing(&tables::release(patient, release)).await?;
        let ticket = row.ticket()?;
        let own = Defence::SessionOwner.holds(ticket.institution_id == institution);
        ensure(own, Problem::NotPermitted, "another institution's release")?;
        let open = row.receipt.is_none();
        ensure(open, Problem::ReleaseClosed, "the release is closed")?;
        let meter = tables::meter(patient, ticket.permission_id);
        let meter = self.read_existing(&meter).await?;
        let live = Defence::Revocation.holds(!meter.revoked);
        ensure(live, Problem::PermissionRevoked, "revoked before the request")?;
        let over = self.has_passed(ticket.expires).await;
        ensure(!over, Problem::ReleaseClosed, "the release has expired")?;
        Ok((row, ticket, meter))
    }
}

/// FLW-9.
struct SpendRelease {
    patient: PatientId,
    release: ReleaseId,
    institution: InstitutionId,
    version: VersionId,
    first: u32,
    count: u32,
}

impl SpendRelease {
    /// The record's length, if the permission is for it (PRM-3, PRM-4).
    async fn stream_len(&self, tx: &mut Tx<'_>, ticket: &ReleaseTicket) -> Result<u64, Refusal> {
        let permission = tables::permission(self.patient, ticket.permission_id);
        let body = tx.read_existing(&permission).await?.body()?;
        if let Some(selector) = &body.collection {
            return tx.placed_len(ticket, selector, self.version).await;
        }
        let selected = body
            .records
            .iter()
            .find(|record| record.version_id == self.version);
        match selected {
            Some(record) => Ok(record.stream_len),
            None if Defence::ReleasedRecords.is_off() => {
                let stored = tx
                    .read_existing(&tables::record(self.patient, self.version))
                    .await?
                    .stored;
                Ok(stored.unwrap_or_default().stream_len)
            }
            None => Err(Refusal::absent("the permission does not name the record")),
        }
    }
}

impl Operation for SpendRelease {
    type Answer = (ReleaseTicket, u64);

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(ReleaseTicket, u64), Refusal> {
        let (mut row, ticket, mut meter) = tx
            .open_release(self.patient, self.release, self.institution)
            .await?;
        let stream_len = self.stream_len(tx, &ticket).await?;
        let key = tables::release(self.patient, self.release);
        let meter_key = tables::meter(self.patient, ticket.permission_id);
        let bytes = released_bytes(stream_len, self.first, self.count)?;
        meter.spend(bytes)?;
        row.bytes = row.bytes.saturating_add(bytes);
        tx.put(&meter_key, &meter);
        tx.put(&key, &row);
        Ok((ticket, stream_len))
    }
}

/// Bytes in these leaves of a stream.
fn released_bytes(stream_len: u64, first: u32, count: u32) -> Result<u64, Refusal> {
    let leaves = leaf_range(stream_len, first, count)?;
    Ok(leaves
        .map(|leaf| content::leaf_len(stream_len, u64::from(leaf)))
        .sum())
}

/// Closes a session, for its institution or, when its time is over, for nobody.
pub(super) struct CloseRelease {
    pub(super) patient: PatientId,
    pub(super) release: ReleaseId,
    pub(super) institution: Option<InstitutionId>,
}

impl Operation for CloseRelease {
    type Answer = pb::Receipt;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Receipt, Refusal> {
        let key = tables::release(self.patient, self.release);
        let mut row = tx.read_existing(&key).await?;
        let ticket = row.ticket()?;
        let own = self
            .institution
            .is_none_or(|institution| institution == ticket.institution_id);
        let own = Defence::SessionOwner.holds(own);
        ensure(own, Problem::NotPermitted, "another institution's release")?;
        if let Some(receipt) = row.receipt {
            return Ok(receipt);
        }
        let signed = release_receipt(tx, &ticket, row.bytes);
        let receipt = pb::Receipt {
            statement: Some(signed.to_message()),
            proof: Some(tx.log(&signed.hash())?),
        };
        row.receipt = Some(receipt.clone());
        tx.put(&key, &row);
        tx.close_session(ticket.institution_id).await?;
        tx.record_history(self.patient, history_entry::What::Released(receipt.clone()))
            .await?;
        tx.notify(*self.patient.as_bytes(), event::What::Released(receipt.clone()))
            .await?;
        Ok(receipt)
    }
}

fn release_receipt(tx: &Tx<'_>, ticket: &ReleaseTicket, bytes: u64) -> Signed<ReleaseReceipt> {
    let receipt = ReleaseReceipt {
        created: tx.now,
        operator_id: ticket.operator_id,
        release_id: ticket.release_id,
        permission_id: ticket.permission_id,
        patient_id: ticket.patient_id,
        institution_id: ticket.institution_id,
        bytes,
        presentation_hash: ticket.presentation_hash,
    };
    Signed::sign(receipt, |message| tx.shared.operator.sign(message))
}
