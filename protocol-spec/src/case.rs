//! The case of one permission, from the request to its end, as a file that is checked with nothing but the link of the
//! server that it is about: for a court, a data-protection officer, or whoever else was not there. See `spec/case.md`.

mod walk;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{
    Error,
    bodies::RevocationReceipt,
    devices::DeviceHistory,
    directory::Institution,
    error::must,
    ids::{InstitutionId, OperatorId, PatientId, RecordId, ReleaseId, RequestId, TerminalId, VersionId},
    keys::IdentityKey,
    link::ServerLink,
    log::{Entry, Receipt, verify_published},
    messages as pb,
    patient::DeviceChain,
    permission::{Kind, SignedPermission, VerifiedPermission},
    purpose::Purpose,
    released::VersionLeaves,
    statement::{Signed, Verified},
};

use pb::history_entry::What;

/// A case that holds, with all that it rests on.
#[derive(Clone, Debug)]
pub struct VerifiedCase {
    /// The permission that it is about.
    pub permission: VerifiedPermission,
    /// The institution that was permitted.
    pub institution: Institution,
    /// Who asked; none if the patient did.
    pub asker: Option<Institution>,
    /// What happened under it, in order.
    pub events: Vec<CaseEvent>,
}

/// One thing that happened, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseEvent {
    /// Its number in the patient's history.
    pub number: u64,
    /// When, in milliseconds since 1970, as whoever made or received it has signed: of requests and permissions their makers,
    /// of all else the operator.
    pub at: u64,
    /// What it is that happened.
    pub what: CaseWhat,
}

/// What can happen under a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CaseWhat {
    /// An institution asked for it, or the patient did.
    Requested {
        /// The id of the request.
        #[serde(skip)]
        request_id: RequestId,
    },
    /// A device of the patient's signed the permission.
    Permitted,
    /// A delegate of hers permitted.
    PermittedByDelegate,
    /// The institution proved that it has the permission key.
    Presented {
        /// By which of its terminals; none if by its identity key.
        #[serde(rename = "terminal_id", skip_serializing_if = "Option::is_none")]
        terminal: Option<TerminalId>,
        /// The purpose that the institution has named.
        #[serde(skip_serializing_if = "Option::is_none")]
        purpose: Option<Purpose>,
    },
    /// A record was stored under it.
    Stored {
        /// The id of the record.
        #[serde(rename = "records", serialize_with = "one")]
        record_id: RecordId,
        /// The id of its version.
        #[serde(skip)]
        version_id: VersionId,
        /// The length of its stream in bytes.
        bytes: u64,
        /// Size of the log that holds the receipt.
        log_size: u64,
    },
    /// A release ended: so much was handed out.
    Released {
        /// Stream bytes that were handed out.
        bytes: u64,
        /// Of which versions which leaves.
        #[serde(
            rename = "records",
            serialize_with = "records",
            skip_serializing_if = "Vec::is_empty"
        )]
        versions: Vec<VersionLeaves>,
        /// Size of the log that holds the receipt.
        log_size: u64,
    },
    /// The patient took the permission back.
    Revoked,
}

fn one<S: Serializer>(record: &RecordId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq([record])
}

fn records<S: Serializer>(versions: &[VersionLeaves], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(versions.iter().map(|version| version.record_id))
}

/// What does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{error}", .entry.map_or_else(String::new, |number| format!("entry {number} of the history: ")))]
pub struct CaseError {
    /// The entry of the history that it is about; none if it is about what the entries rest on.
    pub entry: Option<u64>,
    /// The rule that is broken.
    #[source]
    pub error: Error,
}

impl From<Error> for CaseError {
    fn from(error: Error) -> Self {
        Self { entry: None, error }
    }
}

impl VerifiedCase {
    /// Checks a bundle against the link of the server that it is about.
    /// Fails with the first thing that does not verify or does not fit.
    pub fn verify(bundle: pb::CaseBundle, link: &ServerLink) -> Result<Self, CaseError> {
        let permitted = bundle.entries.iter().find_map(|entry| match &entry.what {
            Some(What::Permitted(permission)) => Some(permission.clone()),
            _ => None,
        });
        let permission = SignedPermission::try_from(permitted)?.verify()?;
        must(permission.kind != Kind::Emergency, "case and kind of permission")?;
        let bundled = Bundled::verify(&bundle, link, &permission)?;
        must(
            permission.operator_id == OperatorId::from(&bundled.operator),
            "permission and operator",
        )?;
        let events = walk::walk(&bundle.entries, &bundled, &permission)?;
        let revoked = events.iter().any(|event| event.what == CaseWhat::Revoked);
        must(
            revoked == bundled.revoked.is_some(),
            "revocation and the operator's receipt",
        )?;
        let institution = bundled.permitted(&permission)?.clone();
        let asker = bundled.asker(&bundle.entries)?.cloned();
        Ok(Self {
            permission,
            institution,
            asker,
            events,
        })
    }
}

/// What the entries rest on, verified.
#[derive(Debug)]
struct Bundled {
    operator: IdentityKey,
    /// All entries of each institution.
    institutions: Vec<Institution>,
    devices: DeviceHistory,
    released: BTreeMap<ReleaseId, Vec<VersionLeaves>>,
    /// What the operator said when the revocation had taken hold.
    revoked: Option<Verified<RevocationReceipt>>,
}

impl Bundled {
    /// Checks what the entries rest on (CAS-1) (CAS-2).
    fn verify(
        bundle: &pb::CaseBundle,
        link: &ServerLink,
        permission: &VerifiedPermission,
    ) -> Result<Self, Error> {
        let shown = [
            &bundle.operator_key,
            &bundle.registrar_key,
            &bundle.server_certificate,
        ];
        let keys = link.keys(shown.map(AsRef::as_ref))?;
        let (operator, registrar) = keys.ok_or(Error::Mismatch {
            what: "case and server link",
        })?;
        let mut institutions = Vec::with_capacity(bundle.institutions.len());
        for entry in &bundle.institutions {
            let proof = entry.proof.clone();
            let entry = Institution::from_entry(entry.clone(), &registrar, OperatorId::from(&operator))?;
            verify_published(proof, &Entry::keys(&entry), &operator)?;
            institutions.push(entry);
        }
        let mut released = BTreeMap::new();
        for release in &bundle.released {
            let versions = release.versions.iter().cloned().map(VersionLeaves::try_from);
            released.insert(
                ReleaseId::try_from(release.release_id.as_ref())?,
                versions.collect::<Result<_, _>>()?,
            );
        }
        Ok(Self {
            institutions,
            devices: devices(&bundle.device_lists, owner(permission))?,
            released,
            revoked: match bundle.revocation_receipt.clone() {
                Some(receipt) => Some(Receipt::verify(Some(receipt), &operator)?.statement),
                None => None,
            },
            operator,
        })
    }

    /// The entry of an institution that vouches for its identity key: any of its chain does.
    fn institution(&self, id: InstitutionId) -> Result<&Institution, Error> {
        let found = self.institutions.iter().find(|entry| entry.id() == id);
        found.ok_or(Error::Mismatch {
            what: "case and institutions",
        })
    }

    /// The entry that the patient permitted by.
    fn permitted(&self, permission: &VerifiedPermission) -> Result<&Institution, Error> {
        let same = self.institutions.iter().find(|entry| {
            entry.entry_hash() == permission.directory_entry_hash
                && entry.id() == permission.institution_id
                && entry.recipient_key().digest() == permission.recipient_key_hash
        });
        same.ok_or(Error::Mismatch {
            what: "permission and directory entry",
        })
    }

    fn asker(&self, entries: &[pb::HistoryEntry]) -> Result<Option<&Institution>, Error> {
        let asked = entries.iter().find_map(|entry| match &entry.what {
            Some(What::DownloadRequested(statement)) => Some(walk::asker_of_download(statement)),
            Some(What::ReferenceRequested(statement)) => Some(walk::asker_of_reference(statement)),
            _ => None,
        });
        asked.map(|id| self.institution(id?)).transpose()
    }
}

/// The chain to a device of the patient herself, whoever signed for her.
fn owner(permission: &VerifiedPermission) -> &DeviceChain {
    let delegation = permission.delegation();
    delegation.map_or_else(|| permission.device().chain(), |held| held.device().chain())
}

fn devices(lists: &[pb::Statement], of: &DeviceChain) -> Result<DeviceHistory, Error> {
    let list = |list: &pb::Statement| Signed::try_from(list.clone());
    let (first, others) = lists.split_first().ok_or(Error::Field {
        field: "device_lists",
    })?;
    let mut devices = DeviceHistory::begin(list(first)?, of.identity_key())?;
    for other in others {
        devices.extend(list(other)?)?;
    }
    Ok(devices)
}

impl VerifiedCase {
    /// The patient whose vault it is.
    pub fn patient(&self) -> PatientId {
        self.permission.patient_id
    }
}

#[cfg(test)]
mod tests;
