//! What can happen to a vault. Each kind of entry is one variant of [`HistoryWhat`], one arm of [`read`] and one of
//! [`HistoryWhat::columns`]; how requests, permissions and what is said about them are read stands here too, the rest in
//! the modules beside this one.

use protocol_spec::{
    bodies::{Denial, Note, Revocation, UploadRequest},
    field::ReadsAs,
    history::AskedFor,
    ids::{RecordId, RequestId},
    messages::history_entry::What,
    patient::PatientSigned,
    permission::{Kind, SignedPermission},
    purpose::Purpose,
};

use crate::{
    Result,
    patient::{
        delegation::named::DelegateRef,
        history::{
            delegates,
            emergency::{self, EmergencyEntry},
            line::HistoryLine,
            moved::{self, PresentedEntry, ReleasedEntry, StoredEntry},
            named::{DeviceChange, PermissionRef},
            reading::{HistoryReading, Told, tampered},
        },
        permissions,
        refs::InstitutionRef,
        requests,
    },
    trust::Asked,
};

/// What has happened to a vault, by one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryWhat {
    /// She asked an institution to upload, by this request.
    UploadRequested(RequestId),
    /// An institution asked to download.
    DownloadRequested {
        /// The request by which it asks.
        request: RequestId,
        /// The purpose that the request names, if it names one.
        purpose: Option<Purpose>,
    },
    /// An institution referred her to another.
    ReferenceRequested {
        /// The request by which it asks.
        request: RequestId,
        /// The purpose that the request names, if it names one.
        purpose: Option<Purpose>,
    },
    /// She gave a permission to an institution.
    Permitted {
        /// Which one, and what for.
        permission: PermissionRef,
        /// The purpose that it names.
        purpose: Option<Purpose>,
        /// The standing rule that answered, by what this home has kept; none if she answered herself.
        rule: Option<String>,
    },
    /// She denied what an institution asked.
    Denied {
        /// The request that is answered.
        request: RequestId,
        /// The standing rule that answered, by what this home has kept; none if she answered herself.
        rule: Option<String>,
    },
    /// She wrote a note about this permission to its institution.
    Noted(PermissionRef),
    /// She took this permission back.
    Revoked(PermissionRef),
    /// A device was added, named or removed.
    DevicesChanged(DeviceChange),
    /// An institution presented a permission key.
    Presented(PresentedEntry),
    /// A record was stored by an institution.
    Stored(StoredEntry),
    /// A device of hers sealed a record anew.
    Resealed(StoredEntry),
    /// Parts of records were released to an institution.
    Released(ReleasedEntry),
    /// Her emergency collection was opened.
    EmergencyOpened(EmergencyEntry),
    /// A guardian began to help.
    EmergencyHelp(EmergencyEntry),
    /// She objected to the help of a guardian.
    EmergencyObjected(EmergencyEntry),
    /// She gave up an old key of a collection.
    EpochClosed,
    /// She let this patient act for her.
    Delegated(DelegateRef),
    /// This patient acts for her no more.
    DelegationEnded(DelegateRef),
    /// A delegate, who signed for it, has begun to read this record: the first time on a day.
    DelegateRead(RecordId),
    /// A device of hers deleted this record.
    RecordDeleted(RecordId),
    /// An institution took back this record, which it had stored.
    TakenBack(RecordId),
    /// An institution asked for something, which she has had deleted.
    Deleted,
    /// The server shows something that is not proven.
    Unverified {
        /// Why it is not believed.
        problem: String,
    },
}

/// Reads what the server shows as an entry.
pub(super) async fn read(reading: &mut HistoryReading<'_>, what: What) -> Result<Told<HistoryWhat>> {
    use HistoryWhat as Is;
    Ok(match what {
        What::UploadRequested(statement) => upload_requested(reading, statement).await?,
        What::DownloadRequested(statement) => {
            let asked = reading.vault.session.asks.download(statement).await?;
            requested(reading, &asked).await?
        }
        What::ReferenceRequested(statement) => {
            let asked = reading.vault.session.asks.reference(statement).await?;
            requested(reading, &asked).await?
        }
        What::Permitted(permission) => permitted(reading, permission).await?,
        What::Denied(statement) => denied(reading, statement).await?,
        What::Noted(statement) => noted(reading, statement).await?,
        What::Revoked(statement) => revoked(reading, statement).await?,
        What::Presented(message) => moved::presented(reading, message).await?.map(Is::Presented),
        What::Stored(receipt) => moved::stored(reading, receipt).await?.map(Is::stored),
        What::Released(receipt) => moved::released(reading, receipt).await?.map(Is::Released),
        What::RecordDeleted(logged) => moved::record_deleted(reading, logged)
            .await?
            .map(Is::RecordDeleted),
        What::TakenBack(receipt) => moved::taken_back(reading, receipt).await?.map(Is::TakenBack),
        What::Closed(logged) => moved::epoch_closed(reading, logged)
            .await?
            .map(|()| Is::EpochClosed),
        What::Deleted(_) => Told::new(Is::Deleted),
        What::EmergencyOpened(used) => emergency::opened(reading, used).await?.map(Is::EmergencyOpened),
        What::EmergencyHelp(help) => emergency::helped(reading, help).await?.map(Is::EmergencyHelp),
        What::EmergencyObjected(said) => emergency::objected(reading, said)
            .await?
            .map(Is::EmergencyObjected),
        What::Delegated(statement) => delegates::delegated(reading, statement).await?.map(Is::Delegated),
        What::DelegationEnded(end) => delegates::delegation_ended(reading, end)
            .await?
            .map(Is::DelegationEnded),
        What::DelegateRead(read) => delegates::delegate_read(reading, &read)?.map(Is::DelegateRead),
        What::DevicesChanged(list) => delegates::devices_changed(reading, list)?.map(Is::DevicesChanged),
    })
}

impl HistoryWhat {
    /// The name of the kind, and the columns that it fills.
    pub(super) fn columns(&self) -> HistoryLine<'_> {
        let line = HistoryLine::of;
        match self {
            Self::UploadRequested(request) => line("upload-requested").about(*request),
            Self::DownloadRequested { request, purpose } => {
                line("download-requested").about(*request).purpose(*purpose)
            }
            Self::ReferenceRequested { request, purpose } => {
                line("reference-requested").about(*request).purpose(*purpose)
            }
            Self::Permitted {
                permission,
                purpose,
                rule,
            } => line("permitted")
                .under(permission)
                .purpose(*purpose)
                .rule(rule.as_deref()),
            Self::Denied { request, rule } => line("denied").about(*request).rule(rule.as_deref()),
            Self::Noted(permission) => line("noted").under(permission),
            Self::Revoked(permission) => line("revoked").under(permission),
            Self::DevicesChanged(change) => line("devices-changed").devices(change),
            Self::Presented(entry) => entry.columns(),
            Self::Stored(entry) => entry.columns("stored"),
            Self::Resealed(entry) => entry.columns("resealed"),
            Self::Released(entry) => entry.columns(),
            Self::EmergencyOpened(entry) => entry.columns("emergency-opened"),
            Self::EmergencyHelp(entry) => entry.columns("emergency-help"),
            Self::EmergencyObjected(entry) => entry.columns("emergency-objected"),
            Self::EpochClosed => line("epoch-closed"),
            Self::Delegated(delegate) => line("delegated").delegate(delegate),
            Self::DelegationEnded(delegate) => line("delegation-ended").delegate(delegate),
            Self::DelegateRead(record) => line("delegate-read").record(*record),
            Self::RecordDeleted(record) => line("record-deleted").record(*record),
            Self::TakenBack(record) => line("taken-back").record(*record),
            Self::Deleted => line("deleted"),
            Self::Unverified { problem } => HistoryLine {
                verified: false,
                problem: Some(problem),
                ..line("unverified")
            },
        }
    }

    fn stored(entry: StoredEntry) -> Self {
        match entry.total {
            Some(_) => Self::Stored(entry),
            None => Self::Resealed(entry),
        }
    }
}

async fn upload_requested(
    reading: &mut HistoryReading<'_>,
    statement: impl ReadsAs<PatientSigned<UploadRequest>>,
) -> Result<Told<HistoryWhat>> {
    let request = reading.own(statement).await?;
    reading.walk.upload_requested(&request).map_err(tampered)?;
    let signer = reading.signer(request.device(), None)?;
    let institution = reading.vault.institution_ref(request.institution_id).await?;
    let what = HistoryWhat::UploadRequested(request.request_id);
    Ok(Told::new(what).by(signer).with(institution))
}

/// A download or a reference was asked for.
async fn requested(reading: &mut HistoryReading<'_>, asked: &Asked) -> Result<Told<HistoryWhat>> {
    requests::open_asked(reading.vault, asked).await?;
    let answer = AskedFor {
        kind: asked.kind,
        patient_id: reading.vault.id(),
        institution_id: asked.receiver,
    };
    reading.walk.requested(asked.hash, answer).map_err(tampered)?;
    let (request, purpose) = (asked.request_id, asked.purpose);
    let what = match asked.kind {
        Kind::Reference => HistoryWhat::ReferenceRequested { request, purpose },
        _ => HistoryWhat::DownloadRequested { request, purpose },
    };
    Ok(Told::new(what).with(InstitutionRef {
        id: asked.asker.id(),
        name: asked.asker.name().as_str().to_owned(),
    }))
}

async fn permitted(
    reading: &mut HistoryReading<'_>,
    message: impl ReadsAs<SignedPermission>,
) -> Result<Told<HistoryWhat>> {
    let permission = permissions::own_permission(reading.vault, message).await?;
    let at = reading.at;
    reading.walk.permitted(permission.clone(), at).map_err(tampered)?;
    let signer = reading.signer(permission.device(), permission.delegation())?;
    let institution = reading.vault.institution_ref(permission.institution_id).await?;
    let what = HistoryWhat::Permitted {
        permission: PermissionRef::from(&permission),
        purpose: permission.purpose,
        rule: reading.rule(&permission.hash()),
    };
    Ok(Told::new(what).by(signer).with(institution))
}

async fn denied(
    reading: &mut HistoryReading<'_>,
    statement: impl ReadsAs<PatientSigned<Denial>>,
) -> Result<Told<HistoryWhat>> {
    let denial = reading.own(statement).await?;
    reading.walk.denied(&denial, reading.at).map_err(tampered)?;
    let signer = reading.signer(denial.device(), denial.delegation())?;
    let institution = reading.vault.institution_ref(denial.institution_id).await?;
    let what = HistoryWhat::Denied {
        request: denial.request_id,
        rule: reading.rule(&denial.hash()),
    };
    Ok(Told::new(what).by(signer).with(institution))
}

async fn noted(
    reading: &mut HistoryReading<'_>,
    statement: impl ReadsAs<PatientSigned<Note>>,
) -> Result<Told<HistoryWhat>> {
    let note = reading.own(statement).await?;
    let (to, about) = (note.institution_id, (note.permission_id, note.permission_hash));
    let permission = reading
        .walk
        .said_about(note.device(), to, about)
        .map_err(tampered)?;
    let what = HistoryWhat::Noted(PermissionRef::from(permission));
    let signer = reading.signer(note.device(), None)?;
    let institution = reading.vault.institution_ref(to).await?;
    Ok(Told::new(what).by(signer).with(institution))
}

async fn revoked(
    reading: &mut HistoryReading<'_>,
    statement: impl ReadsAs<PatientSigned<Revocation>>,
) -> Result<Told<HistoryWhat>> {
    let revocation = reading.own(statement).await?;
    let permission = reading.walk.revoked(&revocation).map_err(tampered)?;
    let (permission, to) = (PermissionRef::from(permission), permission.institution_id);
    let signer = reading.signer(revocation.device(), None)?;
    let institution = reading.vault.institution_ref(to).await?;
    Ok(Told::new(HistoryWhat::Revoked(permission))
        .by(signer)
        .with(institution))
}
