//! Guardians: another patient each, who holds the first half of a key of her own and can begin to help; the patient
//! then has the time that she has written down to object.

use std::time::Duration;

use crypto::{CardHalf, HalfContext, HalfReader};
use protocol_spec::{
    api,
    bodies::{EmergencyHelp, EmergencyObjection},
    emergency::{EmergencyTerms, GuardianTerms, MAX_WAIT, MIN_WAIT},
    field::SealedBytes,
    ids::{InstitutionId, PatientId, PermissionId, RequestId},
    keys::IdentityKey,
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    permission::{Kind, SignedPermission, VerifiedPermission},
    submitted,
};

use crate::{
    DirectoryEntry, Error, Progress, Result,
    error::Addressee,
    ground::millis,
    patient::{
        certificate::RevocationReport,
        emergency::{self, EmergencyLimits, Guarded, tampered},
        listed, permissions, revoking,
        standing::{OwnPermission, PermissionState},
        vault::Vault,
    },
};

/// A guardian whom she has named.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GuardianInfo {
    /// The patient who is the guardian.
    pub guardian: PatientId,
    /// The permission that she helps with.
    pub permission_id: PermissionId,
    /// How long she can object.
    #[serde(rename = "wait_seconds", serialize_with = "crate::text::seconds")]
    pub wait: Duration,
    /// When it ends, in milliseconds since 1970.
    #[serde(rename = "expires", serialize_with = "crate::text::moment")]
    pub not_after: u64,
    /// The help that has begun last.
    #[serde(flatten)]
    pub help: Option<HelpInfo>,
    /// Whether she has objected: this guardian can not help any more.
    pub objected: bool,
    /// The guardian has accepted, as the server says: before that she can not help.
    pub accepted: bool,
    /// The guardian has refused, as the server says.
    pub refused: bool,
}

/// A help that has begun.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HelpInfo {
    /// The help's id, by which the patient objects.
    pub help_id: RequestId,
    /// The institution that the help lets open.
    #[serde(rename = "institution_id")]
    pub institution: InstitutionId,
    /// When the waiting time is over, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub opens: u64,
}

/// What an emergency collection was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenedBy {
    /// The half on her card.
    Card,
    /// The half that this guardian has.
    Guardian(PatientId),
    /// A half that opens nothing any more.
    Ended,
}

pub(in crate::patient) async fn add_guardian(
    vault: &Vault,
    guardian: PatientId,
    wait: Duration,
    limits: &EmergencyLimits,
) -> Result<PermissionId> {
    if guardian == vault.id() {
        return Err(Error::Usage(
            "you cannot be your own guardian: name somebody else".into(),
        ));
    }
    let wait = millis(wait);
    if !(MIN_WAIT..=MAX_WAIT).contains(&wait) {
        return Err(Error::Usage(
            "the waiting time is from 1 second to 30 days".into(),
        ));
    }
    let half = CardHalf::generate(vault.session.system())?;
    let key = vault.session.patients.vault_key(guardian).await?;
    let context = HalfContext {
        patient: vault.id(),
        card_key: half.key(&vault.id())?.public(),
        reader: HalfReader::Guardian(guardian),
    };
    let guarded = Guarded {
        terms: GuardianTerms {
            guardian_id: guardian,
            wait,
        },
        half: half.seal(vault.session.system(), &key.vault_key, &context)?,
        root_epoch: key.root_epoch,
    };
    emergency::put_emergency(vault, &half, Some(guarded), limits).await
}

pub(in crate::patient) async fn remove_guardian(
    vault: &Vault,
    guardian: PatientId,
    progress: &dyn Progress,
) -> Result<RevocationReport> {
    let found = emergency_permissions(vault, Some(guardian)).await?;
    let (id, _) = found.into_iter().next().ok_or_else(|| Error::Unknown {
        what: "guardian",
        id: guardian.to_string(),
    })?;
    revoking::revoke(vault, id, progress).await
}

pub(in crate::patient) async fn guardians(vault: &Vault) -> Result<Vec<GuardianInfo>> {
    let shown = emergency::emergency_list(vault).await?;
    let mut infos = Vec::new();
    for OwnPermission {
        permission, state, ..
    } in emergency_own(vault).await?
    {
        let Some(terms) = permission.emergency.and_then(|terms| terms.guardian) else {
            continue;
        };
        if state != PermissionState::Live {
            continue;
        }
        let id = permission.permission_id;
        let shown = shown
            .iter()
            .find(|shown| shown.permission_id == id.as_bytes()[..]);
        let shown = shown.ok_or_else(|| tampered("the server leaves out a guardian"))?;
        let help = match shown.help.clone() {
            Some(message) => Some(help_info(message, &permission)?),
            None => None,
        };
        infos.push(GuardianInfo {
            guardian: terms.guardian_id,
            permission_id: id,
            wait: Duration::from_millis(terms.wait),
            not_after: permission.not_after,
            help,
            objected: shown.objected,
            accepted: shown.accepted,
            refused: shown.refused,
        });
    }
    infos.sort_by_key(|info| info.guardian);
    Ok(infos)
}

pub(in crate::patient) async fn object(vault: &Vault, help: RequestId) -> Result<()> {
    let objection = EmergencyObjection {
        created: vault.session.system().now_ms(),
        operator_id: vault.session.server.operator_id(),
        help_id: help,
        patient_id: vault.id(),
    };
    let objection = vault.keys.statement(objection);
    let message = submitted::SubmitObjection { objection };
    vault.post(api::SUBMIT_OBJECTION.here(), &message).await?;
    Ok(())
}

pub(in crate::patient) async fn accept_guardianship(vault: &Vault, patient: PatientId) -> Result<()> {
    guarded_half(vault, patient).await?;
    let message = submitted::AcceptGuardianship { patient_id: patient };
    vault.post(api::ACCEPT_GUARDIANSHIP.here(), &message).await?;
    Ok(())
}

pub(in crate::patient) async fn help(
    vault: &Vault,
    patient: PatientId,
    to: &DirectoryEntry,
) -> Result<HelpInfo> {
    let to = &vault.session.mirror.as_of_now(to.id()).await?;
    to.check_emergency().map_err(|problem| Error::Refused {
        problem,
        detail: Some("nothing was sent".into()),
        reader: Addressee::Patient,
    })?;
    let (half, terms) = guarded_half(vault, patient).await?;
    let help_id = vault.session.system().id(RequestId::mint)?;
    let context = HalfContext {
        patient,
        card_key: terms.card_key,
        reader: HalfReader::Institution(to.id(), help_id),
    };
    let help = EmergencyHelp {
        created: vault.session.system().now_ms(),
        operator_id: vault.session.server.operator_id(),
        help_id,
        patient_id: patient,
        guardian_id: vault.id(),
        institution_id: to.id(),
        card_key: terms.card_key,
        half: half.seal(vault.session.system(), to.recipient_key(), &context)?,
    };
    let help = vault.keys.statement(help);
    let message = submitted::StartHelp { help };
    let started = vault.post(api::START_HELP.here(), &message).await?;
    Ok(HelpInfo {
        help_id,
        institution: to.id(),
        opens: started.opens,
    })
}

/// The half that another patient has given her, by a permission that names her.
async fn guarded_half(vault: &Vault, patient: PatientId) -> Result<(CardHalf, EmergencyTerms)> {
    let info = vault.get(api::EMERGENCY_INFO.at([&patient])).await?;
    let permission = info.permission.ok_or_else(|| Error::Unknown {
        what: "patient whose guardian you are",
        id: patient.to_string(),
    })?;
    let permission = SignedPermission::try_from(permission)
        .and_then(SignedPermission::verify)
        .map_err(tampered)?;
    let terms = guardian_terms(&permission, patient, vault.id())?;
    let sealed = SealedBytes::try_from(info.guardian_half).map_err(tampered)?;
    let epoch = info.guardian_root_epoch;
    let known = listed::known_epoch(vault, epoch).await?;
    let key = known.vault_key(epoch);
    let key = key.ok_or_else(|| tampered(known.no_vault_key(epoch)))?;
    let context = HalfContext {
        patient,
        card_key: terms.card_key,
        reader: HalfReader::Guardian(vault.id()),
    };
    Ok((CardHalf::open(key, &sealed, &context).map_err(tampered)?, terms))
}

/// Emergency permissions that are not revoked or replaced: the card's, or a guardian's.
pub(in crate::patient) async fn emergency_permissions(
    vault: &Vault,
    of: Option<PatientId>,
) -> Result<Vec<(PermissionId, VerifiedPermission)>> {
    let mut found = Vec::new();
    for OwnPermission {
        permission, state, ..
    } in emergency_own(vault).await?
    {
        let guardian = permission.emergency.and_then(|terms| terms.guardian);
        let ended = matches!(state, PermissionState::Revoked | PermissionState::Replaced);
        if !ended && guardian.map(|terms| terms.guardian_id) == of {
            found.push((permission.permission_id, permission));
        }
    }
    Ok(found)
}

/// Whose half has this card key, among the emergency permissions that hold: the card's, or a guardian's.
pub(crate) async fn opened_by(vault: &Vault, card_key: &IdentityKey) -> Result<OpenedBy> {
    for OwnPermission {
        permission, state, ..
    } in emergency_own(vault).await?
    {
        let terms = permission.emergency.filter(|terms| terms.card_key == *card_key);
        if let (Some(terms), PermissionState::Live) = (terms, state) {
            let guardian = terms.guardian.map(|named| named.guardian_id);
            return Ok(guardian.map_or(OpenedBy::Card, OpenedBy::Guardian));
        }
    }
    Ok(OpenedBy::Ended)
}

async fn emergency_own(vault: &Vault) -> Result<Vec<OwnPermission>> {
    let mut own = permissions::own_permissions(vault).await?;
    own.retain(|own| own.permission.kind == Kind::Emergency);
    Ok(own)
}

/// The terms of a permission of this patient's that names this guardian.
pub(crate) fn guardian_terms(
    permission: &VerifiedPermission,
    patient: PatientId,
    guardian: PatientId,
) -> Result<EmergencyTerms> {
    let terms = permission.emergency.filter(|_| permission.patient_id == patient);
    let names = |terms: &EmergencyTerms| terms.guardian.is_some_and(|named| named.guardian_id == guardian);
    terms
        .filter(names)
        .ok_or_else(|| tampered("it is for somebody else"))
}

fn help_info(message: pb::EmergencyHelp, permission: &VerifiedPermission) -> Result<HelpInfo> {
    let help: PatientVerified<EmergencyHelp> = PatientSigned::<EmergencyHelp>::try_from(message.help)
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    let terms = guardian_terms(permission, help.patient_id, help.guardian_id)?;
    if terms.card_key != help.card_key {
        return Err(tampered("it is another guardian's help"));
    }
    Ok(HelpInfo {
        help_id: help.help_id,
        institution: help.institution_id,
        opens: message.opens,
    })
}
