//! A hospital that signs by hand, accredited by the tests' registrar. What it sends as sealed is not.

use std::net::SocketAddr;

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use http::request::Parts;
use prost::Message;
use protocol_spec::{
    bodies::{Accreditation, DownloadRequest, InstitutionKeys, ReleaseTicket, StandbyTicket},
    content,
    field::Name,
    hash::Sha256Digest,
    ids::{InstitutionId, PermissionId, RecordId, RegistrarId, ReleaseId, RequestId, VersionId},
    messages as pb,
    permission::RecordSelector,
    request::SignatureLabel,
    statement::Signed,
};

use super::{
    caller::{Ask, Caller, get, now, post, public, random, text},
    client::{REGISTRAR, send, send_for_all},
    patient::{HOUR, Patient, recipient_key, sealed},
};

use pb::presentation_answer::Answer;

const SECRET: &[u8] = b"opened from the accreditation";

pub(crate) struct Hospital {
    caller: Caller,
    pub(crate) keys: Signed<InstitutionKeys>,
}

impl Hospital {
    pub(crate) async fn enrolled_at(addr: SocketAddr) -> Self {
        let caller = Caller::new(addr).await;
        let registrar = SigningKey::from_bytes(&REGISTRAR);
        let name: Name = "St. Anna".to_owned().try_into().unwrap();
        let created = now() * 1000;
        let accreditation = Accreditation {
            created,
            registrar_id: RegistrarId::from(&public(&registrar)),
            institution_id: InstitutionId::from(&caller.key),
            name: name.clone(),
            recipient_key_hash: recipient_key(&caller.key).digest(),
            secret_hash: Sha256Digest::of(SECRET),
            emergency: false,
        };
        let accreditation = Signed::sign(accreditation, |message| registrar.sign(message).to_bytes());
        let keys = InstitutionKeys {
            created,
            operator_id: caller.operator,
            name,
            identity_key: caller.key,
            recipient_key: recipient_key(&caller.key),
            accreditation_hash: accreditation.hash(),
            succession: None,
        };
        let keys = Signed::sign(keys, |message| caller.signing.sign(message).to_bytes());
        let message = pb::EnrolInstitution {
            keys: Some(keys.to_message()),
            accreditation: Some(accreditation.to_message()),
            secret: SECRET.into(),
        };
        let hospital = Self { caller, keys };
        hospital
            .call::<pb::Accepted>(&post("/v1/institutions", &message))
            .await;
        hospital
    }

    pub(crate) fn id(&self) -> InstitutionId {
        InstitutionId::from(&self.caller.key)
    }

    /// Makes a record of one leaf in the patient's vault.
    pub(crate) async fn store(
        &self,
        patient: &Patient,
        stream_len: usize,
        manifest_len: usize,
    ) -> RecordSelector {
        let possession = SigningKey::from_bytes(&random());
        let permission = patient.permit_upload(self, &possession).await;
        let ticket = self.stand_by(permission, &possession).await;
        let stream = vec![6; stream_len];
        let content_root = content::single_leaf_root(&stream);
        let commit = pb::CommitUpload {
            content_root: content_root.as_bytes().to_vec().into(),
            stream_len: stream_len as u64,
            sealed_manifest: vec![5; manifest_len].into(),
            content: stream.into(),
        };
        let path = format!("/v1/uploads/{}/commit", ticket.upload_id);
        self.call::<pb::Receipt>(&post(&path, &commit)).await;
        RecordSelector {
            record_id: ticket.record_id,
            version_id: ticket.version_id,
            content_root,
            stream_len: stream_len as u64,
        }
    }

    /// Asks for a download; gives the request's hash.
    pub(crate) async fn ask_download(&self, patient: &Patient) -> Sha256Digest {
        let created = now() * 1000;
        let body = DownloadRequest {
            created,
            operator_id: self.caller.operator,
            request_id: RequestId::mint(created, random()),
            institution_id: self.id(),
            patient_id: patient.id(),
            expires: created + HOUR,
            text: sealed(),
            root_epoch: 0,
            purpose: None,
        };
        let request = Signed::sign(body, |message| self.caller.signing.sign(message).to_bytes());
        let message = pb::SubmitDownloadRequest {
            request: Some(request.to_message()),
        };
        self.call::<pb::Accepted>(&post("/v1/requests/download", &message))
            .await;
        request.hash()
    }

    async fn stand_by(&self, permission: PermissionId, possession: &SigningKey) -> StandbyTicket {
        let presentation = self.presentation(permission, possession).await;
        let answer = send_for_all(self.caller.addr, &presentation).await;
        let ticket = match pb::PresentationAnswer::decode(&answer[..]).unwrap().answer {
            Some(Answer::Standby(standby)) => Signed::<StandbyTicket>::try_from(standby.ticket),
            _ => unreachable!("an upload permission"),
        };
        ticket.unwrap().claimed().clone()
    }

    /// A presentation's bytes, signed.
    pub(crate) async fn presentation(&self, permission: PermissionId, possession: &SigningKey) -> Vec<u8> {
        let path = format!("/v1/permissions/{permission}");
        let delivery: pb::Delivery = self.call(&get(&path)).await;
        let created = now() * 1000;
        let names = pb::Presentation {
            record_id: RecordId::mint(created, random()).as_bytes().to_vec().into(),
            version_id: VersionId::mint(created, random()).as_bytes().to_vec().into(),
            ..pb::Presentation::default()
        };
        let path = format!("{path}/presentation");
        let mut ask = post(&path, &names);
        let challenge = format!(":{}:", BASE64.encode(&delivery.challenge));
        ask.headers.push(("medvault-challenge", challenge));
        let keys = [
            (SignatureLabel::Id, &*self.id().to_string(), &self.caller.signing),
            (SignatureLabel::Pop, &*permission.to_string(), possession),
        ];
        text(&self.caller.signed(&ask, &keys), &ask.body)
    }

    /// Presents a permission to read.
    pub(crate) async fn open_release(&self, permission: PermissionId, possession: &SigningKey) -> ReleaseId {
        let presentation = self.presentation(permission, possession).await;
        let answer = send_for_all(self.caller.addr, &presentation).await;
        let ticket = match pb::PresentationAnswer::decode(&answer[..]).unwrap().answer {
            Some(Answer::Release(release)) => Signed::<ReleaseTicket>::try_from(release.ticket),
            _ => unreachable!("a permission to read"),
        };
        ticket.unwrap().claimed().release_id
    }

    /// The request's head, signed.
    pub(crate) fn head(&self, ask: &Ask<'_>) -> Parts {
        let keys = [(SignatureLabel::Id, &*self.id().to_string(), &self.caller.signing)];
        self.caller.signed(ask, &keys)
    }

    /// What is answered, or the beginning of it.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> String {
        send(self.caller.addr, &text(&self.head(ask), &ask.body)).await
    }

    async fn call<M: Message + Default>(&self, ask: &Ask<'_>) -> M {
        let request = self.caller.sign(ask, &self.id().to_string());
        let answer = send_for_all(self.caller.addr, &request).await;
        M::decode(&answer[..]).unwrap()
    }
}
