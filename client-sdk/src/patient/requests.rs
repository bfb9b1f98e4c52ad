//! What a patient decides: to ask for an upload, to permit or to deny what institutions ask.

use crypto::{PermissionKey, TextContext, seal_text};
use protocol_spec::{
    api,
    attributes::Attributes,
    bodies::{Note, UploadRequest},
    conditions::Conditions,
    ids::{PermissionId, RecordId, RequestId},
    messages::{RequestState, stored_request::Request},
    patient::PatientSigned,
    permission::{Kind, MAX_RECORDS, Replaces},
    submitted,
};

use crate::{
    DirectoryEntry, Error, Result,
    ground::{System, millis},
    patient::{
        answers::{self, Grant, PermissionLimits},
        heads, listed,
        listing::{self, OwnRecord},
        permissions, replacing,
        terms::{InCollection, OpenRequest, PermitTerms, Selection, UploadTerms},
        vault::Vault,
    },
    trust::Asked,
};

impl PermitTerms {
    pub(crate) fn limits(
        &self,
        asked: &Asked,
        replaces: Option<Replaces>,
        system: &dyn System,
    ) -> PermissionLimits {
        let from = self.not_before.unwrap_or_else(|| system.now_ms());
        PermissionLimits {
            not_before: self.not_before,
            not_after: from.saturating_add(millis(self.expires)),
            uses: self.uses,
            bytes: self.bytes,
            purpose: self.purpose.or(asked.purpose),
            conditions: self.conditions.clone(),
            replaces,
        }
    }
}

pub(super) async fn request_upload(
    vault: &Vault,
    to: &DirectoryEntry,
    text: &str,
    terms: &UploadTerms,
) -> Result<(RequestId, PermissionId)> {
    let to = &vault.session.mirror.as_of_now(to.id()).await?;
    let permission_id = vault.session.system().id(PermissionId::mint)?;
    let request = upload_request(vault, to, text, terms)?;
    let (request_id, ends) = (request.claimed().request_id, request.claimed().expires);
    vault.session.clock.check_given(None, ends)?;
    let (key, epoch, wrap) = replacing::mint_upload_key(vault, &permission_id).await?;
    let grant = Grant {
        id: permission_id,
        kind: Kind::Upload,
        to,
        records: Vec::new(),
        collection: None,
        request_hash: request.hash(),
        replaces: None,
        conditions: None,
        behalf: None,
    };
    let limits = PermissionLimits {
        not_before: None,
        not_after: ends,
        uses: terms.uses,
        bytes: Some(terms.max_bytes),
        purpose: None,
        conditions: Conditions::default(),
        replaces: None,
    };
    let minted = PermissionKey::mint(vault.session.system(), &permission_id, &key)?;
    let message = submitted::SubmitUploadRequest {
        request,
        permission: answers::sign_permission(vault, grant, minted, &limits).await?,
        upload_key_wrap: (&wrap).into(),
        upload_key_epoch: epoch,
    };
    vault.post(api::SUBMIT_UPLOAD_REQUEST.here(), &message).await?;
    answers::did_permit(vault, &message.permission).await;
    heads::put_head(vault).await?;
    Ok((request_id, permission_id))
}

fn upload_request(
    vault: &Vault,
    to: &DirectoryEntry,
    text: &str,
    terms: &UploadTerms,
) -> Result<PatientSigned<UploadRequest>> {
    let request_id = vault.session.system().id(RequestId::mint)?;
    let now = vault.session.system().now_ms();
    let context = TextContext::to_institution(request_id, &vault.id(), &to.id());
    Ok(vault.keys.statement(UploadRequest {
        created: now,
        operator_id: vault.session.server.operator_id(),
        request_id,
        patient_id: vault.id(),
        institution_id: to.id(),
        expires: now.saturating_add(millis(terms.expires)),
        text: seal_text(vault.session.system(), to.recipient_key(), &context, text)?,
    }))
}

pub(super) async fn request(vault: &Vault, request: RequestId) -> Result<OpenRequest> {
    OpenRequest::of(vault, &asked(vault, request).await?.0).await
}

pub(super) async fn permit(
    vault: &Vault,
    request: RequestId,
    records: &Selection,
    terms: &PermitTerms,
) -> Result<PermissionId> {
    let asked = asked(vault, request).await?.0;
    let chosen = choose(vault, records, &terms.conditions).await?;
    let limits = terms.limits(
        &asked,
        permissions::replaced(vault, terms.replaces).await?,
        vault.session.system(),
    );
    vault
        .session
        .clock
        .check_given(limits.not_before, limits.not_after)?;
    let (id, answer) = answers::sign_permit(vault, &asked, chosen, &limits, None).await?;
    answers::submit(vault, &answer).await?;
    Ok(id)
}

pub(super) async fn permit_collection(
    vault: &Vault,
    request: RequestId,
    of: InCollection,
    terms: &PermitTerms,
) -> Result<PermissionId> {
    let asked = asked(vault, request).await?.0;
    let limits = terms.limits(
        &asked,
        permissions::replaced(vault, terms.replaces).await?,
        vault.session.system(),
    );
    vault
        .session
        .clock
        .check_given(limits.not_before, limits.not_after)?;
    let (id, answer) = answers::sign_permit_collection(vault, &asked, of, &limits).await?;
    answers::submit(vault, &answer).await?;
    Ok(id)
}

pub(super) async fn deny(vault: &Vault, request: RequestId, text: &str) -> Result<()> {
    let asked = asked(vault, request).await?.0;
    let answer = answers::sign_denial(vault, &asked, text, None).await?;
    answers::submit(vault, &answer).await
}

pub(super) async fn note(vault: &Vault, permission: PermissionId, text: &str) -> Result<()> {
    Note::check_text(text).map_err(|_| {
        Error::Usage(format!(
            "a note has 1 to {} characters, and of control characters only line feeds",
            Note::MAX_TEXT
        ))
    })?;
    let all = permissions::own_permissions(vault).await?;
    let found = all
        .into_iter()
        .find(|own| own.permission.permission_id == permission);
    let about = found.map(|own| own.permission).ok_or_else(|| Error::Unknown {
        what: "permission",
        id: permission.to_string(),
    })?;
    if about.kind == Kind::Emergency {
        let problem = "an emergency permission names no institution that could read a note";
        return Err(Error::Usage(problem.into()));
    }
    let to = vault.session.mirror.as_of_now(about.institution_id).await?;
    let note_id = vault.session.system().id(RequestId::mint)?;
    let context = TextContext::to_institution(note_id, &vault.id(), &to.id());
    let note = Note {
        created: vault.session.system().now_ms(),
        note_id,
        permission_id: permission,
        permission_hash: about.hash(),
        patient_id: vault.id(),
        institution_id: to.id(),
        text: seal_text(vault.session.system(), to.recipient_key(), &context, text)?,
    };
    let note = vault.keys.statement(note);
    let message = submitted::SubmitNote { note };
    vault.post(api::SUBMIT_NOTE.here(), &message).await?;
    Ok(())
}

/// Fetches a request and checks that it is to her, by the institution in it; and what the server
/// says has become of it.
pub(crate) async fn asked(vault: &Vault, id: RequestId) -> Result<(Asked, RequestState)> {
    let stored = vault.get(api::REQUEST.at([&id])).await?;
    let state = stored.state();
    let asked = match stored.request {
        Some(Request::Download(statement)) => vault.session.asks.download(statement).await?,
        Some(Request::Reference(statement)) => vault.session.asks.reference(statement).await?,
        Some(Request::Upload(_)) => {
            return Err(Error::Usage(format!(
                "{id} is an upload request of one's own: it is not answered"
            )));
        }
        None => return Err(Error::tampered("the request")("it is empty")),
    };
    if asked.request_id != id {
        return Err(Error::tampered("the request")("it is another one"));
    }
    open_asked(vault, &asked).await?;
    Ok((asked, state))
}

/// The text of a request to her, by the vault key that it was sealed to.
pub(crate) async fn open_asked(vault: &Vault, asked: &Asked) -> Result<String> {
    let known = listed::known_epoch(vault, asked.root_epoch).await?;
    let key = known
        .vault_key(asked.root_epoch)
        .ok_or_else(|| Error::tampered("the request")(known.no_vault_key(asked.root_epoch)))?;
    asked.open(vault.id(), key, vault.session.server.operator_id())
}

/// The records of a selection with their keys, verified.
async fn choose(vault: &Vault, selection: &Selection, conditions: &Conditions) -> Result<Vec<OwnRecord>> {
    chosen(
        listing::own_records(vault, selection).await?,
        selection,
        conditions,
    )
}

/// Of what was found for a selection: of all records, those that fit the conditions; of those that were named, each
/// must be there, verify, and fit.
pub(crate) fn chosen(
    (mut own, mut refused): (Vec<OwnRecord>, Vec<(RecordId, Error)>),
    selection: &Selection,
    conditions: &Conditions,
) -> Result<Vec<OwnRecord>> {
    if let Selection::Records(ids) = selection {
        if let Some((_, error)) = refused.pop() {
            return Err(error);
        }
        let has = |id: &RecordId| own.iter().any(|record| record.entry.record_id == *id);
        if let Some(id) = ids.iter().find(|id| !has(id)) {
            return Err(Error::Unknown {
                what: "record",
                id: id.to_string(),
            });
        }
    }
    if own.is_empty() {
        return Err(Error::Usage(
            "there is no record to permit: ask for an upload first".into(),
        ));
    }
    for record in &own {
        let misfit = conditions.check(&Attributes::of(&record.entry.parts)).err();
        if let (Selection::Records(_), Some(misfit)) = (selection, misfit) {
            return Err(Error::Usage(format!(
                "{} does not fit the conditions ({misfit}): leave it out, or change them",
                record.entry.record_id
            )));
        }
    }
    own.retain(|record| conditions.check(&Attributes::of(&record.entry.parts)).is_ok());
    if own.is_empty() {
        return Err(Error::Usage(
            "no record fits the conditions: list the records with their types and dates".into(),
        ));
    }
    // Said before anything is signed.
    if own.len() > MAX_RECORDS {
        return Err(Error::TooManyRecords {
            found: own.len(),
            most: MAX_RECORDS,
        });
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use crypto::DataKey;
    use protocol_spec::{
        hash::ContentRoot,
        ids::{CollectionId, InstitutionId, VersionId},
        index::IndexEntry,
    };

    use super::*;

    fn record(number: u64) -> OwnRecord {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        OwnRecord {
            entry: IndexEntry {
                number,
                record_id: RecordId::from_bytes(id),
                version_id: VersionId::from_bytes(id),
                collection_id: CollectionId::DEFAULT,
                content_root: ContentRoot::from_bytes([3; 32]),
                stream_len: 4,
                received: 5,
                institution_id: InstitutionId::from_bytes([6; 32]),
                permission_id: PermissionId::from_bytes([7; 16]),
                parts: Vec::new(),
            },
            key: DataKey::from_bytes(&[9; 32]),
        }
    }

    /// PRM-4: what does not fit into one permission is said before anything is signed, with what does.
    #[test]
    fn as_many_records_as_a_permission_names_can_be_chosen() {
        let choose = |count: usize| {
            let own = (0..count as u64).map(record).collect();
            chosen((own, Vec::new()), &Selection::All, &Conditions::default())
        };
        assert_eq!(choose(MAX_RECORDS).unwrap().len(), MAX_RECORDS);
        for count in [MAX_RECORDS + 1, 15_083] {
            let error = choose(count).err().unwrap().to_string();
            assert!(
                error.starts_with(&format!("{count} records are too many")),
                "{error}"
            );
            assert!(
                error.contains("at most 4096") && error.contains("--collection NAME"),
                "{error}"
            );
        }
    }
}
