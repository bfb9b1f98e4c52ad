//! The kit: 24 words on paper, and the rehearsal that proves them.

use std::fmt;

use crypto::{RecoverySecret, RecoveryWords};
use protocol_spec::ids::DeviceId;
use zeroize::Zeroizing;

use super::{KIT, RecoveryMember, awake::Awake, sheet::Sheet};
use crate::{CollectionInfo, DeviceInfo, Error, Patient, Progress, Result, mint};

/// A kit that was made on this machine and is kept nowhere. It opens nothing before [`Patient::use_kit`].
pub struct Kit {
    secret: RecoverySecret,
    words: RecoveryWords,
}

impl Kit {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> Result<Self> {
        let secret = RecoverySecret::generate()?;
        let words = secret.words()?;
        Ok(Self { secret, words })
    }

    /// Three different places in the words, by chance: who can say what stands there has them at hand.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn three_places(&self) -> Result<[usize; 3]> {
        let mut places: Vec<usize> = (1..=crypto::WORDS).collect();
        let chance: [u8; 3] = mint::random()?;
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

impl Patient {
    /// The kit as a PDF of one page. It holds the words.
    ///
    /// # Errors
    /// Those of reading the home.
    pub fn kit_sheet(&self, kit: &Kit) -> Result<Zeroizing<Vec<u8>>> {
        let principal = self.home().principal()?;
        let now = mint::now_ms();
        Sheet {
            words: &kit.words,
            patient: self.id(),
            link: &self.home().pins(&principal)?.link,
            date: &day(now),
        }
        .to_pdf()
    }

    /// From now on this kit opens the vault, and one before it does not any more: what the one before could open is
    /// brought under new keys, and `progress` counts its records. One that is settled goes at once only with its own words,
    /// `before`; else it stays for a while, and its leaving is announced on all devices (DEV-23).
    ///
    /// # Errors
    /// [`Error::RecoveryWords`], [`Error::UnknownRecovery`] for words that are not those of the one before.
    /// Of the connection, and what the server refuses. After [`Error::Unreachable`] nobody knows which kit is in force; else
    /// the new one is of no use, and one before it as good as ever.
    pub async fn use_kit(
        &self,
        kit: &Kit,
        before: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<RecoveryMember> {
        if let Some(words) = before {
            self.wake(words).await?.patient.announce_own_leaving().await?;
        }
        let member = self.add_member(&kit.secret, KIT, progress).await?;
        self.recovery_proven()?;
        Ok(member)
    }

    /// Whether the list of devices has a kit.
    ///
    /// # Errors
    /// As [`Self::devices`].
    pub async fn has_kit(&self) -> Result<bool> {
        Ok(self.devices().await?.iter().any(|device| device.name == KIT))
    }

    /// Does with a kit's words all that a restoration does before it changes anything (RCV-11).
    ///
    /// # Errors
    /// [`Error::RecoveryWords`], [`Error::UnknownRecovery`]; [`Error::Usage`] for the words of another vault.
    pub async fn rehearse(&self, words: &str) -> Result<Rehearsed> {
        // Its folder lives as long as it does, and goes with it.
        let woken = self.wake(words).await?;
        let awake = &woken.patient;
        let (shown, seen) = (awake.refresh_devices().await?, self.refresh_devices().await?);
        if shown.newest().hash() != seen.newest().hash() {
            return Err(Error::tampered("the list of devices")(
                "the kit is shown another one than this device",
            ));
        }
        let rehearsed = Rehearsed {
            member: awake.keys.own.id(),
            collections: awake.collections().await?,
            devices: awake.devices().await?,
            list_made: shown.newest().created,
        };
        self.recovery_proven()?;
        Ok(rehearsed)
    }

    /// The member of this vault whose words these are.
    async fn wake(&self, words: &str) -> Result<Awake> {
        let secret = RecoverySecret::from_words(words).map_err(Error::RecoveryWords)?;
        let pins = self.home().pins(&self.home().principal()?)?;
        let woken = Awake::wake(&pins, &secret).await?;
        if woken.patient.id() != self.id() {
            return Err(Error::Usage(format!(
                "these are the words of another vault, that of {}",
                woken.patient.id()
            )));
        }
        Ok(woken)
    }
}

/// `2026-11-25`, in UTC.
pub(crate) fn day(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}
