//! A patient who signs by hand: the server cannot tell what is sealed, and needs no cipher to be tested.

use std::{net::SocketAddr, ops::Deref};

use actors::{KeyPair, recipient_of};
use data_encoding::BASE64;
use protocol_spec::{
    hash::Sha256Digest,
    ids::PermissionId,
    messages as pb,
    permission::{Kind, PermissionBody, RecordSelector},
    vault_head::{Act, Acts, HeadRef},
};

use super::{
    caller::{Ask, Caller, get, post, setting},
    client::Server,
    hospital::Hospital,
};

pub(crate) struct Patient {
    pub(crate) caller: Caller,
    pub(crate) actor: actors::Patient,
}

impl Deref for Patient {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Patient {
    /// Not enrolled; her one key is both identity and device.
    pub(crate) async fn new(addr: SocketAddr) -> Self {
        let (key, at) = (KeyPair::random(), setting(addr).await);
        let actor = actors::Patient::first(&key, key.clone(), &recipient_of(&key.public()), at);
        let name = actor.device_id().to_string();
        Self {
            caller: Caller { key, name, at, addr },
            actor,
        }
    }

    pub(crate) async fn enrolled(server: &Server) -> Self {
        Self::enrolled_at(server.addr()).await
    }

    pub(crate) async fn enrolled_at(addr: SocketAddr) -> Self {
        let mut patient = Self::new(addr).await;
        patient.submit(&patient.enrolment()).await;
        patient.actor.head = patient.put_head().await;
        patient
    }

    /// A head over the one thing that has been done to a new vault.
    async fn put_head(&self) -> HeadRef {
        let mut salt = get("/v1/log/salt");
        salt.headers.push(("accept", "application/json".to_owned()));
        let salt = self.ask(&salt).await;
        let (_, salt) = salt.split_once("\r\n\r\n").unwrap();
        let salt: serde_json::Value = serde_json::from_str(salt).unwrap();
        let salt = BASE64.decode(salt["salt"].as_str().unwrap().as_bytes()).unwrap();
        let mut acts = Acts::default();
        acts.push(Act::Devices(self.actor.list.hash()));
        let head = self.actor.vault_head(&acts.next_head(), &salt);
        let (head, hash) = self.actor.statement(head);
        let head = Some(head);
        self.submit(&post("/v1/vault/heads", &pb::SubmitVaultHead { head }))
            .await;
        HeadRef { sequence: 0, hash }
    }

    pub(crate) fn enrolment(&self) -> Ask<'static> {
        post("/v1/patients", &self.actor.enrolment())
    }

    /// Asks a hospital to send, and permits it.
    pub(crate) async fn permit_upload(&self, hospital: &Hospital, possession: &KeyPair) -> PermissionId {
        let request = self.actor.upload_request(hospital.actor.id);
        let (request, hash) = self.actor.statement(request);
        let body = self.permission(hospital, Kind::Upload, hash, possession).body();
        let message = pb::SubmitUploadRequest {
            request: Some(request),
            permission: Some(self.actor.permit(&body)),
            upload_key_wrap: vec![8; 104].into(),
            upload_key_epoch: 0,
        };
        self.submit(&post("/v1/requests/upload", &message)).await;
        body.permission_id
    }

    /// Permits what a hospital has asked for.
    pub(crate) async fn permit_download(
        &self,
        hospital: &Hospital,
        request_hash: Sha256Digest,
        record: RecordSelector,
        possession: &KeyPair,
    ) -> PermissionBody {
        let permission = self.permission(hospital, Kind::Download, request_hash, possession);
        let body = permission.records(vec![record]).uses(100).body();
        let message = pb::SubmitPermission::from(self.actor.permit(&body));
        self.submit(&post("/v1/permissions", &message)).await;
        body
    }

    /// Takes a permission back.
    pub(crate) fn revocation(&self, permission: &PermissionBody) -> Ask<'static> {
        post("/v1/revocations", &self.actor.revokes(permission))
    }

    fn permission(
        &self,
        hospital: &Hospital,
        kind: Kind,
        request_hash: Sha256Digest,
        possession: &KeyPair,
    ) -> actors::Permission<'_> {
        let permission = self.actor.permission(kind).to(&hospital.actor);
        let answer = permission.answers(request_hash).possession(possession.public());
        answer.bytes(1 << 30)
    }

    async fn submit(&self, ask: &Ask<'_>) {
        let answer = self.ask(ask).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
