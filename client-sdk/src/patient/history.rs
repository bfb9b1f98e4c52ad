//! What happened to her vault: who asked, what she permitted, who presented, what was stored and released.
//! Statements are checked by their makers' keys, receipts by the log, presentations by both signatures.

use std::collections::HashMap;

use prost::Message;
use protocol_spec::{
    bodies::{
        Denial, ReleaseReceipt, ReleaseTicket, Revocation, StandbyTicket, UploadReceipt, UploadRequest,
    },
    devices::{DeviceList, ListedDevice},
    hash::Sha256Digest,
    ids::{DeviceId, InstitutionId, PermissionId, RecordId, RequestId},
    messages::{self as pb, history_entry::What},
    patient::{Device, OfPatient, PatientSigned, PatientVerified},
    permission::VerifiedPermission,
    purpose::Purpose,
    request::content_digest,
    statement::Signed,
};

use super::{InstitutionRef, Patient};
use crate::{Error, Result, asked::Asked, rules::rules_by_statement};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// She asked an institution to upload.
    UploadRequested,
    /// An institution asked to download.
    DownloadRequested,
    /// An institution referred her to another.
    ReferenceRequested,
    /// She gave a permission.
    Permitted,
    /// She denied a request.
    Denied,
    /// She revoked a permission.
    Revoked,
    /// A device was added, named or removed.
    DevicesChanged,
    /// An institution presented a permission key.
    Presented,
    /// A record was stored.
    Stored,
    /// Bytes were released.
    Released,
    /// She gave up an old key of a collection.
    EpochClosed,
    /// The server shows something that is not proven.
    Unverified,
}

/// One entry of her history.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    /// From 1, without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970, by the server's clock.
    pub at: u64,
    /// What.
    pub kind: HistoryKind,
    /// Who did it or whom it concerns; none when it could not be verified.
    pub institution: Option<InstitutionRef>,
    /// The request, where there is one.
    pub request_id: Option<RequestId>,
    /// The permission, where there is one.
    pub permission_id: Option<PermissionId>,
    /// The record, where there is one.
    pub record_id: Option<RecordId>,
    /// Stream bytes stored or released.
    pub bytes: Option<u64>,
    /// Of a request, a permission or a presentation: what for.
    pub purpose: Option<Purpose>,
    /// For receipts: the size of the log under which it was proven to stand.
    pub logged: Option<u64>,
    /// Why the entry is not believed.
    pub problem: Option<String>,
    /// The device of hers that acted.
    pub device: Option<DeviceRef>,
    /// What changed, for [`HistoryKind::DevicesChanged`].
    pub change: Option<DeviceChange>,
    /// The standing rule that answered, by what this home has kept; none if she answered herself.
    pub rule: Option<String>,
}

/// A device as the history shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRef {
    /// Its id.
    pub id: DeviceId,
    /// What she calls it, or called it last.
    pub name: String,
}

/// What one list of devices changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// Who came.
    pub added: Vec<DeviceRef>,
    /// Who went.
    pub removed: Vec<DeviceRef>,
}

/// What entries are checked against and explained by.
struct Met {
    /// The list of devices at this point.
    devices: Signed<DeviceList>,
    /// Permissions met on the way.
    permissions: HashMap<PermissionId, VerifiedPermission>,
    /// Rules that answered, by the hash of the signed answer.
    rules: HashMap<String, String>,
}

impl Patient {
    /// All that happened to her vault, each entry verified. One that fails is reported, not dropped.
    ///
    /// # Errors
    /// Of the connection, and [`Error::Tampered`] when numbers are missing.
    pub async fn history(&self) -> Result<Vec<HistoryItem>> {
        let mut items = Vec::new();
        let known = self.refresh_devices().await?;
        let mut met = Met {
            devices: known
                .list(0)
                .ok_or_else(|| tampered("there is no list of devices"))?,
            permissions: HashMap::new(),
            rules: rules_by_statement(&self.session.home)?,
        };
        let mut after = 0;
        loop {
            let page: pb::HistoryPage = self
                .session
                .server
                .get(&format!("/v1/vault/history?after={after}&limit=200"))
                .await?;
            let ended = page.entries.is_empty() || page.next == 0;
            for entry in page.entries {
                after += 1;
                if entry.number != after {
                    return Err(Error::tampered("the history")(
                        "entries are missing or out of order",
                    ));
                }
                items.push(self.read(entry, &mut met).await?);
            }
            if ended {
                return Ok(items);
            }
        }
    }

    async fn read(&self, entry: pb::HistoryEntry, met: &mut Met) -> Result<HistoryItem> {
        let blank = HistoryItem {
            number: entry.number,
            at: entry.at,
            kind: HistoryKind::Unverified,
            institution: None,
            request_id: None,
            permission_id: None,
            record_id: None,
            bytes: None,
            purpose: None,
            logged: None,
            problem: None,
            device: None,
            change: None,
            rule: None,
        };
        let read = match entry.what {
            Some(what) => self.read_what(what, met, blank.clone()).await,
            None => Err(tampered("it is empty")),
        };
        match read {
            Err(error @ (Error::Unreachable { .. } | Error::HomeLocked { .. })) => Err(error),
            Err(error) => Ok(HistoryItem {
                problem: Some(error.to_string()),
                ..blank
            }),
            Ok(item) => Ok(item),
        }
    }

    async fn read_what(&self, what: What, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
        match what {
            What::UploadRequested(statement) => {
                let request: PatientVerified<UploadRequest> = self.own(statement).await?;
                let item = HistoryItem {
                    request_id: Some(request.request_id),
                    device: Some(self.acted(request.device(), met)?),
                    ..blank
                };
                self.concerning(HistoryKind::UploadRequested, request.institution_id, item)
                    .await
            }
            What::DownloadRequested(statement) => {
                let asked = self.session.asked_download(statement).await?;
                self.asked_item(HistoryKind::DownloadRequested, &asked, blank)
                    .await
            }
            What::ReferenceRequested(statement) => {
                let asked = self.session.asked_reference(statement).await?;
                self.asked_item(HistoryKind::ReferenceRequested, &asked, blank)
                    .await
            }
            What::Permitted(permission) => {
                let permission = self.own_permission(Some(permission)).await?;
                met.permissions
                    .insert(permission.permission_id, permission.clone());
                let item = HistoryItem {
                    permission_id: Some(permission.permission_id),
                    device: Some(self.acted(permission.device(), met)?),
                    purpose: permission.purpose,
                    rule: met.rule(&permission.hash()),
                    ..blank
                };
                self.concerning(HistoryKind::Permitted, permission.institution_id, item)
                    .await
            }
            What::Denied(statement) => {
                let denial: PatientVerified<Denial> = self.own(statement).await?;
                let item = HistoryItem {
                    request_id: Some(denial.request_id),
                    device: Some(self.acted(denial.device(), met)?),
                    rule: met.rule(&denial.hash()),
                    ..blank
                };
                self.concerning(HistoryKind::Denied, denial.institution_id, item)
                    .await
            }
            What::Revoked(statement) => {
                let revocation: PatientVerified<Revocation> = self.own(statement).await?;
                let permission = known(met, revocation.permission_id)?;
                if revocation.permission_hash != permission.hash() {
                    return Err(tampered("it revokes another permission"));
                }
                let item = HistoryItem {
                    permission_id: Some(revocation.permission_id),
                    device: Some(self.acted(revocation.device(), met)?),
                    ..blank
                };
                self.concerning(HistoryKind::Revoked, permission.institution_id, item)
                    .await
            }
            What::Closed(logged) => {
                let closure = self.epoch_closure(logged).await?;
                Ok(HistoryItem {
                    kind: HistoryKind::EpochClosed,
                    device: Some(self.acted(closure.statement.device(), met)?),
                    logged: Some(closure.checkpoint.size),
                    ..blank
                })
            }
            What::DevicesChanged(list) => self.devices_changed(list, met, blank),
            What::Presented(presented) => self.presented(presented, met, blank).await,
            What::Stored(receipt) => self.stored(receipt, met, blank).await,
            What::Released(receipt) => self.released(receipt, met, blank).await,
        }
    }

    /// The device that signed, which must have been on the list at this point.
    fn acted(&self, device: &Device, met: &Met) -> Result<DeviceRef> {
        let listed = met.devices.claimed().device(device.id()).is_some();
        check(listed, "a device signed it that was not on her list then")?;
        self.device_ref(device.id())
    }

    fn device_ref(&self, id: DeviceId) -> Result<DeviceRef> {
        let name = self.keys.known().name(id)?.as_str().to_owned();
        Ok(DeviceRef { id, name })
    }

    /// A list, which must be the next one that this device has verified.
    fn devices_changed(&self, list: pb::Statement, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
        let list = Signed::<DeviceList>::try_from(list).map_err(tampered)?;
        let sequence = met.devices.claimed().sequence + 1;
        let verified = self.keys.known().list(sequence);
        let same = verified.is_some_and(|verified| verified.hash() == list.hash());
        check(same, "it is not the list that follows the one before")?;
        let before = met.devices.claimed();
        let shown = |device: &ListedDevice| self.device_ref(device.id());
        let change = DeviceChange {
            added: list.claimed().added(before).map(shown).collect::<Result<_>>()?,
            removed: list.claimed().removed(before).map(shown).collect::<Result<_>>()?,
        };
        let item = HistoryItem {
            kind: HistoryKind::DevicesChanged,
            device: Some(self.device_ref(list.claimed().signer)?),
            change: Some(change),
            ..blank
        };
        met.devices = list;
        Ok(item)
    }

    async fn stored(&self, receipt: pb::Receipt, met: &Met, blank: HistoryItem) -> Result<HistoryItem> {
        let receipt = self
            .session
            .receipt::<UploadReceipt>(Some(receipt), "the receipt")
            .await?;
        let said = &receipt.statement;
        check(said.patient_id == self.id(), "it is about somebody else")?;
        held(met, said.permission_id, said.institution_id)?;
        let item = HistoryItem {
            permission_id: Some(said.permission_id),
            record_id: Some(said.record_id),
            bytes: Some(said.stream_len),
            logged: Some(receipt.checkpoint.size),
            ..blank
        };
        self.concerning(HistoryKind::Stored, said.institution_id, item)
            .await
    }

    async fn released(&self, receipt: pb::Receipt, met: &Met, blank: HistoryItem) -> Result<HistoryItem> {
        let receipt = self
            .session
            .receipt::<ReleaseReceipt>(Some(receipt), "the receipt")
            .await?;
        let said = &receipt.statement;
        check(said.patient_id == self.id(), "it is about somebody else")?;
        held(met, said.permission_id, said.institution_id)?;
        let item = HistoryItem {
            permission_id: Some(said.permission_id),
            bytes: Some(said.bytes),
            logged: Some(receipt.checkpoint.size),
            ..blank
        };
        self.concerning(HistoryKind::Released, said.institution_id, item)
            .await
    }

    /// A presentation is proven by the possession key of her permission and by the institution's own key.
    async fn presented(&self, message: pb::Presented, met: &Met, blank: HistoryItem) -> Result<HistoryItem> {
        let pb::Presented {
            permission_id,
            institution_id,
            evidence,
            release_ticket,
            standby_ticket,
            presentation,
        } = message;
        let permission = known(met, PermissionId::try_from(permission_id.as_ref())?)?;
        let institution = InstitutionId::try_from(institution_id.as_ref())?;
        check(
            permission.institution_id == institution,
            "it was presented by somebody else",
        )?;
        let evidence = evidence.ok_or_else(|| tampered("it has no evidence"))?;
        self.check_evidence(&evidence, &presentation, permission).await?;
        let presentation: pb::Presentation = pb::decode(&presentation).map_err(tampered)?;
        let mut item = HistoryItem {
            permission_id: Some(permission.permission_id),
            purpose: Purpose::read(presentation.purpose).map_err(tampered)?,
            ..blank
        };
        if let Some(receipt) = release_ticket {
            let ticket = self
                .session
                .receipt::<ReleaseTicket>(Some(receipt), "the release ticket")
                .await?;
            check(
                ticket.statement.permission_id == permission.permission_id,
                "its ticket is for something else",
            )?;
            let hash = Sha256Digest::of(&evidence.encode_to_vec());
            check(
                ticket.statement.presentation_hash == hash,
                "its ticket names another presentation",
            )?;
            item.logged = Some(ticket.checkpoint.size);
        } else {
            let ticket = Signed::<StandbyTicket>::try_from(standby_ticket)
                .and_then(|ticket| ticket.verify(self.session.server.operator()))
                .map_err(tampered)?;
            check(
                ticket.permission_id == permission.permission_id,
                "its ticket is for something else",
            )?;
            item.record_id = Some(ticket.record_id);
        }
        self.concerning(HistoryKind::Presented, institution, item).await
    }

    /// Both keys signed this very presentation: its path names the permission, its digest the body.
    async fn check_evidence(
        &self,
        evidence: &pb::Evidence,
        presentation: &[u8],
        permission: &VerifiedPermission,
    ) -> Result<()> {
        let institution = self.session.institution(permission.institution_id).await?;
        let path = format!(
            "\"@path\": /v1/permissions/{}/presentation\n",
            permission.permission_id
        );
        let digest = format!("\n\"content-digest\": {}\n", content_digest(presentation));
        let signed = [
            (
                &evidence.signature_base_id,
                &evidence.signature_id,
                institution.identity_key(),
            ),
            (
                &evidence.signature_base_pop,
                &evidence.signature_pop,
                &permission.possession_key,
            ),
        ];
        for (base, signature, key) in signed {
            let signature = signature
                .as_ref()
                .try_into()
                .map_err(|_| tampered("a signature is malformed"))?;
            key.verify(base, signature).map_err(tampered)?;
            let base = std::str::from_utf8(base).unwrap_or_default();
            check(
                base.contains(&path),
                "it is the presentation of another permission",
            )?;
            check(base.contains(&digest), "something else was presented")?;
        }
        Ok(())
    }

    async fn asked_item(&self, kind: HistoryKind, asked: &Asked, blank: HistoryItem) -> Result<HistoryItem> {
        self.open_asked(asked).await?;
        let institution = InstitutionRef {
            id: asked.asker.id(),
            name: asked.asker.name().as_str().to_owned(),
        };
        Ok(HistoryItem {
            kind,
            institution: Some(institution),
            request_id: Some(asked.request_id),
            purpose: asked.purpose,
            ..blank
        })
    }

    async fn concerning(
        &self,
        kind: HistoryKind,
        institution: InstitutionId,
        item: HistoryItem,
    ) -> Result<HistoryItem> {
        let institution = Some(self.institution_ref(institution).await?);
        Ok(HistoryItem {
            kind,
            institution,
            ..item
        })
    }

    /// A statement that must be of a device of hers (DEV-8).
    async fn own<T: OfPatient>(&self, message: pb::PatientStatement) -> Result<PatientVerified<T>> {
        let statement = PatientSigned::<T>::try_from(message)
            .and_then(PatientSigned::verify)
            .map_err(tampered)?;
        check(statement.patient_id() == self.id(), "it is somebody else's")?;
        self.known_device(statement.device()).await?;
        Ok(statement)
    }
}

/// The operator alone says who stored or received: it must be whom the patient permitted.
fn held(met: &Met, permission: PermissionId, institution: InstitutionId) -> Result<()> {
    check(
        known(met, permission)?.institution_id == institution,
        "another institution was permitted",
    )
}

impl Met {
    fn rule(&self, statement: &Sha256Digest) -> Option<String> {
        self.rules.get(&statement.to_string()).cloned()
    }
}

fn known(met: &Met, id: PermissionId) -> Result<&VerifiedPermission> {
    met.permissions
        .get(&id)
        .ok_or_else(|| tampered("its permission does not come before it"))
}

fn check(holds: bool, otherwise: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(tampered(otherwise)) }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the history entry")(cause)
}
