//! A machine that has nothing yet, and opens a vault again: with a kit's words, or with shares that
//! trustees have sealed to it.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::collections::HashSet;

use crypto::{RecipientSecret, RecoverySecret, shares::Share};
use prost::Message;
use protocol_spec::{
    devices::{DeviceKind, DeviceList},
    field::{Name, SealedBytes},
    ids::{DeviceId, PatientId},
    link::ServerLink,
    messages as pb,
    problem::Problem,
    recovery::{CheckString, Division},
    statement::Signed,
};

use crate::{
    DeviceInfo, Error, Ground, Patient, Result, Unlock,
    connect::bootstrap,
    home::{ClosedHome, Home, Kind, Principal, seeds},
    patient::{
        device_keys::DeviceKeys,
        devices::{self, Change, own_chain},
        given, heads,
        known::{KnownDevices, tampered},
        listed::{self, ListProof, Newcomer},
        lists::device_lists,
        opening,
        recovery::awake::Awake,
        removing,
        vault::Vault,
    },
    session::blocking,
    shares::{read_division, wrong},
};

/// A vault that this machine opens again.
pub struct Recovered {
    /// The patient, with a home of her own.
    pub patient: Patient,
    /// All devices of the vault, this one among them.
    pub devices: Vec<DeviceInfo>,
    /// When the list before was made, in milliseconds since 1970: if devices have changed since then, the server
    /// has shown an old state.
    pub list_made: u64,
    /// If the newest root key did not open: what was done about it.
    pub passed_over: Option<PassedOver>,
}

/// A newest root key that did not open, and that the vault was opened in spite of (DEV-30).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PassedOver {
    /// The first root epoch whose key did not open.
    #[serde(skip)]
    pub from: u64,
    /// The last root epoch that was passed over.
    #[serde(skip)]
    pub until: u64,
    /// What she calls the device that has put the first of these keys.
    pub by: String,
    /// When, in milliseconds since 1970, by the clock of that device.
    #[serde(serialize_with = "crate::text::moment")]
    pub at: u64,
    /// The devices that are off the list for it: whoever has put such a key, and what is there by their word or was added since.
    #[serde(serialize_with = "crate::text::named_devices")]
    pub removed: Vec<(DeviceId, String)>,
    /// Why what they have given has not all ended yet: removing them once more by their ids goes on with it.
    pub unfinished: Option<String>,
}

impl Recovered {
    /// Restores with the 24 words of a kit; `name` is what she calls this machine.
    /// Errors: [`Error::RecoveryWords`], [`Error::UnknownRecovery`], [`Error::HomeExists`]; [`Error::Tampered`] when
    /// the server shows a vault that the kit was not made for, or lists that do not verify. Nothing was changed then.
    pub async fn with_words(
        home: impl Into<Ground>,
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
    let pins = bootstrap(link, home.ground()).await?;
    let awake = Awake::wake(&pins, secret, home.ground()).await?;
    let member = &awake.vault;
    // RCV-10
    if expected.is_some_and(|expected| expected != member.id()) {
        return Err(Error::tampered("the vault")("the shares are of another patient"));
    }
    let list_made = member.keys.known().newest().created;
    let own = DeviceKeys::generate(home.system())?;
    let newcomer = Newcomer {
        device_key: own.signing.public(),
        recipient_key: own.recipient.public(),
        kind: DeviceKind::Device,
        name: &name,
        proof: ListProof::Same,
    };
    let mut passed_over = enter(member, &newcomer).await?;
    let answer = device_lists(&own.connect(&pins, home.ground())?, None).await?;
    must_go_on_from(&member.keys.known(), &answer)?;
    let chain = own_chain(&answer.devices, own.id(), member.id())?;
    if let Some((waiting, _)) = waited {
        // The key to which the shares were sealed has served.
        waiting.discard();
    }
    let vault = opening::settle(home, unlock, pins, own, chain, answer).await?;
    if let Some(passed_over) = &mut passed_over {
        finish_removals(&vault, passed_over).await;
    }
    let devices = listed::devices(&vault).await?;
    Ok(Recovered {
        patient: Patient { vault },
        devices,
        list_made,
        passed_over,
    })
}

/// Whether the lists are those that the member has verified and gone on with.
fn must_go_on_from(ours: &KnownDevices, answer: &pb::DeviceLists) -> Result<()> {
    let shown = usize::try_from(ours.newest().sequence).ok();
    let shown = Signed::<DeviceList>::try_from(shown.and_then(|at| answer.lists.get(at)).cloned());
    if shown.map_err(tampered)?.hash() == ours.newest().hash() {
        Ok(())
    } else {
        Err(tampered("it is not the one that was signed just now"))
    }
}

/// Removes for good who is not on the list any more. The vault is open, whatever fails from here on.
async fn finish_removals(vault: &Vault, passed_over: &mut PassedOver) {
    for (device, _) in &passed_over.removed {
        if let Err(error) = removing::remove_device(vault, *device, &HashSet::new(), &()).await {
            passed_over.unfinished = Some(error.to_string());
        }
    }
}

/// Adds a machine to the list of devices. If the newest root key does not open, or not lead on, the list goes on from the last one
/// that does, and those who have put it are not on it any more (DEV-30).
async fn enter(member: &Vault, newcomer: &Newcomer<'_>) -> Result<Option<PassedOver>> {
    let before = member.keys.known();
    if before.is_sound() {
        devices::add_device(member, newcomer).await?;
        return Ok(None);
    }
    let all = |known: &KnownDevices| given::responsible_with_members(member, known);
    let done = devices::change(member, &Change::Replace(&all, Some(newcomer))).await;
    // Recovery members of theirs may be settled: they have their time (DEV-23).
    if matches!(&done, Err(error) if error.is_problem(Problem::RecoveryKept)) {
        devices::change(
            member,
            &Change::Replace(&|known| given::responsible(member, known), Some(newcomer)),
        )
        .await?;
    } else {
        done?;
    }
    heads::put_head(member).await?;
    let after = member.keys.known();
    let removed = after.newest().removed(before.newest()).map(|device| {
        let id = device.id();
        Ok((id, before.name(id)?.as_str().to_owned()))
    });
    let Error::RootKeyUnusable { epoch, by, at, .. } = before.unusable() else {
        return Ok(None);
    };
    Ok(Some(PassedOver {
        from: epoch,
        until: after.newest().root_epoch.saturating_sub(1),
        by,
        at,
        removed: removed.collect::<Result<_>>()?,
        unfinished: None,
    }))
}

/// A machine that waits for shares. What it keeps is a key to which they are sealed.
pub struct RecoveringMachine {
    place: ClosedHome,
    home: Home,
    key: RecipientSecret,
}

impl RecoveringMachine {
    /// Makes the key, in a home of its own. Errors: [`Error::HomeExists`] and others.
    pub async fn prepare(home: impl Into<Ground>, unlock: &Unlock) -> Result<Self> {
        let place = ClosedHome::at(home);
        let key = RecipientSecret::generate(place.system())?;
        let principal = Principal::new(Kind::Recovering, CheckString::of(key.public()));
        let (at, unlock, seed) = (place.clone(), unlock.clone(), key.expose_seed());
        let home = blocking(move || at.create(&principal, seed.as_slice(), &unlock, &[])).await?;
        Ok(Self { place, home, key })
    }

    /// Reads back the machine that waits for shares. Errors: [`Error::HomeMissing`], [`Error::HomeKind`], [`Error::WrongUnlock`].
    pub async fn open(home: impl Into<Ground>, unlock: &Unlock) -> Result<Self> {
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
    /// Errors: [`Error::WrongShare`] names one that is not what was entrusted, or is of another division; also as
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
