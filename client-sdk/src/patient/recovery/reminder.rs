//! A kit that nobody has tried for a year is a hope. When it was last made or tried is kept in
//! the home, and nowhere else.

use serde::{Deserialize, Serialize};

use crate::{Result, patient::vault::Vault};

#[derive(Serialize, Deserialize)]
struct Proven {
    /// When the kit was made or rehearsed, in milliseconds since 1970.
    proven: u64,
    /// When she was last reminded; zero: not since then.
    #[serde(default)]
    reminded: u64,
}

pub(in crate::patient) fn recovery_reminder(vault: &Vault) -> Result<Option<u64>> {
    let Some(kept) = vault.home().read_json::<Proven>(FILE)? else {
        return Ok(None);
    };
    let now = vault.session.system().now_ms();
    let old = now >= kept.proven.saturating_add(YEAR);
    if !old || now < kept.reminded.saturating_add(DAY) {
        return Ok(None);
    }
    let proven = kept.proven;
    vault.home().write_json(
        FILE,
        &Proven {
            reminded: now,
            ..kept
        },
    )?;
    Ok(Some(proven))
}

/// The kit has been made or tried just now.
pub(in crate::patient) fn recovery_proven(vault: &Vault) -> Result<()> {
    let proven = Proven {
        proven: vault.session.system().now_ms(),
        reminded: 0,
    };
    vault.home().write_json(FILE, &proven)
}

const FILE: &str = "recovery.json";
const DAY: u64 = 24 * 3600 * 1000;
const YEAR: u64 = 365 * DAY;
