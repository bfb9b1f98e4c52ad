//! Delegates in a history: what they read, and that a delegation has ended. See `protocol-spec/spec/delegates.md` §4.

use prost::Message;
use protocol_spec::{
    bodies::DelegationEnd,
    defence::Defence,
    delegation::VerifiedDelegation,
    hash::Sha256Digest,
    ids::VersionId,
    keys::IdentityKey,
    messages as pb,
    patient::{DeviceChain, PatientSigned},
};

use crate::{
    Result,
    patient::{
        delegation,
        history::{
            Met, ensure,
            item::{HistoryItem, HistoryKind},
            signed, signed_text, tampered,
        },
        vault::Vault,
    },
};

/// A request that a delegate's device has signed, for a record that was stored (DLG-11).
pub(super) fn delegate_read(
    vault: &Vault,
    read: pb::DelegateRead,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let hash = Sha256Digest::try_from(read.delegation_hash.as_ref())?;
    let version = VersionId::try_from(read.version_id.as_ref())?;
    let known = met.delegations.get(&hash).map(|(delegation, _)| delegation);
    let delegation = known.ok_or_else(|| tampered("its delegation does not come before it"))?;
    let device = DeviceChain::try_from(read.device)
        .and_then(|chain| chain.verify(delegation.delegate_id))
        .map_err(tampered)?;
    let item = signed::signed_by(vault, (&device, Some(delegation)), met, blank)?;
    let evidence = read.evidence.unwrap_or_default();
    Defence::DelegateReads.check(asked_to_read(&evidence, device.key(), delegation, version))?;
    let request = Sha256Digest::of(&evidence.encode_to_vec());
    let first = met.trail.read_by_delegates.insert(request);
    ensure(
        Defence::DelegateReads.holds(first),
        "her request stands before it already",
    )?;
    let record = met.trail.stored.get(&version);
    let record = record.ok_or_else(|| tampered("the record that she read was never stored"))?;
    let item = HistoryItem {
        kind: HistoryKind::DelegateRead,
        record_id: Some(*record),
        ..item
    };
    met.trail.counts.statements += 1;
    Ok(item)
}

pub(super) async fn delegation_ended(
    vault: &Vault,
    statement: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let end = PatientSigned::<DelegationEnd>::try_from(statement.clone()).map_err(tampered)?;
    let known = met.delegations.get(&end.claimed().delegation_hash);
    let (delegation, ended) = known.ok_or_else(|| tampered("its delegation does not come before it"))?;
    ensure(!ended, "its delegation has ended before")?;
    let end = delegation::own_delegation_end(vault, statement, delegation).await?;
    let item = HistoryItem {
        kind: HistoryKind::DelegationEnded,
        device: Some(signed::acted(vault, end.device(), met)?),
        delegate: Some(delegation::delegate_ref(vault, delegation)?),
        ..blank
    };
    met.trail.counts.statements += 1;
    if let Some((_, ended)) = met.delegations.get_mut(&end.delegation_hash) {
        *ended = true;
    }
    Ok(item)
}

/// Whether this key has signed a request for leaves of this version, through this delegation.
fn asked_to_read(
    evidence: &pb::Evidence,
    key: &IdentityKey,
    delegation: &VerifiedDelegation,
    version: VersionId,
) -> Result<()> {
    let base = signed_text(&evidence.signature_base_id, &evidence.signature_id, key)?;
    let path = format!("\"@path\": /v1/vault/records/{version}/leaves\n");
    let named = format!("\n\"medvault-delegation\": {}\n", delegation.delegation_id);
    ensure(
        base.contains(&path) && base.contains(&named),
        "her request is another one",
    )
}
