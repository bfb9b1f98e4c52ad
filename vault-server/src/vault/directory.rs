//! The directory of accredited institutions, with each entry's place in the log. Public.

use protocol_spec::{ids::InstitutionId, log::Entry, messages as pb, problem::Problem};

use super::{Refusal, Shared, Vault, tables};

impl Vault {
    /// Institutions in the order of their ids, after this one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn directory(
        &self,
        after: Option<InstitutionId>,
        limit: usize,
    ) -> Result<pb::DirectoryPage, Refusal> {
        let first = match after {
            Some(id) => tables::institutions().after(id.as_bytes()),
            None => tables::institutions(),
        };
        let (mut entries, more) = self.shared.short_page(first, limit).await?;
        for entry in &mut entries {
            self.shared.complete_entry(entry).await?;
        }
        let last = entries.last().filter(|_| more);
        let next = last.map(|entry| entry_id(entry, &self.shared)).transpose()?;
        Ok(pb::DirectoryPage {
            entries,
            next: next.map_or_else(Default::default, |id| id.as_bytes().to_vec().into()),
        })
    }

    /// One institution.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn directory_entry(&self, institution: InstitutionId) -> Result<pb::DirectoryEntry, Refusal> {
        let entry = tables::institution(institution).get(&*self.shared.ledger).await?;
        let mut entry = entry.ok_or(Problem::NotFound)?;
        self.shared.complete_entry(&mut entry).await?;
        Ok(entry)
    }

    /// An institution's chain, from its first entry or behind this place in it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn directory_entries(
        &self,
        institution: InstitutionId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<pb::EntryPage, Refusal> {
        let first = tables::entry(institution, after.map_or(0, |after| after.saturating_add(1)));
        let (mut entries, more) = self.shared.short_page(first, limit).await?;
        for entry in &mut entries {
            self.shared.complete_entry(entry).await?;
        }
        let last = entries.last().filter(|_| more);
        let next = last
            .map(|entry| self.shared.stored_institution(entry.clone()))
            .transpose()?;
        Ok(pb::EntryPage {
            entries,
            next: next.map_or(0, |institution| institution.sequence()),
        })
    }
}

impl Shared {
    async fn complete_entry(&self, entry: &mut pb::DirectoryEntry) -> Result<(), Refusal> {
        if let (Some(keys), Some(accreditation)) = (&entry.keys, &entry.accreditation) {
            let keys = Entry::Keys {
                keys: keys.clone(),
                accreditation: accreditation.clone(),
            };
            entry.proof = Some(self.log.prove_published(&keys).await?);
        }
        if let Some(retirement) = &entry.retirement {
            let retirement = Entry::Retirement(retirement.clone());
            entry.retirement_proof = Some(self.log.prove_published(&retirement).await?);
        }
        Ok(())
    }
}

fn entry_id(entry: &pb::DirectoryEntry, shared: &Shared) -> Result<InstitutionId, Refusal> {
    Ok(shared.stored_institution(entry.clone())?.id())
}
