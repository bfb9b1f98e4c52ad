//! Institutions as the registrar vouches for them. An entry is shown, wrapped to or believed only when
//! the pinned registrar has signed it, the log holds it, and it is the one seen before (ATK-1).

use std::collections::BTreeMap;

use protocol_spec::{directory::Institution, ids::InstitutionId, messages as pb, problem::Problem};

use crate::{Error, Result, session::Session};

impl Session {
    /// All institutions whose name contains `filter`, by name.
    pub(crate) async fn directory(&self, filter: Option<&str>) -> Result<Vec<Institution>> {
        let filter = filter.unwrap_or_default().to_lowercase();
        let mut entries = Vec::new();
        let mut after = String::new();
        loop {
            let page: pb::DirectoryPage = self
                .server
                .get(&format!("/v1/directory?limit=200{after}"))
                .await?;
            let last = page.next.is_empty() || page.entries.is_empty();
            for entry in page.entries {
                entries.push(self.verify_entry(entry).await?);
            }
            if last {
                break;
            }
            let next = InstitutionId::try_from(page.next.as_ref())?;
            after = format!("&after={next}");
        }
        self.remember(&entries).await?;
        entries.retain(|entry| entry.name().as_str().to_lowercase().contains(&filter));
        entries.sort_by(|a, b| (a.name().as_str(), a.id()).cmp(&(b.name().as_str(), b.id())));
        Ok(entries)
    }

    /// The one institution with this id or name.
    pub(crate) async fn find_institution(&self, name_or_id: &str) -> Result<Institution> {
        if let Ok(id) = name_or_id.parse() {
            return self.institution(id).await;
        }
        let wanted = name_or_id.trim().to_lowercase();
        let mut found = self.directory(Some(&wanted)).await?;
        found.retain(|entry| entry.name().as_str().to_lowercase() == wanted);
        let name = || name_or_id.to_owned();
        match found.len() {
            0 => Err(Error::UnknownInstitution { name: name() }),
            1 => found
                .pop()
                .ok_or_else(|| Error::UnknownInstitution { name: name() }),
            _ => Err(Error::AmbiguousInstitution {
                name: name(),
                ids: found.iter().map(|entry| entry.id().to_string()).collect(),
            }),
        }
    }

    /// The institution with this id.
    pub(crate) async fn institution(&self, id: InstitutionId) -> Result<Institution> {
        if let Some(entry) = self.entries.lock().await.get(&id) {
            return Ok(entry.clone());
        }
        let message = self
            .server
            .get(&format!("/v1/directory/{id}"))
            .await
            .map_err(|error| {
                let unknown = error.is_problem(Problem::NotFound) || error.is_problem(Problem::NotPermitted);
                if unknown {
                    Error::UnknownInstitution { name: id.to_string() }
                } else {
                    error
                }
            })?;
        let entry = self.verify_entry(message).await?;
        if entry.id() != id {
            return Err(Error::tampered("the directory")(
                "it answers with another institution",
            ));
        }
        self.remember(std::slice::from_ref(&entry)).await?;
        Ok(entry)
    }

    async fn verify_entry(&self, message: pb::DirectoryEntry) -> Result<Institution> {
        let proof = message.proof.clone();
        let entry = Institution::from_entry(message, self.server.registrar(), self.server.operator_id())
            .map_err(Error::tampered("an entry of the directory"))?;
        self.included(proof, &entry.keys().hash(), "an entry of the directory")
            .await?;
        Ok(entry)
    }

    /// Pins entries when they are first seen, and refuses one whose keys have changed since (KEY-17).
    async fn remember(&self, entries: &[Institution]) -> Result<()> {
        let _lock = self.home.lock().await?;
        let mut pins: BTreeMap<String, String> = self.home.read_json(PINS)?.unwrap_or_default();
        let before = pins.len();
        for entry in entries {
            let hash = entry.entry_hash().to_string();
            let pinned = pins.entry(entry.id().to_string()).or_insert_with(|| hash.clone());
            if *pinned != hash {
                return Err(Error::tampered("the directory")(format!(
                    "the keys of {} are not those seen before",
                    entry.name().as_str()
                )));
            }
        }
        if pins.len() > before {
            self.home.write_json(PINS, &pins)?;
        }
        let mut known = self.entries.lock().await;
        known.extend(entries.iter().map(|entry| (entry.id(), entry.clone())));
        Ok(())
    }
}

const PINS: &str = "directory.json";

#[cfg(test)]
mod tests;
