//! A permission key: fetched, verified, opened, compared with its body, presented.

use crypto::{ExpectedPermission, OpenedPermission, RecipientSecret, permission::Granted};
use protocol_spec::{
    ids::{InstitutionId, PermissionId},
    keys::RecipientKey,
    messages::{self as pb, stored_request::Request},
    permission::{Kind, SignedPermission, VerifiedPermission},
};

use super::Institution;
use crate::{
    Error, Result,
    asked::Asked,
    connect::{Patience, Retry},
    keystore::{KeyStore, KeyStoreError, StoredRecipient},
    session::Session,
};

/// A permission that is for this institution, with the challenge to present it over.
pub(crate) struct Delivered {
    pub(crate) permission: VerifiedPermission,
    /// What it answers, as the server says.
    pub(crate) request: Option<pb::StoredRequest>,
    challenge: bytes::Bytes,
}

impl Delivered {
    /// Of an emergency, which answers no request; verified, with the challenge to present it over.
    pub(super) fn new(permission: VerifiedPermission, challenge: bytes::Bytes) -> Self {
        Self {
            permission,
            request: None,
            challenge,
        }
    }
}

impl Session {
    /// Fetches a permission and checks who signed it, that it is for these keys and this server, and that it is
    /// the one that was met under its id before.
    pub(crate) async fn delivered(
        &self,
        id: PermissionId,
        to: InstitutionId,
        keys: &dyn KeyStore,
    ) -> Result<Delivered> {
        let pb::Delivery {
            permission,
            request,
            challenge,
            ..
        } = self.server.get(&format!("/v1/permissions/{id}")).await?;
        let permission = SignedPermission::try_from(permission)
            .and_then(SignedPermission::verify)
            .map_err(Error::tampered(WHAT))?;
        // An emergency's is for whoever has both halves of its key; this side then opens it, or does not.
        let emergency = permission.kind == Kind::Emergency;
        let mine = permission.permission_id == id
            && (emergency || permission.institution_id == to)
            && permission.operator_id == self.server.operator_id();
        if !mine {
            return Err(Error::tampered(WHAT)("it is for somebody else"));
        }
        let held = |key: &RecipientKey| permission.recipient_key_hash == key.digest();
        if !emergency && !keys.recipient_keys().iter().any(held) {
            return Err(KeyStoreError::NoSuchKey.into());
        }
        self.met_permission(id, permission.patient_id, &permission.request_hash)?;
        if let Some(head) = &permission.vault_head {
            self.met_head(permission.patient_id, head)?;
        }
        Ok(Delivered {
            permission,
            request,
            challenge,
        })
    }

    /// What a permission of kind download or reference answers, which comes with it.
    pub(crate) async fn answered(&self, delivered: &mut Delivered) -> Result<Asked> {
        let asked = match delivered.request.take().and_then(|stored| stored.request) {
            Some(Request::Download(statement)) => self.asked_download(statement).await?,
            Some(Request::Reference(statement)) => self.asked_reference(statement).await?,
            Some(Request::Upload(_)) | None => return Err(Error::tampered(WHAT)("it answers nothing")),
        };
        if asked.answered_by(&delivered.permission) {
            Ok(asked)
        } else {
            Err(Error::tampered(WHAT)("it answers another request"))
        }
    }
}

impl Institution {
    pub(super) async fn deliver(&self, id: PermissionId) -> Result<Delivered> {
        self.keep_up().await?;
        self.session.delivered(id, self.id(), &*self.keys.store).await
    }

    /// Opens the permission key, of an emergency with the key that follows from both halves; what is in it belongs to
    /// this very body (PRM-8).
    pub(super) fn open_key<K: Granted>(
        &self,
        permission: &VerifiedPermission,
        emergency: Option<&RecipientSecret>,
    ) -> Result<OpenedPermission<K>> {
        let expected = ExpectedPermission {
            body: permission.bytes(),
            id: &permission.permission_id,
            keys: permission.records.len().max(1),
            conditions: permission.conditions.is_some(),
            possession: &permission.possession_key,
        };
        if let Some(both) = emergency {
            return OpenedPermission::open(both, permission.wrap(), &expected).map_err(Error::tampered(WHAT));
        }
        let recipient = StoredRecipient {
            store: &*self.keys.store,
            key: permission.recipient_key_hash,
        };
        OpenedPermission::open(&recipient, permission.wrap(), &expected).map_err(KeyStoreError::opening(WHAT))
    }

    /// Presents the key. Each attempt needs a challenge of its own; under one idempotency key all of them
    /// together spend one use.
    pub(super) async fn present<K: Granted>(
        &self,
        mut delivered: Delivered,
        opened: &OpenedPermission<K>,
        message: &pb::Presentation,
        idempotency_key: &str,
    ) -> Result<pb::presentation_answer::Answer> {
        let id = delivered.permission.permission_id;
        let mut done = 0;
        loop {
            let server = &self.session.server;
            let answer = server
                .present(
                    &id,
                    &opened.possession,
                    &delivered.challenge,
                    message,
                    idempotency_key,
                )
                .await;
            let Retry { error, useful } = match answer {
                Ok(answer) => {
                    return answer
                        .answer
                        .ok_or_else(|| Error::tampered("the ticket")("it is empty"));
                }
                Err(retry) => retry,
            };
            done += 1;
            if !useful || !Patience::LONG.pause(done).await {
                return Err(error);
            }
            delivered = self.deliver(id).await?;
        }
    }
}

const WHAT: &str = "the permission";
