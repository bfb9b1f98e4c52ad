//! A hospital that signs by hand, accredited by the tests' registrar. What it sends as sealed is not.

use std::{net::SocketAddr, ops::Deref};

use actors::{Institution, KeyPair, institution::Charter, random};
use data_encoding::BASE64;
use prost::Message;
use protocol_spec::{
    bodies::{ReleaseTicket, StandbyTicket},
    content,
    hash::Sha256Digest,
    ids::{PermissionId, RecordId, ReleaseId, VersionId},
    messages as pb,
    permission::RecordSelector,
    request::SignatureLabel,
    statement::Signed,
};

use super::{
    caller::{Ask, Caller, get, now, post, setting, text},
    client::{REGISTRAR, send_for_all},
    patient::Patient,
};

use pb::presentation_answer::Answer;

pub(crate) struct Hospital {
    caller: Caller,
    pub(crate) actor: Institution,
}

impl Deref for Hospital {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Hospital {
    pub(crate) async fn enrolled_at(addr: SocketAddr) -> Self {
        let (key, at) = (KeyPair::random(), setting(addr).await);
        let registrar = KeyPair::from_seed(REGISTRAR);
        let actor = Charter::of(key.clone()).accredited_by(&registrar).at(at).sign();
        let name = actor.id.to_string();
        let caller = Caller { key, name, at, addr };
        let hospital = Self { caller, actor };
        hospital
            .call::<pb::Accepted>(&post("/v1/institutions", &hospital.actor.enrolment()))
            .await;
        hospital
    }

    /// Makes a record of one leaf in the patient's vault.
    pub(crate) async fn store(
        &self,
        patient: &Patient,
        stream_len: usize,
        manifest_len: usize,
    ) -> RecordSelector {
        let possession = KeyPair::random();
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
        let request = self.actor.download_request(patient.actor.id);
        let (message, hash) = self.actor.asks_download(request);
        self.call::<pb::Accepted>(&post("/v1/requests/download", &message))
            .await;
        hash
    }

    async fn stand_by(&self, permission: PermissionId, possession: &KeyPair) -> StandbyTicket {
        let presentation = self.presentation(permission, possession).await;
        let answer = send_for_all(self.addr, &presentation).await;
        let ticket = match pb::PresentationAnswer::decode(&answer[..]).unwrap().answer {
            Some(Answer::Standby(standby)) => Signed::<StandbyTicket>::try_from(standby.ticket),
            _ => unreachable!("an upload permission"),
        };
        ticket.unwrap().claimed().clone()
    }

    /// A presentation's bytes, signed.
    pub(crate) async fn presentation(&self, permission: PermissionId, possession: &KeyPair) -> Vec<u8> {
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
            (SignatureLabel::Id, &*self.caller.name, &self.caller.key),
            (SignatureLabel::Pop, &*permission.to_string(), possession),
        ];
        text(&self.signed(&ask, &keys), &ask.body)
    }

    /// Presents a permission to read.
    pub(crate) async fn open_release(&self, permission: PermissionId, possession: &KeyPair) -> ReleaseId {
        let presentation = self.presentation(permission, possession).await;
        let answer = send_for_all(self.addr, &presentation).await;
        let ticket = match pb::PresentationAnswer::decode(&answer[..]).unwrap().answer {
            Some(Answer::Release(release)) => Signed::<ReleaseTicket>::try_from(release.ticket),
            _ => unreachable!("a permission to read"),
        };
        ticket.unwrap().claimed().release_id
    }

    async fn call<M: Message + Default>(&self, ask: &Ask<'_>) -> M {
        let answer = send_for_all(self.addr, &self.sign(ask)).await;
        M::decode(&answer[..]).unwrap()
    }
}
