//! What a patient lets others do in her vault, and what others let her
//! do in theirs. See `protocol-spec/spec/delegates.md`.
//!
//! | module | does |
//! |---|---|
//! | `giving` | sign a delegation, give its keys |
//! | `ending` | end one; take the keys of what is over out of use |
//! | `offers` | what others offer her: accept, refuse |
//! | `acting` | read, permit and deny for another patient |
//! | `given_keys` | the keys of her collections that come with that |

pub(in crate::patient) mod acting;
pub(in crate::patient) mod ending;
mod given_keys;
pub(in crate::patient) mod giving;
pub(in crate::patient) mod named;
pub(in crate::patient) mod offers;

use crypto::Collection;
use protocol_spec::{
    api,
    bodies::{Delegation, DelegationEnd},
    defence::Defence,
    delegation::{Power, VerifiedDelegation},
    field::ReadsAs,
    ids::{CollectionId, DelegationId},
    messages as pb,
    patient::{Device, PatientSigned, PatientVerified},
    vault_head::Acts,
};

use crate::{
    Error, Result,
    clock::Moment,
    patient::{
        catching_up,
        known::readable,
        listed,
        vault::{Vault, acts::hidden},
    },
};

pub use self::{
    acting::Delegate, ending::EndedDelegation, giving::DelegationTerms, named::DelegateRef,
    offers::HeldDelegation,
};
/// Whether a delegate may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DelegationState {
    /// The delegate may act now.
    Live,
    /// Her time has not come.
    NotYet,
    /// The time of the delegation is over.
    Expired,
    /// The owner has ended it.
    Ended,
    /// She has not accepted it yet, as the server says.
    Offered,
    /// She has refused it, or given it up, as the server says.
    Refused,
}

/// A delegation that a patient has given.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DelegationInfo {
    /// Who was let act, by the owner's name for her.
    #[serde(flatten)]
    pub delegate: DelegateRef,
    /// What the delegate may do.
    pub power: Power,
    /// With what lies in these.
    pub collections: Vec<CollectionId>,
    /// From when on, in milliseconds since 1970.
    #[serde(rename = "begins", serialize_with = "crate::text::moment")]
    pub not_before: u64,
    /// Until when, in milliseconds since 1970.
    #[serde(rename = "ends", serialize_with = "crate::text::moment")]
    pub not_after: u64,
    /// Whether the delegate may act now.
    pub state: DelegationState,
}

/// A delegation of hers, verified, and what the server says of it.
pub(super) struct OwnDelegation {
    pub(super) delegation: VerifiedDelegation,
    pub(super) end: Option<PatientVerified<DelegationEnd>>,
    /// Epochs whose keys the delegate was given.
    given: Vec<Collection>,
    /// What the delegate has said to it, as the server says: for lists alone.
    answer: DelegateAnswer,
}

/// What a delegate has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DelegateAnswer {
    None,
    Accepted,
    Refused,
}

impl OwnDelegation {
    pub(super) fn state(&self, now: Moment) -> DelegationState {
        match (state(&self.delegation, self.end.is_some(), now), self.answer) {
            (DelegationState::Live | DelegationState::NotYet, DelegateAnswer::None) => {
                DelegationState::Offered
            }
            (DelegationState::Live | DelegationState::NotYet, DelegateAnswer::Refused) => {
                DelegationState::Refused
            }
            (state, _) => state,
        }
    }
}

fn state(delegation: &Delegation, ended: bool, now: Moment) -> DelegationState {
    if ended {
        DelegationState::Ended
    } else if now.may_be_over(delegation.not_after) {
        DelegationState::Expired
    } else if !now.has_begun(delegation.not_before) {
        DelegationState::NotYet
    } else {
        DelegationState::Live
    }
}

pub(super) async fn delegations(vault: &Vault) -> Result<Vec<DelegationInfo>> {
    let own = own_delegations(vault).await?;
    own.iter().map(|own| delegation_info(vault, own)).collect()
}

pub(super) fn delegation_info(vault: &Vault, own: &OwnDelegation) -> Result<DelegationInfo> {
    let delegation = &own.delegation;
    Ok(DelegationInfo {
        delegate: delegate_ref(vault, delegation)?,
        power: delegation.power,
        collections: delegation.collections.ids().to_vec(),
        not_before: delegation.not_before,
        not_after: delegation.not_after,
        state: own.state(vault.session.clock.now()),
    })
}

/// A delegate of hers, by the name that she gave her. A name that does not open is shown by the beginning
/// of the delegation's id: whoever has sealed it must not keep the delegation from being ended (DEV-25).
pub(super) fn delegate_ref(vault: &Vault, delegation: &VerifiedDelegation) -> Result<DelegateRef> {
    let (known, id) = (vault.keys.known(), delegation.delegation_id);
    let sealed = delegation.sealed_name.as_bytes();
    let name = match known.root_of(delegation.root_epoch) {
        Some(root) => root
            .open_delegate_name(sealed, &vault.id(), &id)
            .map_err(tampered),
        None => Err(tampered("its name is under a root key that is not hers")),
    };
    Ok(DelegateRef {
        delegation: id,
        id: delegation.delegate_id,
        name: readable(name, &id)?.as_str().to_owned(),
    })
}

pub(super) async fn own_delegations(vault: &Vault) -> Result<Vec<OwnDelegation>> {
    let before = catching_up::known_acts(vault).await?.acts().clone();
    let mut own = Vec::new();
    let mut pages = vault.session.server.pages(api::GIVEN_DELEGATIONS.here());
    while let Some(page) = pages.next().await? {
        for entry in page.delegations {
            own.push(own_delegation(vault, entry).await?);
        }
    }
    check_delegations(&before, &own)?;
    Ok(own)
}

pub(super) async fn find_delegation(vault: &Vault, id: DelegationId) -> Result<OwnDelegation> {
    let all = own_delegations(vault).await?;
    let found = all.into_iter().find(|own| own.delegation.delegation_id == id);
    found.ok_or_else(|| Error::Unknown {
        what: "delegation",
        id: id.to_string(),
    })
}

/// Checks that a delegation and its end were signed by devices of hers, for this server.
async fn own_delegation(vault: &Vault, entry: pb::DelegationEntry) -> Result<OwnDelegation> {
    let delegation = own_delegation_statement(vault, entry.delegation).await?;
    let end = match entry.end {
        None => None,
        Some(end) => Some(own_delegation_end(vault, end, &delegation).await?),
    };
    let mut given = Vec::with_capacity(entry.given.len());
    for epoch in entry.given {
        given.push(Collection {
            id: CollectionId::try_from(epoch.collection_id.as_ref())?,
            epoch: epoch.epoch,
        });
    }
    Ok(OwnDelegation {
        delegation,
        end,
        given,
        answer: match (entry.accepted, entry.refused) {
            (_, true) => DelegateAnswer::Refused,
            (true, false) => DelegateAnswer::Accepted,
            (false, false) => DelegateAnswer::None,
        },
    })
}

pub(super) async fn own_delegation_statement(
    vault: &Vault,
    statement: impl ReadsAs<PatientSigned<Delegation>>,
) -> Result<VerifiedDelegation> {
    let delegation = verify_delegation(statement)?;
    let hers =
        delegation.patient_id == vault.id() && delegation.operator_id == vault.session.server.operator_id();
    if !hers {
        return Err(tampered("it is somebody else's"));
    }
    listed::known_device(vault, delegation.device()).await?;
    // Its name may be under a root key that another device has made since.
    listed::known_epoch(vault, delegation.root_epoch).await?;
    Ok(delegation)
}

pub(super) async fn own_delegation_end(
    vault: &Vault,
    statement: impl ReadsAs<PatientSigned<DelegationEnd>>,
    of: &VerifiedDelegation,
) -> Result<PatientVerified<DelegationEnd>> {
    let end = statement
        .try_into()
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    listed::known_device(vault, end.device()).await?;
    if end.is_of(of) {
        Ok(end)
    } else {
        Err(tampered("it is the end of another one"))
    }
}

/// Whether a statement in her name was signed by a device of hers, or through a delegation that
/// one has signed (DEV-8, DLG-7).
pub(super) async fn known_signer(
    vault: &Vault,
    device: &Device,
    delegation: Option<&VerifiedDelegation>,
) -> Result<()> {
    let own = delegation.map_or(device, VerifiedDelegation::device);
    listed::known_device(vault, own).await.map(drop)
}

fn verify_delegation(statement: impl ReadsAs<PatientSigned<Delegation>>) -> Result<VerifiedDelegation> {
    statement
        .try_into()
        .and_then(VerifiedDelegation::verify)
        .map_err(tampered)
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("a delegation")(cause)
}

/// Whether all delegations are shown, and those ended that are (VLT-5).
pub(super) fn check_delegations(before: &Acts, shown: &[OwnDelegation]) -> Result<()> {
    if Defence::VaultHeads.is_off() {
        return Ok(());
    }
    for (id, (hash, ended)) in before.delegations() {
        let own = shown.iter().find(|own| own.delegation.delegation_id == id);
        if own.is_none_or(|own| own.delegation.hash() != hash || (ended && own.end.is_none())) {
            return Err(hidden(format!(
                "{id} is shown otherwise than it was given or ended"
            )));
        }
    }
    Ok(())
}
