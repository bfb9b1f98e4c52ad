//! Trustees: a secret that nobody has, and some of them have together.

use std::{collections::HashSet, fmt};

use bytes::Bytes;
use crypto::{
    RecoverySecret,
    shares::{Share, ShareReader},
};
use prost::Message;
use protocol_spec::{
    bodies::RecoveryShares,
    field::SealedBytes,
    ids::PatientId,
    messages::{self as pb, trustee_share::Holder},
    recovery::{Division, MAX_SHARES},
    statement::Signed,
};

use crate::{
    DirectoryEntry, Error, Progress, Result,
    patient::{
        listed,
        recovery::{self, RecoveryMember, TRUSTEES},
        vault::Vault,
    },
    shares::{ReturnedFile, held_share},
};

/// Somebody who is trusted with a share.
#[derive(Clone, Debug)]
pub enum Trustee {
    /// Another patient of the server, by her id.
    Patient(PatientId),
    /// An institution that the registrar has accredited.
    Institution(Box<DirectoryEntry>),
}

impl Trustee {
    fn id(&self) -> [u8; 32] {
        match self {
            Self::Patient(id) => *id.as_bytes(),
            Self::Institution(entry) => *entry.id().as_bytes(),
        }
    }
}

impl fmt::Display for Trustee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patient(id) => id.fmt(f),
            // Names alone can be taken for one another (INS-17).
            Self::Institution(entry) => write!(f, "{} ({})", entry.name().as_str(), entry.id()),
        }
    }
}

/// A divided secret that opens nothing before [`crate::Patient::use_trustees`].
pub struct NewTrustees {
    secret: RecoverySecret,
    threshold: u8,
    /// What each trustee is to be given.
    pub shares: Vec<EntrustedShare>,
}

/// One trustee's share, sealed to him.
#[derive(Clone, Debug)]
pub struct EntrustedShare {
    /// The share's number, counted from 1.
    pub number: u8,
    /// The trustee to whom the share is sealed.
    pub trustee: String,
    /// The file for him; to anybody else it says nothing.
    pub file: Vec<u8>,
}

/// Trustees who can restore the vault together.
#[derive(Clone, Debug)]
pub struct Entrusted {
    /// Their member of the list.
    pub member: RecoveryMember,
    /// How many shares it takes to recover.
    pub threshold: u8,
}

pub(in crate::patient) async fn trustee(vault: &Vault, id_or_name: &str) -> Result<Trustee> {
    match id_or_name.parse() {
        Ok(id) => Ok(Trustee::Patient(id)),
        Err(_) => {
            let found = vault.session.mirror.find_named(id_or_name).await?;
            let present = vault.session.mirror.as_of_now(found.id()).await?;
            Ok(Trustee::Institution(Box::new(present)))
        }
    }
}

pub(in crate::patient) async fn new_trustees(
    vault: &Vault,
    threshold: u8,
    trustees: &[Trustee],
) -> Result<NewTrustees> {
    let holders = check_trustees(vault, threshold, trustees)?;
    let secret = RecoverySecret::generate(vault.session.system())?;
    let identity = secret.keys()?.identity;
    let shares = secret.divide(vault.session.system(), threshold, holders)?;
    let (patient_id, recovery_key) = (vault.id(), identity.public());
    let body = RecoveryShares {
        created: vault.session.system().now_ms(),
        patient_id,
        recovery_key,
        threshold: threshold.into(),
        commitments: shares
            .iter()
            .map(|share| share.commitment(&patient_id, &recovery_key))
            .collect(),
    };
    let division = Division::verify(Signed::sign(body, |message| identity.sign_bytes(message)))?;
    let mut entrusted = Vec::with_capacity(shares.len());
    for (share, trustee) in shares.iter().zip(trustees) {
        entrusted.push(EntrustedShare {
            number: share.number(),
            trustee: trustee.to_string(),
            file: entrust(vault, share, &division, trustee).await?.encode_to_vec(),
        });
    }
    Ok(NewTrustees {
        secret,
        threshold,
        shares: entrusted,
    })
}

pub(in crate::patient) async fn use_trustees(
    vault: &Vault,
    new: &NewTrustees,
    progress: &dyn Progress,
) -> Result<Entrusted> {
    Ok(Entrusted {
        member: recovery::add_member(vault, &new.secret, TRUSTEES, progress).await?,
        threshold: new.threshold,
    })
}

pub(in crate::patient) async fn return_share(
    vault: &Vault,
    file: &[u8],
    offer: &[u8],
    check: &str,
) -> Result<ReturnedFile> {
    let held = held_share(&vault.session.patients, file, offer, check).await?;
    let known = listed::known_epoch(vault, held.root_epoch()).await?;
    let key = known
        .vault_key(held.root_epoch())
        .ok_or_else(|| held.wrong("is sealed to a key that the vault never had"))?;
    let share = held.open(key, &ShareReader::patient(&vault.id()));
    held.give_back(vault.session.system(), &share.map_err(|_| held.not_opened())?)
}

fn check_trustees(vault: &Vault, threshold: u8, trustees: &[Trustee]) -> Result<u8> {
    let usage = |text: String| Err(Error::Usage(text));
    let holders = u8::try_from(trustees.len()).unwrap_or(u8::MAX);
    if !(2..=MAX_SHARES).contains(&holders) {
        return usage(format!("name 2 to {MAX_SHARES} trustees"));
    }
    if !(2..=holders).contains(&threshold) {
        return usage(format!(
            "the threshold is from 2 to the number of trustees, {holders}"
        ));
    }
    let ids: HashSet<_> = trustees.iter().map(Trustee::id).collect();
    if ids.len() != trustees.len() {
        return usage("a trustee stands twice: name each once".into());
    }
    if ids.contains(vault.id().as_bytes()) {
        return usage("you cannot be your own trustee: name somebody else".into());
    }
    Ok(holders)
}

/// Seals a share to its holder alone (RCV-8).
async fn entrust(
    vault: &Vault,
    share: &Share,
    division: &Division,
    trustee: &Trustee,
) -> Result<pb::TrusteeShare> {
    let (sealed, holder, root_epoch): (SealedBytes, _, _) = match trustee {
        Trustee::Patient(id) => {
            let key = vault.session.patients.vault_key(*id).await?;
            let sealed = share.seal(
                vault.session.system(),
                &key.vault_key,
                division,
                &ShareReader::patient(id),
            )?;
            (sealed, Holder::PatientId(copy(id.as_bytes())), key.root_epoch)
        }
        Trustee::Institution(entry) => {
            let reader = ShareReader::institution(&entry.id());
            let sealed = share.seal(vault.session.system(), entry.recipient_key(), division, &reader)?;
            (sealed, Holder::InstitutionId(copy(entry.id().as_bytes())), 0)
        }
    };
    Ok(pb::TrusteeShare {
        division: Some(division.to_message()),
        number: share.number().into(),
        holder: Some(holder),
        root_epoch,
        share: Some((&sealed).into()),
    })
}

fn copy(id: &[u8; 32]) -> Bytes {
    Bytes::copy_from_slice(id)
}

impl fmt::Debug for NewTrustees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            secret: _,
            threshold,
            shares,
        } = self;
        f.debug_struct("NewTrustees")
            .field("threshold", threshold)
            .field("shares", shares)
            .finish_non_exhaustive()
    }
}
