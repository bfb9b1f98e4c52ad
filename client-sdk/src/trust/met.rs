//! What ids stand for. Requests, permissions and records are named by ids that others mint, and nothing in such an
//! id says what it names: a server that works with one accredited institution or one patient could show a person one
//! thing under an id, and hand out another when she answers it. So the first verified meaning of an id is kept
//! in the home, and another is refused (FLW-13).

use protocol_spec::{
    bodies::VaultKeyStatement,
    defence::Defence,
    devices::DeviceList,
    hash::Sha256Digest,
    ids::{PatientId, PermissionId, RequestId, VersionId},
    statement::Verified,
    vault_head::HeadRef,
};

use crate::{Contradiction, Error, Result, home::Home};

/// The first meanings of ids, in the books of a home. A book is read and written in one call, so there is nothing to lock.
pub(crate) struct Meanings {
    home: Home,
}

impl Meanings {
    pub(crate) fn new(home: Home) -> Self {
        Self { home }
    }

    /// This request was met: from now on its id means these bytes.
    pub(crate) fn request(&self, id: RequestId, hash: &Sha256Digest) -> Result<()> {
        self.keep(&id.to_string(), &hash.to_string(), "the request")
    }

    /// This permission was met: from now on its id means one by this patient, in answer to this request.
    pub(crate) fn permission(
        &self,
        id: PermissionId,
        patient: PatientId,
        request: &Sha256Digest,
    ) -> Result<()> {
        self.keep(&id.to_string(), &format!("{patient} {request}"), "the permission")
    }

    /// This record version was met: from now on its id means this manifest, and with it this content. Whoever was
    /// permitted to read a version has its key, and could seal another content with it.
    pub(crate) fn version(&self, id: VersionId, manifest: &Sha256Digest) -> Result<()> {
        self.keep(&id.to_string(), &manifest.to_string(), "the record")
    }

    /// This vault key of a patient was met: from now on none of an epoch before, and no other of this one (DEV-7).
    pub(crate) fn vault_key(&self, key: &VaultKeyStatement) -> Result<()> {
        let (patient, epoch) = (key.patient_id, key.root_epoch);
        let number = usize::try_from(epoch).unwrap_or(usize::MAX);
        self.home.keep_highest(VAULT_KEYS, &patient.to_string(), number)?;
        let hash = key.vault_key.digest().to_string();
        self.keep(
            &format!("{patient}.key.{epoch}"),
            &hash,
            "the patient's vault key",
        )
    }

    /// This list of a patient's devices was met: from now on none before it, and no other under its number (DEV-7).
    pub(crate) fn device_list(&self, list: &Verified<DeviceList>) -> Result<()> {
        let (patient, sequence) = (list.patient_id, list.sequence);
        let number = usize::try_from(sequence).unwrap_or(usize::MAX);
        self.home
            .keep_highest(DEVICE_LISTS, &patient.to_string(), number)?;
        let what = "the patient's list of devices";
        self.keep(&format!("{patient}.{sequence}"), &list.hash().to_string(), what)
    }

    /// This head of a patient's vault was met: from now on none other under its number (VLT-8).
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    pub(crate) fn head(&self, patient: PatientId, head: &HeadRef) -> Result<()> {
        let (number, hash) = (head.sequence, head.hash.to_string());
        // After a restoration the vault goes on from an older head, and its numbers come again (RST-10).
        let id = match self.home.era() {
            0 => format!("{patient}.head.{number}"),
            era => format!("{patient}.head.{number}.{era}"),
        };
        let kept = self.home.keep_first(MET, &id, &hash)?;
        if Defence::VaultHeads.holds(kept == hash.as_bytes()) {
            return Ok(());
        }
        Err(Error::Contradicted(Contradiction::OtherVault {
            seen: format!("head {number} ({})", String::from_utf8_lossy(&kept)),
            shown: format!("head {number} ({hash})"),
        }))
    }

    /// What a receipt says of the vault is not older than what the permission says that it is for (VLT-8).
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    pub(crate) fn receipt_head(
        &self,
        (patient, permission): (PatientId, Option<HeadRef>),
        receipt: Option<HeadRef>,
        what: &'static str,
    ) -> Result<()> {
        let Some(head) = receipt else {
            return Defence::VaultHeads.check(Err(Error::tampered(what)("it names no head of the vault")));
        };
        self.head(patient, &head)?;
        match permission {
            Some(seen) if !Defence::VaultHeads.holds(seen.sequence <= head.sequence) => {
                Err(Error::tampered(what)(
                    "it is of an older vault than the permission",
                ))
            }
            _ => Ok(()),
        }
    }

    fn keep(&self, id: &str, meaning: &str, what: &'static str) -> Result<()> {
        if self.home.keep_first(MET, id, meaning)? == meaning.as_bytes() {
            Ok(())
        } else {
            Err(Error::tampered(what)(
                "it is not the one that was met under this id before",
            ))
        }
    }
}

const MET: &str = "met";
const DEVICE_LISTS: &str = "device-lists";
const VAULT_KEYS: &str = "vault-keys";
