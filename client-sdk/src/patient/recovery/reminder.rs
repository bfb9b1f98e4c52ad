//! A kit that nobody has tried for a year is a hope. When it was last made or tried is kept in the home, and nowhere
//! else.

use serde::{Deserialize, Serialize};

use crate::{Patient, Result, mint};

#[derive(Serialize, Deserialize)]
struct Proven {
    /// When the kit was made or rehearsed, in milliseconds since 1970.
    proven: u64,
    /// When she was last reminded; zero: not since then.
    #[serde(default)]
    reminded: u64,
}

impl Patient {
    /// Whether she should be reminded to rehearse, which she is once a day when a kit has not been tried for a year;
    /// and since when.
    ///
    /// # Errors
    /// [`crate::Error::HomeDamaged`], [`crate::Error::Io`].
    pub fn recovery_reminder(&self) -> Result<Option<u64>> {
        let Some(kept) = self.home().read_json::<Proven>(FILE)? else {
            return Ok(None);
        };
        let now = mint::now_ms();
        let old = now >= kept.proven.saturating_add(YEAR);
        if !old || now < kept.reminded.saturating_add(DAY) {
            return Ok(None);
        }
        let proven = kept.proven;
        self.home().write_json(
            FILE,
            &Proven {
                reminded: now,
                ..kept
            },
        )?;
        Ok(Some(proven))
    }

    /// The kit has been made or tried just now.
    pub(super) fn recovery_proven(&self) -> Result<()> {
        let proven = Proven {
            proven: mint::now_ms(),
            reminded: 0,
        };
        self.home().write_json(FILE, &proven)
    }
}

const FILE: &str = "recovery.json";
const DAY: u64 = 24 * 3600 * 1000;
const YEAR: u64 = 365 * DAY;
