//! What an institution gives back to a patient who recovers, and how it comes back to a server that was restored.

use crypto::shares::ShareReader;

use super::office::Office;
use crate::{
    Error, RestorationInfo, Result,
    keystore::{KeyStoreError, open_by_any},
    shares::{ReturnedFile, held_share},
};

pub(super) async fn return_share(
    office: &Office,
    file: &[u8],
    offer: &[u8],
    check: &str,
) -> Result<ReturnedFile> {
    let held = held_share(&office.session.patients, file, offer, check).await?;
    let holder = ShareReader::institution(&office.id());
    let share =
        open_by_any(office.key_store(), |key| held.open(key, &holder)).map_err(|error| match error {
            KeyStoreError::DoesNotOpen => held.not_opened(),
            error => error.into(),
        })?;
    held.give_back(office.session.system(), &share)
}

pub(super) async fn accept_restoration(office: &Office) -> Result<(RestorationInfo, bool)> {
    let restorations = &office.session.restorations;
    let found = restorations.find().await?;
    let already = found.is_none();
    if let Some(found) = found {
        restorations.take(found, true).await?;
    }
    match office.session.home.restorations()?.last() {
        Some(lived) => Ok((lived.into(), already)),
        None => Err(Error::Usage(
            "the server has not been restored, as far as this home is shown: there is nothing to accept"
                .into(),
        )),
    }
}
