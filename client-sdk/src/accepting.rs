//! Goes on with a server that was restored from a backup, as whoever lives in a home. See `protocol-spec/spec/restoration.md`.

use crate::{
    Ground, Institution, Patient, RestorationInfo, Result, Unlock,
    home::{ClosedHome, Kind},
    patient::Returned,
};

/// What has become of a restoration that somebody was told of.
#[derive(Clone, Debug)]
pub enum AcceptedRestoration {
    /// By a device of a patient's.
    Patient(Box<Returned>),
    /// By an institution or a terminal: what was restored, and whether it was accepted before.
    Institution(RestorationInfo, bool),
}

/// Goes on with a server that was restored, if operator and registrar have signed that.
///
/// # Errors
/// [`crate::Error::Usage`] if nothing was restored; [`crate::Error::Tampered`] for what is not proven; of the connection. The home is then as it was.
pub async fn accept_restoration(home: impl Into<Ground>, unlock: &Unlock) -> Result<AcceptedRestoration> {
    let home = home.into();
    match ClosedHome::at(home.clone()).principal()?.kind {
        Kind::Patient => Ok(AcceptedRestoration::Patient(Box::new(
            Patient::accept_restoration(home, unlock).await?,
        ))),
        _ => {
            let institution = Institution::open(home, unlock).await?;
            let (info, already) = institution.accept_restoration().await?;
            Ok(AcceptedRestoration::Institution(info, already))
        }
    }
}
