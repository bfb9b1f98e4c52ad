//! A machine that has nothing yet, and opens a vault again: with a kit's words, or with shares that trustees have
//! sealed to it.

use std::path::Path;

use crypto::{RecipientSecret, RecoverySecret, shares::Share};
use prost::Message;
use protocol_spec::{
    devices::{DeviceKind, DeviceList},
    field::{Name, SealedBytes},
    ids::PatientId,
    link::ServerLink,
    messages as pb,
    recovery::{CheckString, Division},
    statement::Signed,
};

use super::{
    super::{
        devices::{Newcomer, Proof, own_chain},
        keys::DeviceKeys,
        known::tampered,
        link::device_lists,
    },
    awake::Awake,
};
use crate::{
    DeviceInfo, Error, Patient, Result, Unlock,
    connect::bootstrap,
    home::{ClosedHome, Home, Kind, Principal, seeds},
    session::blocking,
    shares::{read_division, wrong},
};

/// A vault that this machine opens again.
pub struct Recovered {
    /// The patient, with a home of her own.
    pub patient: Patient,
    /// All devices of the vault, this one among them.
    pub devices: Vec<DeviceInfo>,
    /// When the list before was made, in milliseconds since 1970: if devices have changed since then, the server has
    /// shown an old state.
    pub list_made: u64,
}

impl Recovered {
    /// Restores with the 24 words of a kit; `name` is what she calls this machine.
    ///
    /// # Errors
    /// [`Error::RecoveryWords`], [`Error::UnknownRecovery`], [`Error::HomeExists`]; [`Error::Tampered`] when the server shows
    /// a vault that the kit was not made for, or lists that do not verify. Nothing was changed then.
    pub async fn with_words(
        home: &Path,
        unlock: &Unlock,
        link: &ServerLink,
        words: &str,
        name: &str,
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        home.must_be_free()?;
        let secret = RecoverySecret::from_words(words).map_err(Error::RecoveryWords)?;
        restore(home, unlock, link, &secret, name, None).await
    }
}

/// Adds this machine to the vault by a member's signature, and nothing else (RCV-4).
async fn restore(
    home: ClosedHome,
    unlock: &Unlock,
    link: &ServerLink,
    secret: &RecoverySecret,
    name: &str,
    waited: Option<(Home, PatientId)>,
) -> Result<Recovered> {
    let expected = waited.as_ref().map(|(_, patient)| *patient);
    let name = Name::try_from(name.to_owned())?;
    let pins = bootstrap(link).await?;
    let awake = Awake::wake(&pins, secret).await?;
    let member = &awake.patient;
    // RCV-10
    if expected.is_some_and(|expected| expected != member.id()) {
        return Err(Error::tampered("the vault")("the shares are of another patient"));
    }
    let list_made = member.keys.known().newest().created;
    let own = DeviceKeys::generate()?;
    let newcomer = Newcomer {
        device_key: own.signing.public(),
        recipient_key: own.recipient.public(),
        kind: DeviceKind::Device,
        name: &name,
        proof: Proof::Same,
    };
    member.add_device(&newcomer).await?;
    let answer = device_lists(&own.connect(&pins)?, None).await?;
    // The lists are those that the member has verified and gone on with.
    let ours = member.keys.known();
    let shown = usize::try_from(ours.newest().sequence).ok();
    let shown = Signed::<DeviceList>::try_from(shown.and_then(|at| answer.lists.get(at)).cloned());
    if shown.map_err(tampered)?.hash() != ours.newest().hash() {
        return Err(tampered("it is not the one that was signed just now"));
    }
    let chain = own_chain(&answer.devices, own.id(), member.id())?;
    if let Some((waiting, _)) = waited {
        // The key to which the shares were sealed has served.
        waiting.discard();
    }
    let patient = Patient::settle(home, unlock, pins, own, chain, answer).await?;
    let devices = patient.devices().await?;
    Ok(Recovered {
        patient,
        devices,
        list_made,
    })
}

/// A machine that waits for shares. What it keeps is a key to which they are sealed.
pub struct RecoveringMachine {
    place: ClosedHome,
    home: Home,
    key: RecipientSecret,
}

impl RecoveringMachine {
    /// Makes the key, in a home of its own.
    ///
    /// # Errors
    /// [`Error::HomeExists`] and others.
    pub async fn prepare(home: &Path, unlock: &Unlock) -> Result<Self> {
        let place = ClosedHome::at(home);
        let key = RecipientSecret::generate()?;
        let principal = Principal::new(Kind::Recovering, CheckString::of(key.public()));
        let (at, unlock, seed) = (place.clone(), unlock.clone(), key.expose_seed());
        let home = blocking(move || at.create(&principal, seed.as_slice(), &unlock, &[])).await?;
        Ok(Self { place, home, key })
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`Error::HomeMissing`], [`Error::HomeKind`], [`Error::WrongUnlock`].
    pub async fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        let place = ClosedHome::at(home);
        let principal = place.principal_of(Kind::Recovering)?;
        let (at, unlock) = (place.clone(), unlock.clone());
        let (secrets, home) = blocking(move || at.unlock(&principal, &unlock)).await?;
        let [seed] = seeds(&secrets).ok_or_else(|| home.damaged("secrets.sealed"))?;
        let key = RecipientSecret::from_seed(seed)?;
        Ok(Self { place, home, key })
    }

    /// The file for the trustees.
    pub fn offer(&self) -> Vec<u8> {
        let recipient_key = bytes::Bytes::copy_from_slice(self.key.public().as_bytes());
        pb::RecoveryOffer { recipient_key }.encode_to_vec()
    }

    /// What the patient tells each trustee by voice (RCV-9).
    pub fn check_string(&self) -> String {
        CheckString::of(self.key.public()).to_string()
    }

    /// Restores with shares that trustees have given back; each comes with a name for error texts.
    ///
    /// # Errors
    /// [`Error::WrongShare`] names one that is not what was entrusted, or is of another division; also as
    /// [`Recovered::with_words`]. Nothing was changed then.
    pub async fn recover(
        self,
        unlock: &Unlock,
        link: &ServerLink,
        shares: &[(String, Vec<u8>)],
        name: &str,
    ) -> Result<Recovered> {
        let (division, shares) = self.open_shares(shares)?;
        let secret = RecoverySecret::combine(&division, &shares).map_err(|error| match error {
            error @ crypto::Error::TooFewShares { .. } => {
                Error::Usage(format!("{error}: ask other trustees for theirs"))
            }
            error => Error::tampered("what the shares give")(error),
        })?;
        let waited = (self.home, division.patient_id);
        restore(self.place, unlock, link, &secret, name, Some(waited)).await
    }

    /// All shares must be of the division that the first one is of (RCV-10).
    fn open_shares(&self, files: &[(String, Vec<u8>)]) -> Result<(Division, Vec<Share>)> {
        let (mut division, mut shares) = (None, Vec::new());
        for (file, bytes) in files {
            let message: pb::ReturnedShare =
                protocol_spec::messages::decode(bytes).map_err(|_| wrong(file, "is no share"))?;
            let own = read_division(message.division, file)?;
            let division = division.get_or_insert_with(|| own.clone());
            if own.hash() != division.hash() {
                return Err(wrong(
                    file,
                    "does not belong to the same division as the first one",
                ));
            }
            let number = u8::try_from(message.number).unwrap_or_default();
            let sealed = SealedBytes::try_from(message.share).map_err(|_| wrong(file, "is no share"))?;
            let share = Share::take_back(&self.key, division, number, &sealed).map_err(|_| {
                wrong(
                    file,
                    &format!("is not share {number} as it was entrusted, or is not for this machine"),
                )
            })?;
            shares.push(share);
        }
        let division = division.ok_or_else(|| Error::Usage("give the files of the shares".into()))?;
        Ok((division, shares))
    }
}
