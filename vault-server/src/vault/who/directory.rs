//! The directory of accredited institutions, with the places of its events in the log. Public.

use protocol_spec::{ids::InstitutionId, log::Entry, messages as pb};

use crate::vault::{
    core::{refusal::Refusal, shared::Shared},
    tables,
    who::entries,
};

/// Events of the directory in the order of the log, without the first `after` (LOG-17): under the newest checkpoint, or for who
/// asks for witnesses under the one that is shown.
pub(crate) async fn directory_events(
    shared: &Shared,
    after: u64,
    limit: usize,
    witnessed: bool,
) -> Result<pb::DirectoryEvents, Refusal> {
    let Shared { log, limits, .. } = shared;
    let most = limits.page_rows.max(1);
    let limit = if limit == 0 { most } else { limit.min(most) };
    let checkpoint = match witnessed {
        true => log.checkpoint().await?,
        false => log.newest().await?,
    };
    log.events(checkpoint, after, limit, limits.short_page()).await
}

/// An institution's chain, from its first entry or behind this place in it.
pub(crate) async fn directory_entries(
    shared: &Shared,
    institution: InstitutionId,
    after: Option<u64>,
    limit: usize,
) -> Result<pb::EntryPage, Refusal> {
    let first = tables::entry(institution, after.map_or(0, |after| after.saturating_add(1)));
    let (mut entries, more) = shared.short_page(first, limit).await?;
    for entry in &mut entries {
        complete_entry(shared, entry).await?;
    }
    let last = entries.last().filter(|_| more);
    let next = last
        .map(|entry| entries::stored_institution(shared, entry.clone()))
        .transpose()?;
    Ok(pb::EntryPage {
        entries,
        next: next.map_or(0, |institution| institution.sequence()),
    })
}

async fn complete_entry(shared: &Shared, entry: &mut pb::DirectoryEntry) -> Result<(), Refusal> {
    if let (Some(keys), Some(accreditation)) = (&entry.keys, &entry.accreditation) {
        let keys = Entry::Keys {
            keys: keys.clone(),
            accreditation: accreditation.clone(),
        };
        entry.proof = Some(shared.log.prove_published(&keys).await?);
    }
    Ok(())
}
