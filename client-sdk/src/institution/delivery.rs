//! A permission key: fetched, verified, opened, compared with its body, presented.

use crypto::{ExpectedPermission, OpenedPermission, permission::Granted};
use protocol_spec::{
    ids::PermissionId,
    messages::{self as pb},
    permission::{Kind, SignedPermission, VerifiedPermission},
};

use super::Institution;
use crate::{
    Error, Result,
    connect::{Patience, Retry},
};

/// A permission that is for this institution, with the challenge to present it over.
pub(super) struct Delivered {
    pub(super) permission: VerifiedPermission,
    challenge: bytes::Bytes,
}

impl Institution {
    /// Fetches a permission and checks who signed it and that it is for these keys and this server.
    pub(super) async fn deliver(&self, id: PermissionId) -> Result<Delivered> {
        let pb::Delivery {
            permission,
            challenge,
            ..
        } = self.session.server.get(&format!("/v1/permissions/{id}")).await?;
        let permission = SignedPermission::try_from(permission)
            .and_then(SignedPermission::verify)
            .map_err(Error::tampered(WHAT))?;
        let mine = permission.permission_id == id
            && permission.institution_id == self.id()
            && permission.operator_id == self.session.server.operator_id()
            && permission.recipient_key_hash == self.keys.recipient.public().digest();
        if !mine {
            return Err(Error::tampered(WHAT)("it is for somebody else"));
        }
        Ok(Delivered {
            permission,
            challenge,
        })
    }

    /// Opens the permission key; what is in it belongs to this very body (PRM-8).
    pub(super) fn open_key<K: Granted>(
        &self,
        permission: &VerifiedPermission,
    ) -> Result<OpenedPermission<K>> {
        let expected = ExpectedPermission {
            body: permission.bytes(),
            id: &permission.permission_id,
            keys: if permission.kind == Kind::Upload {
                1
            } else {
                permission.records.len()
            },
            possession: &permission.possession_key,
        };
        OpenedPermission::open(&self.keys.recipient, permission.wrap(), &expected)
            .map_err(Error::tampered(WHAT))
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
