//! The messages about requests and permissions: asking, permitting, denying, noting, and revoking.

use super::{KeyWrap, fits, submitted};
use crate::{
    Error,
    bodies::{Denial, DownloadRequest, Note, ReferenceRequest, Revocation, UploadRequest, VaultHead},
    messages as pb,
    patient::PatientSigned,
    permission::{Kind, SignedPermission},
    statement::Signed,
};

submitted! {
    /// The patient asks an institution to upload, and permits it.
    SubmitUploadRequest {
        request: PatientSigned<UploadRequest>,
        permission: SignedPermission,
        upload_key_wrap: KeyWrap,
        upload_key_epoch: u64,
    }
    /// An institution asks a patient for records.
    SubmitDownloadRequest {
        request: Signed<DownloadRequest>,
    }
    /// An institution asks a patient to let a second institution have records.
    SubmitReferenceRequest {
        request: Signed<ReferenceRequest>,
    } => names_another
    /// A permission that answers a request or takes the place of another one; an upload key comes only with one in the place
    /// of an upload permission. Emergency permissions come with their halves ([`super::PutEmergency`]).
    SubmitPermission {
        permission: SignedPermission,
        upload_key_wrap: Option<KeyWrap>,
        upload_key_epoch: u64,
        head: Option<PatientSigned<VaultHead>>,
    } => wraps_an_upload_key
    /// The patient denies what an institution has asked for.
    SubmitDenial {
        denial: PatientSigned<Denial>,
    }
    /// The patient tells an institution something about a permission that it has of her (NOTE-2).
    SubmitNote {
        note: PatientSigned<Note>,
    }
    /// The patient takes a permission back.
    SubmitRevocation {
        revocation: PatientSigned<Revocation>,
    }
}

/// As it answers a request.
impl From<SignedPermission> for SubmitPermission {
    fn from(permission: SignedPermission) -> Self {
        Self {
            permission,
            upload_key_wrap: None,
            upload_key_epoch: 0,
            head: None,
        }
    }
}

fn names_another(message: &SubmitReferenceRequest) -> Result<(), Error> {
    let request = message.request.claimed();
    fits(
        request.second_institution_id != request.institution_id,
        "second_institution_id",
    )
}

fn wraps_an_upload_key(message: &SubmitPermission) -> Result<(), Error> {
    let permission = message.permission.claimed();
    fits(permission.kind != Kind::Emergency, "kind")?;
    let wanted = permission.kind == Kind::Upload && permission.replaces.is_some();
    fits(message.upload_key_wrap.is_some() == wanted, "upload_key_wrap")
}
