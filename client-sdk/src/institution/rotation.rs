//! What an institution decides about itself: another recipient key, and its end. See `spec/institutions.md`.

use std::time::Duration;

use protocol_spec::{
    api,
    bodies::{InstitutionKeys, Retirement, Succession},
    directory,
    hash::Sha256Digest,
    problem::Problem,
    statement::Signed,
    submitted,
};

use super::{
    ends::Ends,
    enrol::{accreditation_request, open_file},
    office::Office,
    terminals,
};
use crate::{DirectoryEntry, Error, Result, ground::millis};

/// What a rotation led to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rotated {
    /// Place of the new entry in the institution's chain.
    pub sequence: u64,
    /// SHA-256 of the new recipient key.
    pub recipient_key: Sha256Digest,
    /// When the earlier keys end, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub overlap_ends: u64,
    /// Terminals that were given the new key.
    pub terminals: usize,
}

pub(super) async fn rotation_request(office: &Office) -> Result<Vec<u8>> {
    office.by_identity_key()?;
    let entry = office.own_entry().await?;
    let present = entry.recipient_key().digest();
    if office.keys.recipient()?.digest() == present {
        office.keys.store.make_recipient_key()?;
    }
    Ok(accreditation_request(&office.keys, entry.name().clone(), office.session.system())?.1)
}

pub(super) async fn rotate(office: &Office, accreditation: &[u8], overlap: Duration) -> Result<Rotated> {
    office.by_identity_key()?;
    let (accreditation, secret) = open_file(&office.keys, office.session.server.registrar(), accreditation)?;
    let present = office.own_entry().await?;
    if present.keys().accreditation_hash == accreditation.hash() {
        return rotated(office, &present, 0);
    }
    let recipient_key = office.keys.recipient()?;
    let keys = InstitutionKeys {
        created: office.session.system().now_ms(),
        operator_id: office.session.server.operator_id(),
        name: accreditation.claimed().name.clone(),
        identity_key: office.keys.store.signing_key(),
        recipient_key,
        accreditation_hash: accreditation.hash(),
        succession: Some(Succession {
            sequence: present.sequence().saturating_add(1),
            previous: present.entry_hash(),
            overlap_ends: office.session.clock.own_ms().saturating_add(millis(overlap)),
        }),
    };
    let keys = Signed::try_sign(keys, |message| office.keys.sign(message))?;
    let next = directory::Institution::verify(
        keys.clone(),
        accreditation.clone(),
        office.session.server.registrar(),
        office.session.server.operator_id(),
    )
    .and_then(|next| next.check_succeeds(&present.link()).map(|()| next))
    .map_err(Error::tampered("the accreditation file"))?;
    let terminals = terminals::keys_for_terminals(office, &present).await?;
    let count = terminals.len();
    let message = submitted::RotateInstitution {
        keys,
        accreditation,
        secret,
        terminals,
    };
    office.post(api::ROTATE_INSTITUTION.here(), &message).await?;
    office.session.mirror.invalidate().await;
    rotated(office, &next, count)
}

/// Notes when the earlier keys end, so that they are destroyed then.
fn rotated(office: &Office, entry: &DirectoryEntry, terminals: usize) -> Result<Rotated> {
    let overlap_ends = entry.keys().succession.map_or(0, |place| place.overlap_ends);
    let recipient_key = entry.recipient_key().digest();
    Ends::change(&office.session.home, |ends| {
        for key in office.keys.store.recipient_keys() {
            if key.digest() != recipient_key {
                ends.note(&key.digest(), overlap_ends);
            }
        }
    })?;
    Ok(Rotated {
        sequence: entry.sequence(),
        recipient_key,
        overlap_ends,
        terminals,
    })
}

pub(super) async fn retire(office: &Office) -> Result<()> {
    office.by_identity_key()?;
    let retirement = Retirement {
        created: office.session.system().now_ms(),
        operator_id: office.session.server.operator_id(),
        institution_id: office.id(),
        entry_hash: office.own_entry().await?.entry_hash(),
    };
    let retirement = Signed::try_sign(retirement, |message| office.keys.sign(message))?;
    let message = submitted::RetireInstitution { retirement };
    match office.post(api::RETIRE_INSTITUTION.here(), &message).await {
        // An earlier attempt whose answer was lost.
        Err(error) if !error.is_problem(Problem::InstitutionRetired) => Err(error),
        _ => Ok(()),
    }
}
