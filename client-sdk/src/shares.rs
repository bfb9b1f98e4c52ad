//! Shares of somebody's recovery secret: as their holders keep them, and as
//! they give them back. See `protocol-spec/spec/recovery.md` §4.

use crypto::{
    Opens, SecureRandom,
    shares::{Share, ShareReader},
};
use prost::Message;
use protocol_spec::{
    bodies::RecoveryShares,
    devices::DeviceKind,
    field::ReadsAs,
    field::SealedBytes,
    ids::{DeviceId, PatientId},
    keys::RecipientKey,
    messages as pb,
    recovery::{CheckString, Division},
    statement::Signed,
};

use crate::{Error, Result, trust::OtherPatients};

/// A share on its way back.
#[derive(Clone, Debug)]
pub struct ReturnedFile {
    /// Whose vault it helps to restore.
    pub patient: PatientId,
    /// Which share it is, counted from 1.
    pub number: u8,
    /// The file for the machine that recovers; to anybody else it says nothing.
    pub file: Vec<u8>,
}

/// A share that its holder may give back, to a machine that was checked.
pub(crate) struct HeldShare {
    division: Division,
    number: u8,
    root_epoch: u64,
    sealed: SealedBytes,
    to: RecipientKey,
}

/// Reads a share and the offer of a machine that wants it, and checks both: the string that the owner has told
/// (RCV-9), and that the division is in force (RCV-8).
pub(crate) async fn held_share(
    patients: &OtherPatients,
    file: &[u8],
    offer: &[u8],
    check: &str,
) -> Result<HeldShare> {
    let to = read_offer(offer)?;
    if !CheckString::of(&to).is(check) {
        return Err(Error::Usage(
            "the check string is not that of this offer: ask the patient again, by voice, and do not go on if it \
             stays so"
                .into(),
        ));
    }
    let message: pb::TrusteeShare =
        protocol_spec::messages::decode(file).map_err(|_| wrong(THIS, "is no share"))?;
    let held = HeldShare {
        division: read_division(message.division, THIS)?,
        number: u8::try_from(message.number).unwrap_or_default(),
        root_epoch: message.root_epoch,
        sealed: SealedBytes::try_from(message.share).map_err(|_| wrong(THIS, "is no share"))?,
        to,
    };
    let member = DeviceId::from(&held.division.recovery_key);
    let list = patients.member_list(held.division.patient_id, member).await?;
    let member = list.as_ref().and_then(|list| list.device(member));
    if member.is_none_or(|member| member.kind != DeviceKind::Recovery) {
        return Err(Error::Usage(
            "this share opens nothing any more: the patient has made others, or has removed her trustees"
                .into(),
        ));
    }
    Ok(held)
}

impl HeldShare {
    /// Of the vault key that it is sealed to; zero for institutions.
    pub(crate) fn root_epoch(&self) -> u64 {
        self.root_epoch
    }

    /// Opens it with a key of its holder.
    pub(crate) fn open<R: Opens>(
        &self,
        with: &R,
        holder: &ShareReader,
    ) -> std::result::Result<Share, R::Error> {
        Share::open(with, &self.division, self.number, holder, &self.sealed)
    }

    /// Seals it to the machine.
    pub(crate) fn give_back(&self, random: &dyn SecureRandom, share: &Share) -> Result<ReturnedFile> {
        let sealed = share.give_back(random, &self.to, &self.division)?;
        let message = pb::ReturnedShare {
            division: Some(self.division.to_message()),
            number: self.number.into(),
            share: Some((&sealed).into()),
        };
        Ok(ReturnedFile {
            patient: self.division.patient_id,
            number: self.number,
            file: message.encode_to_vec(),
        })
    }

    pub(crate) fn wrong(&self, cause: &str) -> Error {
        wrong(THIS, cause)
    }

    /// The holder's keys do not open it.
    pub(crate) fn not_opened(&self) -> Error {
        self.wrong("is not sealed to this holder, or not what was entrusted")
    }
}

/// What a machine that recovers has offered.
fn read_offer(offer: &[u8]) -> Result<RecipientKey> {
    let message: Option<pb::RecoveryOffer> = protocol_spec::messages::decode(offer).ok();
    message
        .and_then(|message| RecipientKey::try_from(message.recipient_key.as_ref()).ok())
        .ok_or_else(|| Error::Usage("this is not what `recovery ask` writes: give that file".into()))
}

/// The division that a file names, verified (RCV-6).
pub(crate) fn read_division(message: impl ReadsAs<Signed<RecoveryShares>>, file: &str) -> Result<Division> {
    message
        .try_into()
        .and_then(Division::verify)
        .map_err(|error| wrong(file, &format!("is no share ({error})")))
}

pub(crate) fn wrong(file: &str, cause: &str) -> Error {
    Error::WrongShare {
        file: file.to_owned(),
        cause: cause.to_owned(),
    }
}

const THIS: &str = "this share";
