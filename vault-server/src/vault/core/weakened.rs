//! What a build for negative controls lets a delegate have where a defence is off. In any other build these give nothing.

#[cfg(feature = "weakened")]
use protocol_spec::defence::Defence;
use protocol_spec::ids::PatientId;

use crate::vault::{tables::HeldRow, who::principal::Acting};

/// The vault of whom she acts for, as if it were hers.
#[cfg(feature = "weakened")]
pub(in crate::vault) fn owner(acting: &Acting) -> Option<PatientId> {
    Defence::DelegationScope.is_off().then(|| acting.owner())
}

/// A delegation that was only offered, as if she had accepted it.
#[cfg(feature = "weakened")]
pub(in crate::vault) fn accepted(offered: HeldRow) -> Option<HeldRow> {
    Defence::Acceptance.is_off().then_some(offered)
}

/// Nothing: she has what her delegation gives.
#[cfg(not(feature = "weakened"))]
pub(in crate::vault) fn owner(_: &Acting) -> Option<PatientId> {
    None
}

/// Nothing: what was not accepted does not count.
#[cfg(not(feature = "weakened"))]
pub(in crate::vault) fn accepted(_: HeldRow) -> Option<HeldRow> {
    None
}
