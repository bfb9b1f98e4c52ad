//! The kit: 24 words on paper, and the rehearsal that proves them.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::fmt;

use crypto::{RecoverySecret, RecoveryWords};
use protocol_spec::ids::DeviceId;
use zeroize::Zeroizing;

use crate::{
    CollectionInfo, DeviceInfo, Error, Patient, Progress, Result,
    patient::{
        collections, devices, listed,
        recovery::{self, KIT, RecoveryMember, awake::Awake, reminder, sheet::Sheet},
        vault::Vault,
    },
};

/// A kit that was made on this machine and is kept nowhere. It opens nothing before [`Patient::use_kit`].
pub struct Kit {
    secret: RecoverySecret,
    words: RecoveryWords,
}

impl Kit {
    /// Makes a kit with new words, for this patient.
    /// Errors: when the system has no random bytes.
    pub fn generate(patient: &Patient) -> Result<Self> {
        let secret = RecoverySecret::generate(patient.vault.session().system())?;
        let words = secret.words()?;
        Ok(Self { secret, words })
    }

    /// Three different places in the words, by chance: who can say what stands there has them at hand.
    /// Errors: when the system has no random bytes.
    pub fn three_places(&self, patient: &Patient) -> Result<[usize; 3]> {
        let mut places: Vec<usize> = (1..=crypto::WORDS).collect();
        let chance: [u8; 3] = patient.vault.session().system().random()?;
        let drawn = chance.map(|byte| places.swap_remove(usize::from(byte) % places.len()));
        Ok(drawn)
    }

    /// What is to be written down.
    pub fn words(&self) -> &RecoveryWords {
        &self.words
    }
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, words: _ } = self;
        f.write_str("Kit(..)")
    }
}

/// What a rehearsal has found.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// The member whose words these are.
    pub member: DeviceId,
    /// The collections whose keys the words open.
    pub collections: Vec<CollectionInfo>,
    /// The devices that the words find.
    pub devices: Vec<DeviceInfo>,
    /// When the newest list of devices was made, in milliseconds since 1970, by the clock of its signer.
    pub list_made: u64,
}

pub(in crate::patient) fn kit_sheet(vault: &Vault, kit: &Kit) -> Result<Zeroizing<Vec<u8>>> {
    let principal = vault.home().principal()?;
    let now = vault.session.system().now_ms();
    Sheet {
        words: &kit.words,
        patient: vault.id(),
        link: &vault.home().pins(&principal)?.link,
        date: &day(now),
    }
    .to_pdf()
}

pub(in crate::patient) async fn use_kit(
    vault: &Vault,
    kit: &Kit,
    before: Option<&str>,
    progress: &dyn Progress,
) -> Result<RecoveryMember> {
    if let Some(words) = before {
        devices::announce_own_leaving(&wake(vault, words).await?.vault).await?;
    }
    let member = recovery::add_member(vault, &kit.secret, KIT, progress).await?;
    reminder::recovery_proven(vault)?;
    Ok(member)
}

pub(in crate::patient) async fn has_kit(vault: &Vault) -> Result<bool> {
    Ok(listed::devices(vault)
        .await?
        .iter()
        .any(|device| device.name == KIT))
}

pub(in crate::patient) async fn rehearse(vault: &Vault, words: &str) -> Result<Rehearsed> {
    // Its folder lives as long as it does, and goes with it.
    let woken = wake(vault, words).await?;
    let awake = &woken.vault;
    let (shown, seen) = (
        listed::refresh_devices(awake).await?,
        listed::refresh_devices(vault).await?,
    );
    if shown.newest().hash() != seen.newest().hash() {
        return Err(Error::tampered("the list of devices")(
            "the kit is shown another one than this device",
        ));
    }
    let rehearsed = Rehearsed {
        member: awake.keys.own.id(),
        collections: collections::collections(awake).await?,
        devices: listed::devices(awake).await?,
        list_made: shown.newest().created,
    };
    reminder::recovery_proven(vault)?;
    Ok(rehearsed)
}

/// The member of this vault whose words these are.
async fn wake(vault: &Vault, words: &str) -> Result<Awake> {
    let secret = RecoverySecret::from_words(words).map_err(Error::RecoveryWords)?;
    let pins = vault.home().pins(&vault.home().principal()?)?;
    let woken = Awake::wake(&pins, &secret, vault.home().ground()).await?;
    if woken.vault.id() != vault.id() {
        return Err(Error::Usage(format!(
            "these are the words of another vault, that of {}",
            woken.vault.id()
        )));
    }
    Ok(woken)
}

/// A day such as `2026-11-25`, in UTC.
pub(crate) fn day(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}
