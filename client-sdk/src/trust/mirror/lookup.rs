//! Institutions as the registrar vouches for them: shown, wrapped to or believed only as the mirror of
//! the directory has them (ATK-1).

use protocol_spec::{
    api::{self, PageQuery},
    directory::Institution,
    hash::Sha256Digest,
    ids::InstitutionId,
    messages as pb,
    mirror::LookAlikes,
    names::Look,
    programs::Vouched,
};

use super::Mirror;
use crate::{Error, Result, error::Addressee};

impl Mirror {
    /// All institutions whose name contains `filter` or looks like it, by name.
    pub(crate) async fn institutions(&self, filter: Option<&str>) -> Result<Vec<Institution>> {
        let filter = filter.unwrap_or_default().to_lowercase();
        let look = Look::of(&filter);
        let matches = |name: &str| name.to_lowercase().contains(&filter) || Look::of(name).is_like(&look);
        let mut entries = self.named(matches).await?;
        entries.sort_by(|a, b| (a.name().as_str(), a.id()).cmp(&(b.name().as_str(), b.id())));
        Ok(entries)
    }

    /// The one institution with this id or name. Names that look alike are one name (INS-17).
    pub(crate) async fn find_named(&self, name_or_id: &str) -> Result<Institution> {
        if let Ok(id) = name_or_id.parse() {
            return self.institution(id).await;
        }
        let wanted = Look::of(name_or_id);
        let mut found = self.named(|name| Look::of(name).is_like(&wanted)).await?;
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

    /// Which institutions have names that look like others' (INS-17).
    pub(crate) async fn look_alikes(&self) -> Result<LookAlikes> {
        let mirrored = self.current().await?;
        Ok(mirrored.directory()?.look_alikes())
    }

    async fn named(&self, matches: impl Fn(&str) -> bool) -> Result<Vec<Institution>> {
        let mirrored = self.current().await?;
        let directory = mirrored.directory()?;
        let found = directory.names().filter(|(_, name)| matches(name.as_str()));
        found
            .filter_map(|(id, _)| directory.institution(id).transpose())
            .map(|entry| entry.map_err(Error::tampered(ENTRY)))
            .collect()
    }

    /// The institution with this id. Who is not known yet may have enrolled since the mirror was brought up.
    pub(crate) async fn institution(&self, id: InstitutionId) -> Result<Institution> {
        if let Some(entry) = self.listed(id).await? {
            return Ok(entry);
        }
        self.invalidate().await;
        let entry = self.listed(id).await?;
        entry.ok_or_else(|| Error::UnknownInstitution { name: id.to_string() })
    }

    async fn listed(&self, id: InstitutionId) -> Result<Option<Institution>> {
        let mut mirrored = self.current().await?;
        if let Some(entry) = mirrored.verified.get(&id) {
            return Ok(Some(entry.clone()));
        }
        let entry = mirrored.directory()?.institution(id);
        let entry = entry.map_err(Error::tampered(ENTRY))?;
        if let Some(entry) = &entry {
            mirrored.verified.insert(id, entry.clone());
        }
        Ok(entry)
    }

    /// The institution as the directory has it now: before anything is sealed to it (LOG-16), and only if it goes on (INS-14, INS-16).
    pub(crate) async fn as_of_now(&self, id: InstitutionId) -> Result<Institution> {
        self.revalidate_unless_recent().await;
        let entry = self.institution(id).await?;
        must_go_on(&entry)?;
        Ok(entry)
    }

    /// All entries of an institution, from the first to the newest, each the successor of the one before (INS-1).
    pub(crate) async fn chain(&self, id: InstitutionId) -> Result<Vec<Institution>> {
        let mirrored = self.current().await?;
        let chain = mirrored.directory()?.chain(id);
        chain.map_err(Error::tampered(ENTRY))
    }

    /// The same entries as the server shows them, with proofs, to be handed on: whoever gets them verifies them.
    pub(crate) async fn raw_chain(&self, id: InstitutionId) -> Result<Vec<pb::DirectoryEntry>> {
        let mut chain = Vec::new();
        let path = api::DIRECTORY_ENTRIES.ask([&id], PageQuery::of(100));
        let mut pages = self.server.pages(path);
        while let Some(page) = pages.next().await? {
            chain.extend(page.entries);
        }
        Ok(chain)
    }

    /// All programs that the registrar vouches for, in the order of the log as it is now.
    pub(crate) async fn programs(&self) -> Result<Vec<Vouched>> {
        self.invalidate().await;
        let mirrored = self.current().await?;
        mirrored.directory()?.programs().map_err(Error::tampered(PROGRAM))
    }

    /// The program with this SHA-256, by the log as it is now (PRG-4).
    pub(crate) async fn program(&self, hash: &Sha256Digest) -> Result<Option<Vouched>> {
        self.invalidate().await;
        let mirrored = self.current().await?;
        mirrored
            .directory()?
            .program(hash)
            .map_err(Error::tampered(PROGRAM))
    }
}

/// Refuses to seal to an institution that has ended (INS-14, INS-16).
pub(crate) fn must_go_on(entry: &Institution) -> Result<()> {
    entry.check_goes_on().map_err(|problem| Error::Refused {
        problem,
        detail: Some(entry.name().as_str().to_owned()),
        reader: Addressee::Anybody,
    })
}

const ENTRY: &str = "an entry of the directory";
const PROGRAM: &str = "a program in the directory";
