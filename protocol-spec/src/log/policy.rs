//! Whose cosignatures a client wants, as c2sp.org/tlog-policy has it: logs, witnesses, groups of them, a quorum.

use std::collections::HashMap;

use super::{
    checkpoint::VerifiedCheckpoint,
    cosignature::cosigned_at,
    note::{KeyKind, NoteKey},
};
use crate::{Error, defence::Defence, hash::Sha256Digest};

/// A policy, read from its file.
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<NoteKey>,
    witnesses: Vec<Witness>,
    members: Vec<Member>,
    /// Index of a member; none for `quorum none`.
    quorum: Option<usize>,
}

/// A witness of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// By which its cosignatures are verified.
    pub key: NoteKey,
    /// Where it is asked for them, if the policy says so.
    pub url: Option<String>,
}

/// A checkpoint that the quorum has cosigned.
#[derive(Clone, Debug)]
pub struct WitnessedCheckpoint(VerifiedCheckpoint);

/// What a name in the file stands for.
#[derive(Clone, Debug)]
enum Member {
    /// A single witness, by its index in the policy.
    Witness(usize),
    /// A group, which is met by so many of these members.
    Group { threshold: usize, members: Vec<usize> },
}

/// tlog-policy asks for 32 at least.
const MAX_LINES: usize = 1024;

impl Policy {
    /// The policy of whoever asks for no witness.
    pub const fn none() -> Self {
        Self {
            logs: Vec::new(),
            witnesses: Vec::new(),
            members: Vec::new(),
            quorum: None,
        }
    }

    /// Reads the file (LOG-10). Fails with [`Error::Policy`], or with what is wrong with a key.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let mut reader = PolicyReader {
            policy: Self::none(),
            names: HashMap::new(),
            in_groups: Vec::new(),
            quorum: false,
        };
        let allowed = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e | 0x80..);
        if !file.iter().all(allowed) || !file.ends_with(b"\n") {
            return broken("it has control characters or does not end its last line");
        }
        let lines = file.split(|byte| *byte == b'\n');
        for (number, line) in lines.enumerate() {
            if number > MAX_LINES {
                return broken("it has too many lines");
            }
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let items: Vec<&[u8]> = line.split(blank).filter(|item| !item.is_empty()).collect();
            reader.line(&items)?;
        }
        if reader.quorum {
            Ok(reader.policy)
        } else {
            broken("it has no quorum")
        }
    }

    /// The witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Of what it demands, whatever its file looks like and wherever its witnesses are: equal for policies that name the same
    /// witnesses and the same quorum, and ask the same of them (OPR-3).
    pub fn digest(&self) -> Sha256Digest {
        let asked = self.witnesses.iter().map(|witness| {
            let asks = if witness.url.is_some() { "asked" } else { "known" };
            format!("{asks} {}\n", witness.key)
        });
        let mut lines: Vec<String> = asked.collect();
        lines.sort_unstable();
        let quorum = self.quorum.map_or_else(String::new, |member| self.demand(member));
        Sha256Digest::of(format!("{}quorum {quorum}\n", lines.concat()).as_bytes())
    }

    /// A member as a text that says all about it. Members only name members before them, so this ends.
    fn demand(&self, member: usize) -> String {
        match self.members.get(member) {
            Some(Member::Witness(index)) => self
                .witnesses
                .get(*index)
                .map_or_else(String::new, |witness| witness.key.to_string()),
            Some(Member::Group { threshold, members }) => {
                let mut members: Vec<String> = members.iter().map(|member| self.demand(*member)).collect();
                members.sort_unstable();
                format!("({threshold} of {})", members.join(" "))
            }
            None => String::new(),
        }
    }

    /// Whether it asks for any cosignature at all.
    pub fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether it is about this log, or about whichever the client has pinned.
    pub fn speaks_of(&self, log: &NoteKey) -> bool {
        self.logs.is_empty() || self.logs.contains(log)
    }

    /// Checks that the quorum has cosigned it, and not before a time in seconds since 1970 (LOG-8).
    /// Fails with [`Error::Witnesses`] if it has not, and with [`Error::Signature`] if a known
    /// witness's cosignature does not verify.
    pub fn witnessed(
        &self,
        checkpoint: VerifiedCheckpoint,
        since: u64,
    ) -> Result<WitnessedCheckpoint, Error> {
        let mut seen = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            let time = cosigned_at(&checkpoint, &witness.key)?;
            seen.push(time.is_some_and(|time| time >= since));
        }
        let met = self.quorum.is_none_or(|quorum| self.meets(quorum, &seen));
        if Defence::Witnesses.holds(met) {
            Ok(WitnessedCheckpoint(checkpoint))
        } else {
            Err(Error::Witnesses {
                size: checkpoint.size,
                cosigned: seen.iter().filter(|seen| **seen).count(),
            })
        }
    }

    /// Since when the quorum has cosigned it, in seconds since 1970: the latest time at or after which so many witnesses have; none if
    /// not enough have at all, and 0 where none is asked for. Fails with [`Error::Signature`] if a known
    /// witness's cosignature does not verify.
    pub fn cosigned_since(&self, checkpoint: &VerifiedCheckpoint) -> Result<Option<u64>, Error> {
        let times = self.witnesses.iter();
        let times = times.map(|witness| cosigned_at(checkpoint, &witness.key));
        let times = times.collect::<Result<Vec<_>, _>>()?;
        let Some(quorum) = self.quorum else {
            return Ok(Some(0));
        };
        let met_by = |since: &u64| {
            let seen: Vec<bool> = times.iter().map(|time| *time >= Some(*since)).collect();
            self.meets(quorum, &seen)
        };
        Ok(times.iter().flatten().copied().filter(met_by).max())
    }

    /// Members only name members before them, so this ends.
    fn meets(&self, member: usize, seen: &[bool]) -> bool {
        match self.members.get(member) {
            Some(Member::Witness(index)) => seen.get(*index).copied().unwrap_or(false),
            Some(Member::Group { threshold, members }) => {
                let met = members.iter().filter(|member| self.meets(**member, seen));
                met.count() >= *threshold
            }
            None => false,
        }
    }
}

impl WitnessedCheckpoint {
    /// The checkpoint that was cosigned, by reference.
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.0
    }

    /// The checkpoint that was cosigned, by value.
    pub fn into_checkpoint(self) -> VerifiedCheckpoint {
        self.0
    }
}

struct PolicyReader {
    policy: Policy,
    names: HashMap<Vec<u8>, usize>,
    in_groups: Vec<usize>,
    quorum: bool,
}

impl PolicyReader {
    fn line(&mut self, items: &[&[u8]]) -> Result<(), Error> {
        match items {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.log(key),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            _ => broken("a line is of no kind that is known here"),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), Error> {
        let key = vkey(key, KeyKind::Ed25519)?;
        if self.policy.logs.iter().any(|log| log.key() == key.key()) {
            return broken("a log stands twice");
        }
        self.policy.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), Error> {
        let key = vkey(key, KeyKind::Cosignature)?;
        if self
            .policy
            .witnesses
            .iter()
            .any(|other| other.key.key() == key.key())
        {
            return broken("a witness stands twice");
        }
        let url = url.map(|url| String::from_utf8(url.to_vec())).transpose();
        let Ok(url) = url else {
            return broken("a URL is no UTF-8");
        };
        let witness = self.policy.witnesses.len();
        self.policy.witnesses.push(Witness { key, url });
        self.define(name, Member::Witness(witness))
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), Error> {
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.known(name)?;
            if self.in_groups.contains(&member) {
                return broken("a name is a member twice");
            }
            self.in_groups.push(member);
            members.push(member);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => std::str::from_utf8(number)
                .ok()
                .and_then(|number| super::checkpoint::decimal(number).ok())
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(0),
        };
        if !(1..=members.len()).contains(&threshold) {
            return broken("a group's threshold is not from 1 to the number of its members");
        }
        self.define(name, Member::Group { threshold, members })
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), Error> {
        if self.quorum {
            return broken("it has two quorums");
        }
        self.quorum = true;
        if name != NONE {
            self.policy.quorum = Some(self.known(name)?);
        }
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<(), Error> {
        let index = self.policy.members.len();
        if name == NONE || self.names.insert(name.to_vec(), index).is_some() {
            return broken("a name stands for two things");
        }
        self.policy.members.push(member);
        Ok(())
    }

    fn known(&self, name: &[u8]) -> Result<usize, Error> {
        match self.names.get(name) {
            Some(member) => Ok(*member),
            None => broken("a name is not defined in a line before"),
        }
    }
}

const NONE: &[u8] = b"none";

fn vkey(text: &[u8], kind: KeyKind) -> Result<NoteKey, Error> {
    let key = std::str::from_utf8(text).ok().map(str::parse::<NoteKey>);
    match key {
        Some(key) => match key? {
            key if key.kind() == kind => Ok(key),
            _ => broken("a key is of another kind: logs have kind 1, witnesses kind 4"),
        },
        None => broken("a key is no UTF-8"),
    }
}

fn broken<T>(rule: &'static str) -> Result<T, Error> {
    Err(Error::Policy { rule })
}

#[cfg(test)]
mod tests;
