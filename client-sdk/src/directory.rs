//! Institutions as the registrar vouches for them. An entry is shown, wrapped to or believed only when
//! the pinned registrar has signed it, the log holds it, and it is the one seen before (ATK-1).

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use protocol_spec::{
    directory::{ChainLink, Institution},
    hash::Sha256Digest,
    ids::InstitutionId,
    log::Entry,
    messages as pb,
    problem::Problem,
};
use serde::{Deserialize, Serialize};

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

    /// All entries of an institution, from the first to the newest, each the successor of the one before (INS-1).
    pub(crate) async fn chain(&self, id: InstitutionId) -> Result<Vec<Institution>> {
        let mut chain: Vec<Institution> = Vec::new();
        loop {
            let after = chain
                .last()
                .map_or(String::new(), |entry| format!("&after={}", entry.sequence()));
            let path = format!("/v1/directory/{id}/entries?limit=100{after}");
            let page: pb::EntryPage = self.server.get(&path).await?;
            for entry in page.entries {
                let entry = self.verify_entry(entry).await?;
                let follows = match chain.last() {
                    Some(last) => entry.check_succeeds(&last.link()),
                    None if entry.id() == id && entry.sequence() == 0 => Ok(()),
                    None => Err(protocol_spec::Error::Mismatch {
                        what: "chain and institution",
                    }),
                };
                follows.map_err(Error::tampered("the directory"))?;
                chain.push(entry);
            }
            if page.next == 0 {
                return Ok(chain);
            }
        }
    }

    /// The same entries as the server shows them, to be handed on: whoever gets them verifies them.
    pub(crate) async fn raw_chain(&self, id: InstitutionId) -> Result<Vec<pb::DirectoryEntry>> {
        let (mut chain, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/directory/{id}/entries?limit=100{after}");
            let page: pb::EntryPage = self.server.get(&path).await?;
            chain.extend(page.entries);
            if page.next == 0 {
                return Ok(chain);
            }
            after = format!("&after={}", page.next);
        }
    }

    /// From now on entries are asked for again.
    pub(crate) async fn forget_entries(&self) {
        self.entries.lock().await.clear();
    }

    async fn verify_entry(&self, message: pb::DirectoryEntry) -> Result<Institution> {
        let (proof, retirement_proof) = (message.proof.clone(), message.retirement_proof.clone());
        let entry = Institution::from_entry(message, self.server.registrar(), self.server.operator_id())
            .map_err(Error::tampered("an entry of the directory"))?;
        self.published(proof, &Entry::keys(&entry), "an entry of the directory")
            .await?;
        if let Some(retirement) = entry.retirement() {
            let retirement = Entry::retirement(retirement);
            self.published(retirement_proof, &retirement, "a retirement in the directory")
                .await?;
        }
        Ok(entry)
    }

    /// Pins entries when they are first seen; later ones only along the institution's chain (KEY-17, INS-4).
    async fn remember(&self, entries: &[Institution]) -> Result<()> {
        loop {
            let pins = self.pins()?;
            for entry in entries {
                if let Some(pin) = pins.get(&entry.id().to_string()) {
                    self.follow(pin.link(entry)?, entry).await?;
                }
            }
            let _lock = self.home.lock().await?;
            // What another process has pinned meanwhile is followed first.
            if self.pins()? != pins {
                continue;
            }
            let mut newer = pins.clone();
            newer.extend(
                entries
                    .iter()
                    .map(|entry| (entry.id().to_string(), Pin::of(entry))),
            );
            if newer != pins {
                self.home.write_json(PINS, &newer)?;
            }
            break;
        }
        let mut known = self.entries.lock().await;
        known.extend(entries.iter().map(|entry| (entry.id(), entry.clone())));
        Ok(())
    }

    /// Walks the chain from the entry that was kept to the one that the server shows.
    async fn follow(&self, mut link: ChainLink, entry: &Institution) -> Result<()> {
        let refused =
            |cause: &str| Error::tampered("the directory")(format!("{cause} of {}", entry.name().as_str()));
        while link.entry_hash != entry.entry_hash() {
            if entry.sequence() <= link.sequence {
                return Err(refused("it shows another entry than was seen before"));
            }
            let path = format!(
                "/v1/directory/{}/entries?after={}&limit=100",
                entry.id(),
                link.sequence
            );
            let page: pb::EntryPage = self.server.get(&path).await?;
            if page.entries.is_empty() {
                return Err(refused("it leaves out entries"));
            }
            for next in page.entries {
                let next = self.verify_entry(next).await?;
                next.check_succeeds(&link)
                    .map_err(Error::tampered("the directory"))?;
                link = next.link();
                if link.entry_hash == entry.entry_hash() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn pins(&self) -> Result<BTreeMap<String, Pin>> {
        Ok(self.home.read_json(PINS)?.unwrap_or_default())
    }
}

/// Refuses to seal to an institution that has retired (INS-14).
pub(crate) fn must_go_on(entry: &Institution) -> Result<()> {
    if entry.retirement().is_none() {
        return Ok(());
    }
    Err(Error::Refused {
        problem: Problem::InstitutionRetired,
        detail: Some(entry.name().as_str().to_owned()),
    })
}

/// What is kept of the newest entry that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pin {
    sequence: u64,
    name: String,
    /// Hex.
    entry: String,
    /// Hex.
    recipient_key: String,
}

impl Pin {
    fn of(entry: &Institution) -> Self {
        Self {
            sequence: entry.sequence(),
            name: entry.name().as_str().to_owned(),
            entry: entry.entry_hash().to_string(),
            recipient_key: entry.recipient_key().digest().to_string(),
        }
    }

    fn link(&self, of: &Institution) -> Result<ChainLink> {
        let hash = |hex: &str| {
            let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap_or_default();
            Sha256Digest::try_from(bytes.as_slice())
        };
        Ok(ChainLink {
            institution: of.id(),
            name: self.name.clone().try_into()?,
            sequence: self.sequence,
            entry_hash: hash(&self.entry)?,
            recipient_key_hash: hash(&self.recipient_key)?,
        })
    }
}

const PINS: &str = "directory.json";

#[cfg(test)]
mod tests;
