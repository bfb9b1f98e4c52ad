//! The case of one permission, put together from the history: checked as a stranger would check it, then handed out. The
//! rules are in `protocol-spec/spec/case.md`.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::{DownloadRequest, ReferenceRequest, ReleaseReceipt, Revocation, UploadReceipt, UploadRequest},
    case::VerifiedCase,
    ids::{InstitutionId, PermissionId},
    link::ServerLink,
    messages::{self as pb, history_entry::What},
    patient::PatientSigned,
    permission::{Kind, SignedPermission, VerifiedPermission},
    statement::{Body, Signed},
};

use crate::{
    Error, Result,
    patient::{certificate, listed, paged, permissions, revoking, standing::OwnPermission, vault::Vault},
};

/// Checks a case with nothing but the link of the server that it is about. [`Error::Tampered`] says what does not fit, and where.
pub fn verify_case(file: &[u8], link: &ServerLink) -> Result<VerifiedCase> {
    let bundle: pb::CaseBundle = protocol_spec::messages::decode(file).map_err(tampered)?;
    VerifiedCase::verify(bundle, link).map_err(tampered)
}

pub(super) async fn export_case(vault: &Vault, permission: PermissionId) -> Result<Vec<u8>> {
    let own = permission_of_case(vault, permission).await?;
    let permission = &own.permission;
    let entries = entries_of(vault, permission).await?;
    let mut institutions = Vec::new();
    for id in named(&entries, permission)? {
        institutions.extend(vault.session.mirror.raw_chain(id).await?);
    }
    let revoked = entries
        .iter()
        .any(|entry| matches!(entry.what, Some(What::Revoked(_))));
    let revocation_receipt = match revoked {
        // The same permission again is answered with the first revocation's receipt (REV-2).
        true => revoking::submit_revocation(vault, &own).await?.receipt,
        false => None,
    };
    let server = &vault.session.server;
    let certificate = server.certificate();
    let bundle = pb::CaseBundle {
        revocation_receipt,
        released: released(vault, &entries).await?,
        entries,
        institutions,
        device_lists: device_lists(vault).await?,
        operator_key: Bytes::copy_from_slice(server.operator().as_bytes()),
        registrar_key: Bytes::copy_from_slice(server.registrar().as_bytes()),
        server_certificate: certificate
            .map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(digest.as_bytes())),
    };
    let file = bundle.encode_to_vec();
    // What a stranger would find wrong, she finds first.
    verify_case(&file, server.link())?;
    Ok(file)
}

/// A permission of hers, unless it is for emergencies: under that several institutions may act, and no case is of one.
async fn permission_of_case(vault: &Vault, id: PermissionId) -> Result<OwnPermission> {
    let all = permissions::own_permissions(vault).await?;
    let own = all.into_iter().find(|own| own.permission.permission_id == id);
    let own = own.ok_or_else(|| Error::Unknown {
        what: "permission",
        id: id.to_string(),
    })?;
    if own.permission.kind == Kind::Emergency {
        return Err(Error::Usage(
            "what happens under an emergency permission is checked by `history --verify`".into(),
        ));
    }
    Ok(own)
}

/// What was handed out by each release among these entries.
async fn released(vault: &Vault, entries: &[pb::HistoryEntry]) -> Result<Vec<pb::ReleasedBy>> {
    let mut released = Vec::new();
    for entry in entries {
        if let Some(What::Released(receipt)) = &entry.what {
            let receipt = claimed::<ReleaseReceipt>(receipt)?;
            released.push(pb::ReleasedBy {
                release_id: Bytes::copy_from_slice(receipt.release_id.as_bytes()),
                versions: certificate::released_ranges(vault, receipt.release_id).await?,
            });
        }
    }
    Ok(released)
}

/// The entries of her history that concern a permission, as the server shows them.
async fn entries_of(vault: &Vault, permission: &VerifiedPermission) -> Result<Vec<pb::HistoryEntry>> {
    let (mut entries, mut pages) = (Vec::new(), paged::history_pages(vault));
    while let Some(page) = pages.next().await? {
        for entry in page.entries {
            if let Some(what) = &entry.what
                && concerns(what, permission)?
            {
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

/// All lists of her devices, each verified by this device.
async fn device_lists(vault: &Vault) -> Result<Vec<pb::Statement>> {
    let known = listed::refresh_devices(vault).await?;
    let lists = (0..).map_while(|sequence| known.list(sequence));
    Ok(lists.map(|list| list.to_message()).collect())
}

/// Whether an entry is of the case.
fn concerns(what: &What, permission: &VerifiedPermission) -> Result<bool> {
    let asked = permission.request_hash;
    let id = permission.permission_id;
    Ok(match what {
        What::UploadRequested(statement) => {
            PatientSigned::<UploadRequest>::try_from(statement.clone())?.hash() == asked
        }
        What::DownloadRequested(statement) => {
            Signed::<DownloadRequest>::try_from(statement.clone())?.hash() == asked
        }
        What::ReferenceRequested(statement) => {
            Signed::<ReferenceRequest>::try_from(statement.clone())?.hash() == asked
        }
        What::Permitted(message) => {
            let permission = SignedPermission::try_from(Some(message.clone()))?;
            permission.claimed().permission_id == id
        }
        What::Revoked(statement) => {
            let revocation = PatientSigned::<Revocation>::try_from(statement.clone())?;
            revocation.claimed().permission_id == id
        }
        What::Presented(presented) => presented.permission_id == id.as_bytes()[..],
        What::Stored(receipt) => {
            let receipt = claimed::<UploadReceipt>(receipt)?;
            // What her own device sealed anew was not moved under it.
            receipt.permission_id == id && receipt.replaces.is_none()
        }
        What::Released(receipt) => claimed::<ReleaseReceipt>(receipt)?.permission_id == id,
        _ => false,
    })
}

/// The institutions that the entries rest upon.
fn named(entries: &[pb::HistoryEntry], permission: &VerifiedPermission) -> Result<BTreeSet<InstitutionId>> {
    let mut named = BTreeSet::from([permission.institution_id]);
    for entry in entries {
        if let Some(What::ReferenceRequested(statement)) = &entry.what {
            let request = Signed::<ReferenceRequest>::try_from(statement.clone())?;
            named.insert(request.claimed().institution_id);
        }
    }
    Ok(named)
}

fn claimed<T: Body + Clone>(receipt: &pb::Receipt) -> Result<T> {
    Ok(Signed::<T>::try_from(receipt.statement.clone())?
        .claimed()
        .clone())
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the case")(cause)
}
