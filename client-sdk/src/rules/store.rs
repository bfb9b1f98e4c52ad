//! The active rules in the home: the file as she wrote it, the ids of the institutions in it, a number, and her
//! device's signature over all of it.
//!
//! ```text
//! rules/active    signature, 128 hexadecimal digits
//!                 header, one line of JSON: format, patient, sequence, created, institutions by name
//!                 the rules file, unchanged
//! rules/highest   the highest sequence that was seen
//! ```
//! Signed is the pre-image of STM-1 over everything after the first line, under `STANDING_RULES`.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use protocol_spec::{
    ids::{InstitutionId, PatientId},
    keys::IdentityKey,
    labels,
    statement::preimage,
};
use serde::{Deserialize, Serialize};

use super::{model::Rules, verdict::Known};
use crate::{Error, Patient, Result, home::Home};

/// Rules that are active, verified.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StandingRules {
    /// One more with each activation.
    pub sequence: u64,
    /// When they were activated, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub created: u64,
    /// The rules file, as its author wrote it.
    #[serde(skip)]
    pub text: String,
    /// What the file says, with institutions by id.
    #[serde(flatten)]
    pub rules: Rules<Known>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    patient: String,
    sequence: u64,
    created: u64,
    institutions: BTreeMap<String, String>,
}

impl Patient {
    /// Finds the institutions that a rules file names in her verified directory, by exact name or id.
    /// Errors: [`Error::RulesFile`], [`Error::UnknownInstitution`],
    /// [`Error::AmbiguousInstitution`], and of the connection.
    pub async fn resolve_rules(&self, text: &str) -> Result<Rules<Known>> {
        let rules = Rules::parse(text)?;
        let mut found = BTreeMap::new();
        for name in rules.institutions() {
            if !found.contains_key(name) {
                found.insert(name.clone(), self.vault.exact_institution(name).await?);
            }
        }
        rules.resolve(|name| known(&found, name))
    }

    /// Signs a rules file and makes it the active one; the one before is replaced. Errors: as [`Self::resolve_rules`].
    pub async fn use_rules(&self, text: &str) -> Result<StandingRules> {
        let rules = self.resolve_rules(text).await?;
        let home = self.vault.home();
        home.make_folder(FOLDER)?;
        let _lock = home.lock().await?;
        // Higher than the present rules too, if a crash kept their number from being noted.
        let present = home.read(ACTIVE)?.unwrap_or_default();
        let present =
            decode(&present, self.id(), &self.vault.device_key()).map_or(0, |(header, _)| header.sequence);
        let sequence = highest(home)?.max(present).saturating_add(1);
        let header = Header {
            format: 1,
            patient: self.id().to_string(),
            sequence,
            created: home.system().now_ms(),
            institutions: rules
                .institutions()
                .into_iter()
                .map(|known| (known.written.clone(), known.id.to_string()))
                .collect(),
        };
        let signed = encode(&header, text, |message| self.vault.sign_by_device(message))
            .ok_or_else(|| home.damaged(ACTIVE))?;
        home.write(ACTIVE, &signed)?;
        home.write(HIGHEST, sequence.to_string().as_bytes())?;
        Ok(StandingRules {
            sequence,
            created: header.created,
            text: text.to_owned(),
            rules,
        })
    }

    /// The active rules; none when none were ever activated.
    /// Errors: [`Error::RulesChanged`] when they are not what this device signed last.
    pub fn rules(&self) -> Result<Option<StandingRules>> {
        let device = self.vault.device_key();
        load(self.vault.home(), self.id(), &device)
    }
}

/// Keeps a number, unless another process keeps one: that is no lower.
fn keep_highest(home: &Home, sequence: u64) -> Result<()> {
    let _lock = match home.try_lock() {
        Err(Error::HomeLocked { .. }) => return Ok(()),
        lock => lock?,
    };
    if sequence > highest(home)? {
        home.write(HIGHEST, sequence.to_string().as_bytes())?;
    }
    Ok(())
}

/// Reads and verifies the active rules, and keeps their number if it is the highest.
fn load(home: &Home, patient: PatientId, device: &IdentityKey) -> Result<Option<StandingRules>> {
    let highest = highest(home)?;
    let changed = |cause: &'static str| Error::RulesChanged {
        file: home.path(ACTIVE),
        cause,
    };
    let Some(bytes) = home.read(ACTIVE)? else {
        return if highest == 0 {
            Ok(None)
        } else {
            Err(changed("it is missing"))
        };
    };
    let (header, text) = decode(&bytes, patient, device).map_err(changed)?;
    if header.sequence < highest {
        return Err(changed("it is an older one that was put back"));
    }
    let mut found = BTreeMap::new();
    for (name, id) in &header.institutions {
        let id: InstitutionId = id.parse().map_err(|_| changed("its header is malformed"))?;
        found.insert(name.clone(), id);
    }
    let rules = Rules::parse(text)?.resolve(|name| known(&found, name))?;
    if header.sequence > highest {
        keep_highest(home, header.sequence)?;
    }
    Ok(Some(StandingRules {
        sequence: header.sequence,
        created: header.created,
        text: text.to_owned(),
        rules,
    }))
}

fn encode(header: &Header, text: &str, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Option<Vec<u8>> {
    let body = serde_json::to_string(header).ok()? + "\n" + text;
    let signature = HEXLOWER.encode(&sign(&preimage(labels::STANDING_RULES, body.as_bytes())));
    Some((signature + "\n" + &body).into_bytes())
}

/// Header and file, if this device signed them.
fn decode<'a>(
    bytes: &'a [u8],
    patient: PatientId,
    device: &IdentityKey,
) -> Result<(Header, &'a str), &'static str> {
    let malformed = "it is malformed";
    let text = std::str::from_utf8(bytes).map_err(|_| malformed)?;
    let (signature, body) = text.split_once('\n').ok_or(malformed)?;
    let signature = HEXLOWER.decode(signature.as_bytes()).map_err(|_| malformed)?;
    let signature = signature.as_slice().try_into().map_err(|_| malformed)?;
    device
        .verify(&preimage(labels::STANDING_RULES, body.as_bytes()), signature)
        .map_err(|_| "its signature does not verify")?;
    let (header, rules) = body.split_once('\n').ok_or(malformed)?;
    let header: Header = serde_json::from_str(header).map_err(|_| "its header is malformed")?;
    if header.format != 1 || header.patient != patient.to_string() {
        return Err("it is for another program or patient");
    }
    Ok((header, rules))
}

fn known(found: &BTreeMap<String, InstitutionId>, name: &str) -> Result<Known> {
    let id = found
        .get(name)
        .ok_or_else(|| Error::UnknownInstitution { name: name.into() })?;
    Ok(Known {
        id: *id,
        written: name.to_owned(),
    })
}

fn highest(home: &Home) -> Result<u64> {
    let Some(bytes) = home.read(HIGHEST)? else {
        return Ok(0);
    };
    let text = std::str::from_utf8(&bytes).ok();
    text.and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| home.damaged(HIGHEST))
}

pub(super) const FOLDER: &str = "rules";
const ACTIVE: &str = "rules/active";
const HIGHEST: &str = "rules/highest";

#[cfg(test)]
mod tests;
