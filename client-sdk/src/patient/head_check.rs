//! Heads of the vault as the server shows them: signed by a device of hers, over what this device has seen, and
//! logged (VLT-5). See `protocol-spec/spec/vault-head.md` §2.

use protocol_spec::{
    bodies::VaultHead,
    field::ReadsAs,
    hash::Sha256Digest,
    log::{LoggedClaim, VaultSalt},
    patient::PatientVerified,
    vault_head::{Acts, HeadRef},
};

use crate::{
    Contradiction, Error, Result,
    patient::{
        acts::{self, SALT},
        listed,
        vault::{
            Vault,
            acts::{tampered, text},
        },
    },
};

/// What was handed in must stand in the log, as a leaf of this vault.
#[tracing::instrument(level = "debug", name = "verify", skip_all)]
pub(super) async fn check_own_head(
    vault: &Vault,
    logged: impl ReadsAs<LoggedClaim<VaultHead>>,
    salt: &VaultSalt,
    own: &Sha256Digest,
) -> Result<()> {
    let logged = logged_head(vault, logged, salt).await?;
    if logged.hash() == *own {
        Ok(())
    } else {
        Err(tampered("the server answers with another one"))
    }
}

/// Whether the newest head is hers, in the log, and over these acts (VLT-3).
pub(super) async fn check_head(
    vault: &Vault,
    acts: &Acts,
    logged: impl ReadsAs<LoggedClaim<VaultHead>>,
    seen: Option<HeadRef>,
) -> Result<PatientVerified<VaultHead>> {
    let salt = acts::log_salt(vault).await?;
    let head = logged_head(vault, logged, &salt).await?;
    if let Err(rule) = acts.check_newest(&head, &head.hash()) {
        let shown = format!("{} ({rule})", text(head.sequence, &head.hash()));
        return Err(match seen {
            Some(seen) if head.sequence < seen.sequence => {
                acts::older(vault, acts.count(), Some(seen), shown)
            }
            seen => Error::Contradicted(Contradiction::OtherVault {
                seen: seen.map_or_else(
                    || "no head yet".to_owned(),
                    |seen| text(seen.sequence, &seen.hash),
                ),
                shown,
            }),
        });
    }
    // A device that was removed signs nothing over what came after.
    let known = listed::known_device(vault, head.device()).await?;
    let list = acts.last_list(head.acts).and_then(|last| known.list(last));
    let signer = head.device().id();
    if list.is_none_or(|list| list.claimed().device(signer).is_none()) {
        return Err(tampered("a device has signed it that was not one of hers then"));
    }
    // Only now is it known to be the vault's.
    vault.session.home.write_soon(SALT, salt.as_bytes())?;
    Ok(head)
}

/// A head of hers as the log has it, with the salt and tag that the vault's leaves have.
async fn logged_head(
    vault: &Vault,
    logged: impl ReadsAs<LoggedClaim<VaultHead>>,
    salt: &VaultSalt,
) -> Result<PatientVerified<VaultHead>> {
    let claim = logged.try_into().map_err(tampered)?;
    let mark = claim.proof.clone().unwrap_or_default();
    let logged = claim.verify(vault.session.server.operator()).map_err(tampered)?;
    vault.session.log.accept(&logged.checkpoint).await?;
    let head = logged.statement;
    if head.patient_id != vault.id() || head.operator_id != vault.session.server.operator_id() {
        return Err(tampered("it is of another vault"));
    }
    let own = salt.mark(&head.hash());
    if head.log_salt_hash != salt.hash() || mark.salt != own.salt[..] || mark.tag != own.tag[..] {
        return Err(tampered("it is logged under another salt than the vault's"));
    }
    Ok(head)
}
