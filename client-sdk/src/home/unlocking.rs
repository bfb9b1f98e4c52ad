//! What opens a home is changed: a passphrase for another, for a key file, or back (KEY-20). The keys inside stay, and so does
//! everything else: the home's seal hangs on its secrets and not on what closes them.

use super::{ClosedHome, SecretsKey, Unlock};
use crate::{Ground, Result};

/// Closes a home with something else from now on. Copies of the home that were made before still open with what closed them.
///
/// # Errors
/// [`crate::Error::WrongUnlock`] when `present` does not open it, [`crate::Error::WeakPassphrase`] for a new passphrase that is soon
/// guessed; then the home is as it was.
pub fn change_unlock(home: impl Into<Ground>, present: &Unlock, next: &Unlock) -> Result<()> {
    let closed = ClosedHome::at(home);
    let principal = closed.principal()?;
    let (_, home, key) = closed.unlock_to_change(&principal, present)?;
    let next = SecretsKey::new(next, home.system())?;
    let _lock = home.lock_here()?;
    // As they are now: another process may have sealed others meanwhile.
    let secrets = home.secrets(&principal, &key)?;
    home.reseal(&principal, &secrets, &next)
}
