//! Whose keys these are, found as a client finds them: the operator's and the registrar's are shown at first contact, the
//! institutions' stand in the log, a patient's in the chain of her devices, a permission's in the permission.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    Error,
    bodies::{DownloadRequest, ReferenceRequest, StandbyTicket, UploadReceipt, UploadRequest, VaultHead},
    bodies::{Placement, ReleaseReceipt, ReleaseTicket},
    content::{content_root, single_leaf_root},
    devices::verify_first,
    directory::Institution,
    hash::{ContentRoot, LeafHash, Sha256Digest},
    ids::{InstitutionId, OperatorId},
    keys::IdentityKey,
    log::{Entry, Logged, Receipt, SignedCheckpoint, VerifiedCheckpoint, verify_inclusion, verify_leaf},
    messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::SignedPermission,
    statement::{Body, Signed},
};

use super::Result;

/// All that earlier exchanges have shown.
#[derive(Default)]
pub(crate) struct World {
    operator: Option<IdentityKey>,
    registrar: Option<IdentityKey>,
    institutions: BTreeMap<InstitutionId, Institution>,
    /// By the text of its id, who has a key, and the key.
    keys: BTreeMap<String, (String, IdentityKey)>,
    /// Hashes of presentations, by which tickets and receipts name them.
    presented: HashSet<Sha256Digest>,
    /// Content roots that receipts name.
    stored: BTreeSet<Vec<u8>>,
    /// By the path of an upload and their numbers, the hashes of leaves that a signature covers.
    leaves: BTreeMap<(String, u64), LeafHash>,
}

type Checked = std::result::Result<(), Error>;

impl World {
    pub(crate) fn key(&self, id: &str) -> Result<&IdentityKey> {
        let known = self.keys.get(id);
        known
            .map(|(_, key)| key)
            .ok_or_else(|| format!("nobody has the key {id}"))
    }

    /// Of every key its id, whose it is, and the key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &str, &IdentityKey)> {
        self.keys
            .iter()
            .map(|(id, (who, key))| (id.as_str(), who.as_str(), key))
    }

    pub(crate) fn presented(&mut self, evidence: &pb::Evidence) {
        self.presented.insert(Sha256Digest::of(&evidence.encode_to_vec()));
    }

    /// Takes the hashes of leaves that were sent, the first of them with this number.
    pub(crate) fn sent(&mut self, upload: &str, first: u64, hashes: &[u8]) {
        for (number, hash) in (first..).zip(hashes.chunks_exact(32)) {
            let hash = LeafHash::from_bytes(hash.try_into().unwrap_or_default());
            self.leaves.insert((upload.to_owned(), number), hash);
        }
    }

    /// Verifies all that is signed in the body of a request, and takes the keys that it shows.
    pub(crate) fn request(&mut self, name: &str, path: &str, bytes: &Bytes) -> Checked {
        match name {
            "EnrolPatient" => self.enrolment(&decode(bytes)?),
            "SubmitUploadRequest" => {
                let message: pb::SubmitUploadRequest = decode(bytes)?;
                patient::<UploadRequest>(message.request)?;
                self.permission(message.permission)
            }
            "SubmitDownloadRequest" => {
                let message: pb::SubmitDownloadRequest = decode(bytes)?;
                let request = Signed::<DownloadRequest>::try_from(message.request)?;
                let asker = request.claimed().institution_id;
                request.verify_by(self.institution(asker)?).map(drop)
            }
            "SubmitReferenceRequest" => {
                let message: pb::SubmitReferenceRequest = decode(bytes)?;
                let request = Signed::<ReferenceRequest>::try_from(message.request)?;
                let asker = request.claimed().institution_id;
                request.verify_by(self.institution(asker)?).map(drop)
            }
            "SubmitPermission" => {
                let message: pb::SubmitPermission = decode(bytes)?;
                if let Some(head) = message.head {
                    patient::<VaultHead>(Some(head))?;
                }
                self.permission(message.permission)
            }
            "SubmitVaultHead" => patient::<VaultHead>(decode::<pb::SubmitVaultHead>(bytes)?.head),
            "AdoptRecord" => patient::<Placement>(decode::<pb::AdoptRecord>(bytes)?.placement),
            "CommitUpload" => {
                let message: pb::CommitUpload = decode(bytes)?;
                same_if(self.root(path, &message)?.as_bytes()[..] == message.content_root)
            }
            _ => Ok(()),
        }
    }

    /// Verifies all that is signed in an answer, and takes the keys that it shows.
    pub(crate) fn answer(&mut self, name: &str, path: &str, bytes: &Bytes) -> Checked {
        match name {
            "ServerInfo" => self.first_contact(&decode(bytes)?),
            "SignedNote" => self.checkpoint(bytes).map(drop),
            "DirectoryEvents" => self.directory(decode(bytes)?),
            "PermissionAnswer" => match decode::<pb::PermissionAnswer>(bytes)?.head {
                Some(head) => Logged::<VaultHead>::verify(head, self.operator()?).map(drop),
                None => Ok(()),
            },
            "LoggedStatement" if path.ends_with("/heads") => {
                Logged::<VaultHead>::verify(decode(bytes)?, self.operator()?).map(drop)
            }
            "VaultActs" => match decode::<pb::VaultActs>(bytes)?.head {
                Some(head) => Logged::<VaultHead>::verify(head, self.operator()?).map(drop),
                None => Ok(()),
            },
            "Delivery" => self.permission(decode::<pb::Delivery>(bytes)?.permission),
            "PresentationAnswer" => self.ticket(decode(bytes)?),
            "Receipt" if path.ends_with("/commit") => self.stored(Some(decode(bytes)?)),
            "Receipt" if path.ends_with("/close") => {
                let receipt = Receipt::<ReleaseReceipt>::verify(Some(decode(bytes)?), self.operator()?)?;
                same_if(self.presented.contains(&receipt.statement.presentation_hash))
            }
            "VaultPage" => {
                let page: pb::VaultPage = decode(bytes)?;
                let mut records = page.records.into_iter().filter_map(|one| one.record);
                records.try_for_each(|record| self.record(record))
            }
            "InboxPage" => {
                let page: pb::InboxPage = decode(bytes)?;
                page.events.into_iter().try_for_each(|event| self.event(event))
            }
            _ => Ok(()),
        }
    }

    /// Whether a stream of one leaf is one that a receipt names (CNT-7, CNT-8).
    pub(crate) fn leaf(&self, stream: &[u8]) -> Checked {
        same_if(self.stored.contains(&single_leaf_root(stream).as_bytes()[..]))
    }

    /// The root of what came inside a commit, or as leaves before it (CNT-8).
    fn root(&self, path: &str, commit: &pb::CommitUpload) -> std::result::Result<ContentRoot, Error> {
        if !commit.content.is_empty() {
            return Ok(single_leaf_root(&commit.content));
        }
        let upload = path.trim_end_matches("/commit");
        let of_upload = self.leaves.iter().filter(|((path, _), _)| path == upload);
        let hashes: Vec<_> = of_upload.map(|(_, hash)| *hash).collect();
        content_root(&hashes)
    }

    fn operator(&self) -> std::result::Result<&IdentityKey, Error> {
        self.operator.as_ref().ok_or(Error::Field { field: "operator" })
    }

    fn institution(&self, id: InstitutionId) -> std::result::Result<&Institution, Error> {
        let known = self.institutions.get(&id);
        known.ok_or(Error::Field { field: "institution" })
    }

    /// Both keys are the same ever after.
    fn first_contact(&mut self, info: &pb::ServerInfo) -> Checked {
        let operator = IdentityKey::try_from(&info.operator_key[..])?;
        let registrar = IdentityKey::try_from(&info.registrar_key[..])?;
        same_if(self.operator.is_none_or(|known| known == operator))?;
        same_if(self.registrar.is_none_or(|known| known == registrar))?;
        (self.operator, self.registrar) = (Some(operator), Some(registrar));
        let id = OperatorId::from(&operator).to_string();
        self.keys
            .insert(id, ("the server's operator".to_owned(), operator));
        Ok(())
    }

    fn checkpoint(&self, note: &[u8]) -> std::result::Result<VerifiedCheckpoint, Error> {
        SignedCheckpoint::parse(note)?.verify_by(self.operator()?)
    }

    fn directory(&mut self, page: pb::DirectoryEvents) -> Checked {
        let checkpoint = self.checkpoint(page.checkpoint.as_bytes())?;
        for event in page.events {
            let path: Vec<_> = event
                .path
                .iter()
                .map(|node| <[u8; 32]>::try_from(&node[..]))
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| Error::Field { field: "path" })?;
            verify_leaf(&checkpoint, &event.entry, event.index, &path)?;
            let Entry::Keys { keys, accreditation } = Entry::parse(&event.entry)? else {
                continue;
            };
            let registrar = self.registrar.ok_or(Error::Field { field: "registrar" })?;
            let operator = OperatorId::from(self.operator()?);
            let institution =
                Institution::verify(keys.try_into()?, accreditation.try_into()?, &registrar, operator)?;
            let (id, key) = (institution.id(), *institution.identity_key());
            self.keys
                .insert(id.to_string(), (institution.name().as_str().to_owned(), key));
            self.institutions.insert(id, institution);
        }
        Ok(())
    }

    fn enrolment(&mut self, message: &pb::EnrolPatient) -> Checked {
        let chain = message.device.as_ref().and_then(|device| device.chain.clone());
        let chain = DeviceChain::try_from(chain)?;
        let list = verify_first(Signed::try_from(message.list.clone())?, chain.identity_key())?;
        let device = chain.verify(list.patient_id)?;
        self.keys.insert(
            device.id().to_string(),
            ("the patient's device".to_owned(), *device.key()),
        );
        Ok(())
    }

    /// Verifies a permission, and takes its possession key.
    fn permission(&mut self, message: Option<pb::Permission>) -> Checked {
        let permission = SignedPermission::try_from(message)?.verify()?;
        self.keys.insert(
            permission.permission_id.to_string(),
            (
                "whoever has the permission key".to_owned(),
                permission.possession_key,
            ),
        );
        Ok(())
    }

    fn ticket(&self, message: pb::PresentationAnswer) -> Checked {
        use pb::presentation_answer::Answer;
        match message.answer.ok_or(Error::Field { field: "answer" })? {
            Answer::Standby(standby) => Signed::<StandbyTicket>::try_from(standby.ticket)?
                .verify(self.operator()?)
                .map(drop),
            Answer::Release(release) => {
                let ticket = Signed::<ReleaseTicket>::try_from(release.ticket)?.verify(self.operator()?)?;
                verify_inclusion(release.proof, &ticket.hash(), self.operator()?)?;
                same_if(self.presented.contains(&ticket.presentation_hash))?;
                release
                    .records
                    .into_iter()
                    .try_for_each(|record| self.record(record))
            }
        }
    }

    /// A record is what its receipt says.
    fn record(&self, record: pb::StoredRecord) -> Checked {
        let receipt = Receipt::<UploadReceipt>::verify(record.receipt, self.operator()?)?.statement;
        same_if(
            receipt.version_id.as_bytes()[..] == record.version_id
                && receipt.content_root.as_bytes()[..] == record.content_root
                && receipt.sealed_manifest_hash == Sha256Digest::of(&record.sealed_manifest),
        )
    }

    fn stored(&mut self, message: Option<pb::Receipt>) -> Checked {
        let receipt = Receipt::<UploadReceipt>::verify(message, self.operator()?)?.statement;
        same_if(self.presented.contains(&receipt.presentation_hash))?;
        self.stored.insert(receipt.content_root.as_bytes().to_vec());
        Ok(())
    }

    fn event(&mut self, event: pb::Event) -> Checked {
        use pb::event::What;
        match event.what.ok_or(Error::Field { field: "event" })? {
            What::UploadRequested(permitted) => patient::<UploadRequest>(permitted.request),
            What::DownloadRequested(request) => {
                let request = Signed::<DownloadRequest>::try_from(request)?;
                let asker = request.claimed().institution_id;
                request.verify_by(self.institution(asker)?).map(drop)
            }
            What::ReferenceRequested(request) => {
                let request = Signed::<ReferenceRequest>::try_from(request)?;
                let asker = request.claimed().institution_id;
                request.verify_by(self.institution(asker)?).map(drop)
            }
            What::Stored(receipt) => self.stored(Some(receipt)),
            What::Released(receipt) => {
                Receipt::<ReleaseReceipt>::verify(Some(receipt), self.operator()?).map(drop)
            }
            _ => Ok(()),
        }
    }
}

fn decode<M: Message + Default + prost::Name>(bytes: &[u8]) -> std::result::Result<M, Error> {
    pb::decode(bytes)
}

fn patient<T: OfPatient + Body>(message: Option<pb::PatientStatement>) -> Checked {
    PatientSigned::<T>::try_from(message)?.verify().map(drop)
}

fn same_if(same: bool) -> Checked {
    if same {
        Ok(())
    } else {
        Err(Error::Mismatch { what: "transcript" })
    }
}
