//! A patient who signs by hand, with any 1216 bytes of the right form as her X-Wing key: the server cannot
//! tell, and needs no cipher to be tested.

use std::net::SocketAddr;

use bytes::Bytes;
use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use http::request::Parts;
use protocol_spec::{
    bodies::{Revocation, UploadRequest, VaultHead},
    devices::{DeviceList, FirstDevice},
    field::SealedBytes,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId, PermissionId, RequestId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    patient::{DeviceChain, PatientSigned},
    permission::{Kind, PermissionBody, RecordSelector, SignedPermission},
    request::SignatureLabel,
    statement::{Body, Signed},
    vault_head::{Act, Acts, HeadRef},
};

use super::{
    caller::{Ask, Caller, get, now, post, public, random},
    client::{Server, send},
    hospital::Hospital,
};

pub(crate) const HOUR: u64 = 3_600_000;

pub(crate) struct Patient {
    pub(crate) caller: Caller,
    chain: DeviceChain,
    list: Signed<DeviceList>,
    /// The first of her vault, which her permissions name.
    head: Option<HeadRef>,
}

/// Another one for each principal: no key stands in two entries of the directory.
pub(crate) fn recipient_key(of: &IdentityKey) -> RecipientKey {
    let mut key = [0; RecipientKey::LEN];
    // Coefficients of 12 bits, each below 3329: one byte of each pair.
    for (at, byte) in of.as_bytes().iter().enumerate() {
        key[3 * at] = *byte;
    }
    key[1184] = 9;
    key.as_slice().try_into().unwrap()
}

/// What could be an HPKE seal.
pub(crate) fn sealed() -> SealedBytes {
    SealedBytes {
        enc: Bytes::from(vec![3; SealedBytes::ENC_LEN]),
        ciphertext: Bytes::from(vec![4; 80]),
    }
}

impl Patient {
    /// Not enrolled; her one key is both identity and device.
    pub(crate) async fn new(addr: SocketAddr) -> Self {
        let caller = Caller::new(addr).await;
        let first = FirstDevice {
            created: now() * 1000,
            identity_key: caller.key,
            device_key: caller.key,
            recipient_key: &recipient_key(&caller.key),
            vault_key: &recipient_key(&caller.key),
            sealed_name: vec![1; 136].into(),
        };
        let (chain, list) = first.sign(|message| caller.signing.sign(message).to_bytes());
        Self {
            chain,
            list,
            caller,
            head: None,
        }
    }

    pub(crate) async fn enrolled(server: &Server) -> Self {
        Self::enrolled_at(server.addr()).await
    }

    pub(crate) async fn enrolled_at(addr: SocketAddr) -> Self {
        let mut patient = Self::new(addr).await;
        patient.submit(&patient.enrolment()).await;
        patient.head = Some(patient.put_head().await);
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
        acts.push(Act::Devices(self.list.hash()));
        let next = acts.next_head();
        let head = VaultHead {
            created: now() * 1000,
            operator_id: self.caller.operator,
            patient_id: self.id(),
            sequence: next.sequence,
            previous_hash: next.previous_hash,
            acts: next.acts,
            root: next.root,
            log_salt_hash: Sha256Digest::of(&salt),
            log_size: 0,
        };
        let sign = |message: &[u8]| self.caller.signing.sign(message).to_bytes();
        let head = PatientSigned::new(Signed::sign(head, sign), self.chain.clone());
        let hash = head.hash();
        let head = Some((&head).into());
        self.submit(&post("/v1/vault/heads", &pb::SubmitVaultHead { head }))
            .await;
        HeadRef { sequence: 0, hash }
    }

    pub(crate) fn id(&self) -> PatientId {
        PatientId::from(&self.caller.key)
    }

    fn key_id(&self) -> String {
        DeviceId::from(&self.caller.key).to_string()
    }

    pub(crate) fn enrolment(&self) -> Ask<'static> {
        let device = pb::NewDevice {
            chain: Some((&self.chain).into()),
            recipient_key: Bytes::copy_from_slice(recipient_key(&self.caller.key).as_bytes()),
            root_key: Some((&sealed()).into()),
            approval: Bytes::new(),
        };
        let sign = |message: &[u8]| self.caller.signing.sign(message).to_bytes();
        let vault_key = Signed::sign(self.list.claimed().vault_key_statement(), sign);
        let message = pb::EnrolPatient {
            list: Some(self.list.to_message()),
            device: Some(device),
            vault_key: Some((&PatientSigned::new(vault_key, self.chain.clone())).into()),
            ..pb::EnrolPatient::default()
        };
        post("/v1/patients", &message)
    }

    /// Asks a hospital to send, and permits it.
    pub(crate) async fn permit_upload(&self, hospital: &Hospital, possession: &SigningKey) -> PermissionId {
        let created = now() * 1000;
        let sign = |message: &[u8]| self.caller.signing.sign(message).to_bytes();
        let request = UploadRequest {
            created,
            operator_id: self.caller.operator,
            request_id: RequestId::mint(created, random()),
            patient_id: self.id(),
            institution_id: hospital.id(),
            expires: created + HOUR,
            text: sealed(),
        };
        let request = PatientSigned::new(Signed::sign(request, sign), self.chain.clone());
        let body = self.permission(hospital, Kind::Upload, request.hash(), possession);
        let message = pb::SubmitUploadRequest {
            request: Some((&request).into()),
            permission: Some(self.permit(&body)),
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
        possession: &SigningKey,
    ) -> PermissionBody {
        let mut body = self.permission(hospital, Kind::Download, request_hash, possession);
        body.records.push(record);
        let message = pb::SubmitPermission::from(self.permit(&body));
        self.submit(&post("/v1/permissions", &message)).await;
        body
    }

    /// Takes a permission back.
    pub(crate) fn revocation(&self, permission: &PermissionBody) -> Ask<'static> {
        let revocation = Revocation {
            created: now() * 1000,
            permission_id: permission.permission_id,
            permission_hash: Sha256Digest::of(&permission.encode()),
            patient_id: self.id(),
        };
        let sign = |message: &[u8]| self.caller.signing.sign(message).to_bytes();
        let revocation = PatientSigned::new(Signed::sign(revocation, sign), self.chain.clone());
        let revocation = Some((&revocation).into());
        post("/v1/revocations", &pb::SubmitRevocation { revocation })
    }

    fn permission(
        &self,
        hospital: &Hospital,
        kind: Kind,
        request_hash: Sha256Digest,
        possession: &SigningKey,
    ) -> PermissionBody {
        let created = now() * 1000;
        PermissionBody {
            created,
            operator_id: self.caller.operator,
            permission_id: PermissionId::mint(created, random()),
            kind,
            patient_id: self.id(),
            institution_id: hospital.id(),
            directory_entry_hash: hospital.keys.hash(),
            recipient_key_hash: hospital.keys.claimed().recipient_key.digest(),
            records: Vec::new(),
            collection: None,
            not_before: created - HOUR,
            not_after: created + HOUR,
            uses: if kind == Kind::Upload { 1 } else { 100 },
            bytes: 1 << 30,
            request_hash,
            possession_key: public(possession),
            replaces: None,
            purpose: None,
            conditions: None,
            vault_head: self.head,
            delegation: None,
            emergency: None,
        }
    }

    fn permit(&self, body: &PermissionBody) -> pb::Permission {
        let sign = |message: &[u8]| self.caller.signing.sign(message).to_bytes();
        let signed = SignedPermission::sign(body.encode(), sealed(), self.chain.clone(), sign);
        (&signed.unwrap()).into()
    }

    async fn submit(&self, ask: &Ask<'_>) {
        let answer = self.ask(ask).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The request's bytes, signed.
    pub(crate) fn sign(&self, ask: &Ask<'_>) -> Vec<u8> {
        self.caller.sign(ask, &self.key_id())
    }

    /// The request's head, signed.
    pub(crate) fn head(&self, ask: &Ask<'_>) -> Parts {
        let keys = [(SignatureLabel::Id, &*self.key_id(), &self.caller.signing)];
        self.caller.signed(ask, &keys)
    }

    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> String {
        send(self.caller.addr, &self.sign(ask)).await
    }
}
