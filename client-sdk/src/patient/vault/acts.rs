//! What has been done to her vault, as this home has seen it: only ever more of the same.

use std::collections::HashSet;

use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    vault_head::{Act, Acts},
};

use crate::{
    Contradiction, Error, Result,
    home::{At, Home},
    patient::times,
};

/// All acts, as this home has seen them.
#[derive(Debug, Default)]
pub(in crate::patient) struct SeenActs {
    pub(in crate::patient) acts: Acts,
    /// How many of them the home has; none until it has been read, or if it has none.
    kept: Option<u64>,
    /// The place behind them there.
    at: At,
    /// What this session has done, until it is found among the acts.
    pub(in crate::patient) made: Vec<Act>,
}

impl SeenActs {
    /// Forgets all but what this session has done; the home is read again when it is asked for.
    pub(in crate::patient) fn forget(&mut self) {
        let made = std::mem::take(&mut self.made);
        *self = Self {
            made,
            ..Self::default()
        };
    }

    /// All acts that this home has seen.
    pub(in crate::patient) fn acts(&self) -> &Acts {
        &self.acts
    }

    /// Reads what the home has kept, once; whether it has anything.
    pub(in crate::patient) fn read(&mut self, home: &Home) -> Result<bool> {
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
    pub(in crate::patient) fn kept(&mut self, home: &Home) -> Result<&Acts> {
        self.read(home)?;
        Ok(&self.acts)
    }

    /// Whether all that this session has done stands among the acts.
    pub(in crate::patient) fn find_made(&mut self) -> Result<()> {
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
    pub(in crate::patient) async fn keep(&mut self, home: &Home) -> Result<()> {
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
                return Err(Error::Contradicted(Contradiction::OtherVault {
                    seen: "what another process of this device has seen".to_owned(),
                    shown: "other acts".to_owned(),
                }));
            }
        }
        self.kept = Some(self.acts.count());
        times::note(home, self.acts.count())
    }
}

pub(in crate::patient) fn hidden(what: impl Into<String>) -> Error {
    Error::Contradicted(Contradiction::HiddenFromVault { what: what.into() })
}

pub(in crate::patient) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the vault head")(cause)
}

pub(in crate::patient) fn text(sequence: u64, hash: &Sha256Digest) -> String {
    format!("head {sequence} ({:.16}…)", hash.to_string())
}

/// How many bytes an act has.
const LEN: u64 = Act::LEN as u64;

pub(in crate::patient) const ACTS: &str = "vault.acts";

#[cfg(test)]
mod tests;
