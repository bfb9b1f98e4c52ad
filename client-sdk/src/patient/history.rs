//! What happened to her vault: who asked, what she permitted, who presented, what was stored and released.
//!
//! Statements are checked by their makers' keys, receipts by the log, presentations by both signatures; whether an entry goes with
//! those before it, the walk of [`protocol_spec::history`] says.
//!
//! | module | holds |
//! |---|---|
//! | `check` | the whole history against everything else that the server shows |
//! | `item`, `line` | an entry as it was read; laid out in columns |
//! | `what` | the kinds of entries; requests, permissions and what is said about them |
//! | `moved`, `emergency`, `delegates` | how the other kinds are read |
//! | `reading` | what entries are checked against and explained by |
//! | `named` | whom and what an entry names |
//! | `seen` | what this device has seen at the last time |

pub(in crate::patient) mod check;
mod delegates;
mod emergency;
pub(in crate::patient) mod item;
mod line;
mod moved;
mod named;
mod reading;
mod seen;
mod what;

use protocol_spec::{history::Walk, messages as pb};

pub use self::{
    check::HistoryCheck,
    emergency::EmergencyEntry,
    item::HistoryItem,
    line::HistoryLine,
    moved::{PresentedEntry, ReleasedEntry, StoredEntry},
    named::{DeviceChange, DeviceRef, HistorySigner, PermissionRef, TerminalRef},
    what::HistoryWhat,
};
use self::{
    reading::{HistoryReading, OwnGrounds, Told, tampered},
    seen::Seen,
};
use crate::{
    Error, Result,
    patient::{listed, paged, vault::Vault},
};

/// A history that was gone through.
struct WholeHistory {
    items: Vec<HistoryItem>,
    walk: Walk<OwnGrounds>,
    seen: Seen,
    /// What this device had seen at the last time.
    before: Option<Seen>,
}

pub(super) async fn history(vault: &Vault) -> Result<Vec<HistoryItem>> {
    let whole = walk_history(vault).await?;
    if whole.items.iter().all(|item| item.problem().is_none()) {
        whole.seen.keep(&vault.session.home, whole.before).await?;
    }
    Ok(whole.items)
}

/// Goes through the history. What it has seen is kept by the caller, if it believes it.
async fn walk_history(vault: &Vault) -> Result<WholeHistory> {
    let mut items = Vec::new();
    let first = listed::refresh_devices(vault).await?.list(0);
    let first = first.ok_or_else(|| tampered("there is no list of devices"))?;
    let mut reading = HistoryReading::begin(vault, first)?;
    let (before, mut seen) = (Seen::read(&vault.session.home)?, Seen::nothing());
    let mut pages = paged::history_pages(vault);
    while let Some(page) = pages.next().await? {
        for entry in page.entries {
            if entry.number != seen.entries + 1 {
                return Err(Error::tampered("the history")(
                    "entries are missing or out of order",
                ));
            }
            seen.add(&entry);
            seen.check(before.as_ref())?;
            items.push(read(&mut reading, entry).await?);
        }
    }
    seen.check_length(before.as_ref())?;
    Ok(WholeHistory {
        items,
        walk: reading.walk,
        seen,
        before,
    })
}

/// Reads one entry. What fails on this side says nothing about it (OPR-8).
async fn read(reading: &mut HistoryReading<'_>, entry: pb::HistoryEntry) -> Result<HistoryItem> {
    reading.at = entry.at;
    let told = match entry.what {
        Some(what) => what::read(reading, what).await,
        None => Err(tampered("it is empty")),
    };
    let told = match told {
        Err(error) if error.is_of_this_side() => return Err(error),
        Err(error) => Told::new(HistoryWhat::Unverified {
            problem: error.to_string(),
        }),
        Ok(told) => told,
    };
    Ok(HistoryItem::new(entry.number, entry.at, told))
}
