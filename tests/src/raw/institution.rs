//! An institution whose every message a test may shape. What it sends as sealed content is random bytes:
//! the server cannot tell.

use actors::{HOUR, institution::Charter};
use anyhow::{Context, Result};
use bytes::Bytes;
use crypto::{
    AccreditationSecret, DataKey, ExpectedPermission, OpenedPermission, OperatingSystem, RecipientSecret,
    SigningIdentity, TextContext, UploadKey, seal_text,
};
use protocol_spec::{
    bodies::{DownloadRequest, ReferenceRequest, StandbyTicket},
    content,
    directory::Institution,
    hash::Sha256Digest,
    ids::{PermissionId, RecordId, RequestId, VersionId},
    messages as pb,
    permission::{Kind, RecordSelector, SignedPermission, VerifiedPermission},
    purpose::Purpose,
    statement::Signed,
};

use super::{Answer, Call, Key, RawPatient, Wire, byte_sequence, now_ms, pair, random};

/// An institution with its keys.
pub struct RawInstitution {
    /// Who it is, and what it signs.
    pub actor: actors::Institution,
    /// Its verified directory entry.
    pub entry: Institution,
    /// Its X-Wing key.
    pub recipient: RecipientSecret,
    /// Its identity.
    pub identity: SigningIdentity,
    name: String,
}

impl RawInstitution {
    /// What an institution sends to enrol, accredited by this registrar.
    pub fn enrolment(
        wire: &Wire,
        registrar: &SigningIdentity,
        name: &str,
    ) -> Result<(Self, pb::EnrolInstitution)> {
        Self::enrolment_for(wire, registrar, name, false)
    }

    /// The same, of one that may open in emergencies, or may not.
    pub fn enrolment_for(
        wire: &Wire,
        registrar: &SigningIdentity,
        name: &str,
        emergency: bool,
    ) -> Result<(Self, pb::EnrolInstitution)> {
        let (identity, recipient) = (
            SigningIdentity::generate(&OperatingSystem)?,
            RecipientSecret::generate(&OperatingSystem)?,
        );
        let secret = AccreditationSecret::generate(&OperatingSystem)?;
        let actor = Charter::of(pair(&identity))
            .named(name)
            .recipient(recipient.public().clone())
            .accredited_by(&pair(registrar))
            .secret_hash(secret.hash())
            .emergency(emergency)
            .at(wire.setting())
            .sign();
        let message = actor.enrolment_with(secret.expose());
        let entry = actor.verified(&registrar.public());
        let name = entry.id().to_string();
        Ok((
            Self {
                actor,
                entry,
                recipient,
                identity,
                name,
            },
            message,
        ))
    }

    /// Accredited and enrolled.
    pub async fn enrol(wire: &Wire, registrar: &SigningIdentity, name: &str) -> Result<Self> {
        Self::enrol_for(wire, registrar, name, false).await
    }

    /// The same, of one that may open in emergencies, or may not.
    pub async fn enrol_for(
        wire: &Wire,
        registrar: &SigningIdentity,
        name: &str,
        emergency: bool,
    ) -> Result<Self> {
        let (institution, message) = Self::enrolment_for(wire, registrar, name, emergency)?;
        institution
            .post(wire, "/v1/institutions", &message)
            .await?
            .message::<pb::DirectoryEntry>()?;
        Ok(institution)
    }

    /// How it signs requests.
    pub fn key(&self) -> Key<'_> {
        Key {
            id: &self.name,
            signing: &self.identity,
        }
    }

    /// Sends a message, signed.
    pub async fn post(&self, wire: &Wire, path: &str, message: &impl prost::Message) -> Result<Answer> {
        wire.call(&Call::post(path, message)?, self.key()).await
    }

    /// Reads, signed.
    pub async fn get(&self, wire: &Wire, path: &str) -> Result<Answer> {
        wire.call(&Call::get(path), self.key()).await
    }

    /// Fetches a permission and a challenge.
    pub async fn deliver(&self, wire: &Wire, permission: PermissionId) -> Result<pb::Delivery> {
        self.get(wire, &format!("/v1/permissions/{permission}"))
            .await?
            .message()
    }

    /// Opens the permission key of a delivery.
    pub fn open(&self, delivery: &pb::Delivery) -> Result<(VerifiedPermission, SigningIdentity)> {
        let permission = SignedPermission::try_from(delivery.permission.clone())?.verify()?;
        let expected = ExpectedPermission {
            body: permission.bytes(),
            id: &permission.permission_id,
            keys: permission.records.len().max(1),
            conditions: permission.conditions.is_some(),
            possession: &permission.possession_key,
        };
        let possession = match permission.kind {
            Kind::Upload => {
                OpenedPermission::<UploadKey>::open(&self.recipient, permission.wrap(), &expected)?.possession
            }
            Kind::Download | Kind::Reference | Kind::Emergency => {
                OpenedPermission::<Vec<DataKey>>::open(&self.recipient, permission.wrap(), &expected)?
                    .possession
            }
        };
        Ok((permission, possession))
    }

    /// A presentation over the delivery's challenge, not signed yet.
    pub fn presentation(permission: PermissionId, delivery: &pb::Delivery) -> Result<Call> {
        Self::presentation_for(permission, delivery, None)
    }

    /// The same, for a purpose.
    pub fn presentation_for(
        permission: PermissionId,
        delivery: &pb::Delivery,
        purpose: Option<Purpose>,
    ) -> Result<Call> {
        let message = pb::Presentation {
            record_id: Bytes::copy_from_slice(RecordId::mint(now_ms(), random()?).as_bytes()),
            version_id: Bytes::copy_from_slice(VersionId::mint(now_ms(), random()?).as_bytes()),
            purpose: purpose.map(Purpose::code).unwrap_or_default().to_owned(),
            session: Bytes::new(),
        };
        let call = Call::post(format!("/v1/permissions/{permission}/presentation"), &message)?;
        Ok(call.with("medvault-challenge", byte_sequence(&delivery.challenge)))
    }

    /// Delivery, opening and presentation in one go.
    pub async fn present(&self, wire: &Wire, permission: PermissionId) -> Result<Answer> {
        self.present_for(wire, permission, None).await
    }

    /// The same, for a purpose.
    pub async fn present_for(
        &self,
        wire: &Wire,
        permission: PermissionId,
        purpose: Option<Purpose>,
    ) -> Result<Answer> {
        let delivery = self.deliver(wire, permission).await?;
        let (_, possession) = self.open(&delivery)?;
        let call = Self::presentation_for(permission, &delivery, purpose)?;
        let pop = Key {
            id: &permission.to_string(),
            signing: &possession,
        };
        wire.present(&call, self.key(), pop).await
    }

    /// Uploads random bytes of this plaintext length as one record; they must fit one leaf.
    pub async fn upload(&self, wire: &Wire, patient: &RawPatient, plaintext: u64) -> Result<RecordSelector> {
        let stream: Vec<u8> = (0..content::stream_len(plaintext))
            .map(|i| (i % 251).to_le_bytes()[0])
            .collect();
        self.upload_stream(wire, patient, &stream).await
    }

    /// Uploads these bytes as the stream of one record; they must fit one leaf, and be of a stream's length.
    pub async fn upload_stream(
        &self,
        wire: &Wire,
        patient: &RawPatient,
        stream: &[u8],
    ) -> Result<RecordSelector> {
        let ticket = self.upload_under_offer(wire, patient, stream).await?;
        Ok(RecordSelector {
            record_id: ticket.claimed().record_id,
            version_id: ticket.claimed().version_id,
            content_root: content::single_leaf_root(stream),
            stream_len: stream.len() as u64,
        })
    }

    /// The same; the ticket under which it was sent.
    pub async fn upload_under_offer(
        &self,
        wire: &Wire,
        patient: &RawPatient,
        stream: &[u8],
    ) -> Result<Signed<StandbyTicket>> {
        let offer = patient.offer(wire, &self.entry, |_| ())?;
        patient.submit_offer(wire, &offer).await?;
        let answer: pb::PresentationAnswer = self.present(wire, offer.permission_id).await?.message()?;
        let ticket = standby(answer)?;
        self.commit(wire, &ticket, stream)
            .await?
            .message::<pb::Receipt>()?;
        Ok(ticket)
    }

    /// Uploads a record of this many full leaves, which has to be more than one.
    pub async fn upload_leaves(
        &self,
        wire: &Wire,
        patient: &RawPatient,
        leaves: u64,
    ) -> Result<RecordSelector> {
        let leaf = vec![7; usize::try_from(content::LEAF_LEN)?];
        let stream_len = leaves * content::LEAF_LEN;
        let offer = patient.offer(wire, &self.entry, |body| body.bytes = stream_len)?;
        patient.submit_offer(wire, &offer).await?;
        let answer: pb::PresentationAnswer = self.present(wire, offer.permission_id).await?.message()?;
        let ticket = standby(answer)?;
        let upload = format!("/v1/uploads/{}", ticket.claimed().upload_id);
        let mut hashes = Vec::new();
        for index in 0..leaves {
            let hash = content::leaf_hash(index, &leaf);
            let call = Call {
                method: http::Method::PUT,
                path: format!("{upload}/leaves?first={index}"),
                body: leaf.clone().into(),
                headers: vec![("medvault-leaves", byte_sequence(hash.as_bytes()))],
            };
            let answer = wire.call(&call, self.key()).await?;
            anyhow::ensure!(answer.status.is_success(), "leaf {index}: {answer:?}");
            hashes.push(hash);
        }
        let content_root = content::content_root(&hashes)?;
        let commit = pb::CommitUpload {
            content_root: Bytes::copy_from_slice(content_root.as_bytes()),
            stream_len,
            sealed_manifest: Bytes::from_static(&[7; 1100]),
            content: Bytes::new(),
        };
        self.post(wire, &format!("{upload}/commit"), &commit)
            .await?
            .message::<pb::Receipt>()?;
        Ok(RecordSelector {
            record_id: ticket.claimed().record_id,
            version_id: ticket.claimed().version_id,
            content_root,
            stream_len,
        })
    }

    /// Presents an upload permission and commits these bytes as the stream of one record; the last answer.
    pub async fn upload_under(&self, wire: &Wire, permission: PermissionId, stream: &[u8]) -> Result<Answer> {
        let answer = self.present(wire, permission).await?;
        if !answer.status.is_success() {
            return Ok(answer);
        }
        let ticket = standby(answer.message()?)?;
        self.commit(wire, &ticket, stream).await
    }

    async fn commit(&self, wire: &Wire, ticket: &Signed<StandbyTicket>, stream: &[u8]) -> Result<Answer> {
        let commit = pb::CommitUpload {
            content_root: Bytes::copy_from_slice(content::single_leaf_root(stream).as_bytes()),
            stream_len: stream.len() as u64,
            sealed_manifest: Bytes::from_static(&[7; 1100]),
            content: Bytes::copy_from_slice(stream),
        };
        let path = format!("/v1/uploads/{}/commit", ticket.claimed().upload_id);
        self.post(wire, &path, &commit).await
    }

    /// A download request, not sent yet, and its id.
    pub fn download_request(&self, wire: &Wire, patient: &RawPatient) -> Result<(pb::Statement, RequestId)> {
        let request_id = RequestId::mint(now_ms(), random()?);
        let context = TextContext::to_patient(request_id, &self.entry.id(), &patient.id);
        let body = DownloadRequest {
            operator_id: wire.operator_id(),
            request_id,
            expires: now_ms() + HOUR,
            text: seal_text(
                &OperatingSystem,
                patient.vault_key.public(),
                &context,
                "may we download?",
            )?,
            root_epoch: patient.list.claimed().root_epoch,
            purpose: Some(Purpose::TREAT),
            ..self.actor.download_request(patient.id)
        };
        Ok((self.actor.statement(body).0, request_id))
    }

    /// A reference request for a second institution, not sent yet.
    pub fn reference_request(
        &self,
        wire: &Wire,
        patient: &RawPatient,
        second: &Institution,
    ) -> Result<pb::Statement> {
        let request_id = RequestId::mint(now_ms(), random()?);
        let context = TextContext::to_patient(request_id, &self.entry.id(), &patient.id);
        let body = ReferenceRequest {
            operator_id: wire.operator_id(),
            request_id,
            expires: now_ms() + HOUR,
            text: seal_text(
                &OperatingSystem,
                patient.vault_key.public(),
                &context,
                "may they download?",
            )?,
            root_epoch: patient.list.claimed().root_epoch,
            purpose: Some(Purpose::TREAT),
            ..self.actor.reference_request(second.id(), patient.id)
        };
        Ok(self.actor.statement(body).0)
    }

    /// Asks a patient for a download; returns the request's hash.
    pub async fn ask(&self, wire: &Wire, patient: &RawPatient) -> Result<Sha256Digest> {
        let (request, _) = self.download_request(wire, patient)?;
        let hash = Sha256Digest::of(&request.body);
        let message = pb::SubmitDownloadRequest {
            request: Some(request),
        };
        self.post(wire, "/v1/requests/download", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(hash)
    }
}

/// The standby ticket of an answer.
fn standby(answer: pb::PresentationAnswer) -> Result<Signed<StandbyTicket>> {
    match answer.answer.context("empty answer")? {
        pb::presentation_answer::Answer::Standby(standby) => Ok(standby.ticket.try_into()?),
        pb::presentation_answer::Answer::Release(_) => anyhow::bail!("a release, not a standby"),
    }
}
