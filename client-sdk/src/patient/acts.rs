//! What has been done to her vault, as this device has seen it, and the heads that it signs over that. The server can show
//! her no vault in which something is older, other, missing or put in. See `protocol-spec/spec/vault-head.md`.

use std::collections::HashSet;

use protocol_spec::{
    api,
    bodies::VaultHead,
    defence::Defence,
    hash::Sha256Digest,
    log::VaultSalt,
    messages as pb,
    patient::PatientVerified,
    vault_head::{Act, Acts, HeadRef},
};
use tokio::sync::MutexGuard;

use super::{Patient, times};
use crate::{
    Error, Result,
    home::{At, Home},
    pages::Whole,
};

/// All acts, as this home has seen them.
#[derive(Debug, Default)]
pub(super) struct SeenActs {
    pub(super) acts: Acts,
    /// How many of them the home has; none until it has been read, or if it has none.
    kept: Option<u64>,
    /// The place behind them there.
    at: At,
    /// What this session has done, until it is found among the acts.
    pub(super) made: Vec<Act>,
}

impl Patient {
    /// Notes what this device has just done to the vault (VLT-4).
    pub(super) async fn did(&self, act: Act) {
        self.acts.lock().await.made.push(act);
    }

    /// What this device has seen; if that is nothing yet, what has been done until now.
    pub(super) async fn known_acts(&self) -> Result<MutexGuard<'_, SeenActs>> {
        let mut seen = self.acts.lock().await;
        if seen.read(&self.session.home)? && !Defence::VaultHeads.is_off() {
            return Ok(seen);
        }
        drop(seen);
        self.catch_up().await
    }

    /// What has been done to the vault until now: what this device has seen, and what has come since (VLT-3). A device that
    /// has seen nothing yet reads the log as well, and then once more what has been done: only what it has verified and keeps
    /// counts for what it finds there (VLT-9).
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    pub(super) async fn catch_up(&self) -> Result<MutexGuard<'_, SeenActs>> {
        let mut seen = self.acts.lock().await;
        let known = seen.read(&self.session.home)?;
        if Defence::VaultHeads.is_off() {
            seen.acts = Acts::default();
        }
        let read = match self.read_acts(&mut seen.acts).await {
            Ok(head) if !known && !Defence::VaultHeads.is_off() => {
                let from = head.map_or(0, |head| head.log_size);
                self.check_log(&mut seen.acts, from).await.map(drop)
            }
            read => read.map(drop),
        };
        if let Err(error) = read {
            // What was read on top of what the home has is not believed.
            let made = std::mem::take(&mut seen.made);
            *seen = SeenActs {
                made,
                ..SeenActs::default()
            };
            return Err(self.session.or_restored(error).await);
        }
        seen.keep(&self.session.home).await?;
        Ok(seen)
    }

    /// Adds what has come since, and gives the newest head, which is over all of it but what came after. None if there is no
    /// head, or nothing has come since this one was verified.
    pub(super) async fn read_acts(&self, acts: &mut Acts) -> Result<Option<PatientVerified<VaultHead>>> {
        let (before, newest) = (acts.count(), acts.newest());
        let listed = self.keys.known().newest().sequence;
        let mut whole = Whole::new("the acts");
        let head = loop {
            let path = api::ACTS.here().with("after", &acts.count());
            let page: pb::VaultActs = self.session.server.get(path).await?;
            if page.count < acts.count() {
                let shown = format!("{} acts", page.count);
                return Err(self.older(before, newest, shown));
            }
            whole.add(page.acts.len() / Act::LEN, page.acts.len())?;
            acts.extend(&page.acts).map_err(tampered)?;
            if acts.count() == page.count {
                break page.head;
            }
            if page.acts.is_empty() || acts.count() > page.count {
                return Err(tampered("there are not as many acts as the server says"));
            }
        };
        if Defence::VaultHeads.is_off() {
            return Ok(None);
        }
        self.check_lists(acts, listed).await?;
        self.check_deletions(acts, before).await?;
        // Nothing has come, and the head is the one that was verified when it came.
        let shown = head
            .as_ref()
            .and_then(|head| head.statement.as_ref()?.statement.as_ref());
        let shown = shown.map(|statement| Sha256Digest::of(&statement.body));
        if acts.count() == before && shown.is_some() && shown == newest.map(|newest| newest.hash) {
            return Ok(None);
        }
        match head {
            Some(head) => Ok(Some(self.check_head(acts, head, newest).await?)),
            None if acts.newest().is_some() => Err(self.older(before, newest, "no head".to_owned())),
            None => Ok(None),
        }
    }

    /// The last list of devices of the acts is one that this device has verified, and not older than the one that it knew
    /// when it asked for them (VLT-5).
    async fn check_lists(&self, acts: &Acts, known: u64) -> Result<()> {
        let (Some(last), Some(newest)) = (acts.last_list(acts.count()), acts.devices()) else {
            return Err(tampered("there is no list of devices among the acts"));
        };
        if self.keys.known().newest().sequence < last {
            drop(self.refresh_devices().await?);
        }
        let list = self.keys.known().list(last);
        if known <= last && list.is_some_and(|list| list.hash() == newest) {
            return Ok(());
        }
        Err(hidden(
            "the newest list of devices is not among what was done to the vault",
        ))
    }

    /// By which she recognises her leaves in the log. Until a head has confirmed it, it is the server's word.
    pub(super) async fn log_salt(&self) -> Result<VaultSalt> {
        let bytes = match self.session.home.read(SALT)? {
            Some(kept) => kept,
            None => {
                let answer: pb::LogSalt = self.session.server.get(api::LOG_SALT.here()).await?;
                answer.salt.to_vec()
            }
        };
        let salt = <[u8; 32]>::try_from(bytes.as_slice());
        Ok(VaultSalt::from_bytes(
            salt.map_err(|_| tampered("the vault has no salt"))?,
        ))
    }

    /// How far this device has read the log, and found what each leaf of the vault is of (VLT-9).
    pub(super) fn log_read(&self) -> Result<u64> {
        Ok(self.session.home.read_json(LOG_READ)?.unwrap_or(0))
    }

    /// From now on it has read so far.
    pub(super) fn keep_log_read(&self, size: u64) -> Result<()> {
        self.session.home.write_json(LOG_READ, &size)
    }

    /// Nothing has been done to a vault that is being enrolled, and none of the leaves that there are is of it.
    pub(super) async fn begin_acts(&self) -> Result<()> {
        let shown = self.session.shown_log().await?;
        self.session.accept_log(&shown).await?;
        self.keep_log_read(shown.size)?;
        let none = self.session.home.extend_chain(ACTS, &mut At::default(), &[])?;
        if none.is_none() {
            Ok(())
        } else {
            Err(self.session.home.damaged(ACTS))
        }
    }

    pub(super) fn older(&self, acts: u64, seen: Option<HeadRef>, shown: String) -> Error {
        let head = seen.map_or_else(|| "no head".to_owned(), |seen| text(seen.sequence, &seen.hash));
        Error::OlderVault {
            seen: format!("{head} and {acts} acts"),
            shown,
            kept: self.session.home.path(ACTS),
        }
    }
}

impl SeenActs {
    /// All that was seen.
    pub(super) fn acts(&self) -> &Acts {
        &self.acts
    }

    /// Reads what the home has kept, once; whether it has anything.
    fn read(&mut self, home: &Home) -> Result<bool> {
        if self.kept.is_none() {
            self.at = At::default();
            let more = home.read_chain(ACTS, &mut self.at)?;
            let known = more.is_some();
            self.acts = Acts::default();
            for acts in more.into_iter().flat_map(|more| more.entries) {
                self.acts.extend(&acts).map_err(|_| home.damaged(ACTS))?;
            }
            self.kept = known.then(|| self.acts.count());
        }
        Ok(self.kept.is_some())
    }

    /// What the home has kept, whatever the server shows.
    pub(super) fn kept(&mut self, home: &Home) -> Result<&Acts> {
        self.read(home)?;
        Ok(&self.acts)
    }

    /// Whether all that this session has done stands among the acts.
    pub(super) fn find_made(&mut self) -> Result<()> {
        if !self.made.is_empty() {
            let done: HashSet<&Act> = self.acts.iter().collect();
            self.made.retain(|made| !done.contains(made));
        }
        if Defence::VaultHeads.holds(self.made.is_empty()) {
            self.made.clear();
            return Ok(());
        }
        Err(hidden("what this device has done is not among the acts"))
    }

    /// Keeps them in the home, behind those that it has, unless another process has kept more. Neither may contradict the other.
    pub(super) async fn keep(&mut self, home: &Home) -> Result<()> {
        if self.kept == Some(self.acts.count()) || Defence::VaultHeads.is_off() {
            return Ok(());
        }
        let _lock = home.lock().await?;
        let mut known = self.kept.unwrap_or_default();
        loop {
            let mine = self.acts.bytes_after(known);
            let entries: &[&[u8]] = if mine.is_empty() { &[] } else { &[&mine] };
            let Some(more) = home.extend_chain(ACTS, &mut self.at, entries)? else {
                break;
            };
            if more.anew {
                known = 0;
            }
            let theirs = more.entries.concat();
            let mine = self.acts.bytes_after(known);
            if mine.starts_with(&theirs) {
                known += theirs.len() as u64 / LEN;
            } else if theirs.starts_with(&mine) {
                // They have seen more. It is read when it is asked for.
                (self.kept, self.at) = (None, At::default());
                return Ok(());
            } else {
                *self = Self::default();
                return Err(Error::OtherVault {
                    seen: "what another process of this device has seen".to_owned(),
                    shown: "other acts".to_owned(),
                });
            }
        }
        self.kept = Some(self.acts.count());
        times::note(home, self.acts.count())
    }
}

pub(super) fn hidden(what: impl Into<String>) -> Error {
    Error::HiddenFromVault { what: what.into() }
}

/// Bytes of an act.
const LEN: u64 = Act::LEN as u64;

pub(super) const ACTS: &str = "vault.acts";
pub(super) fn text(sequence: u64, hash: &Sha256Digest) -> String {
    format!("head {sequence} ({:.16}…)", hash.to_string())
}

pub(super) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the vault head")(cause)
}

pub(super) const SALT: &str = "log.salt";
pub(super) const LOG_READ: &str = "log.read";

#[cfg(test)]
mod tests;
