//! A patient whose every statement a test may shape.

use anyhow::Result;
use bytes::Bytes;
use crypto::{
    CollectionKey, DataKey, PermissionKey, RecipientSecret, SigningIdentity, TextContext, UploadKey,
    seal_text,
};
use protocol_spec::{
    bodies::{Denial, DeviceCertificate, EpochClosure, Placement, Revocation, UploadRequest},
    collection::{Collection, CollectionSelector},
    directory::Institution,
    hash::Sha256Digest,
    ids::{PatientId, PermissionId, RequestId},
    messages as pb,
    patient::PatientSigned,
    permission::{Kind, PermissionBody, RecordSelector, SignedPermission},
    statement::{Body, Signed},
};

use super::{Answer, Call, Key, Wire, now_ms, random};

/// A patient with one device.
pub struct RawPatient {
    /// Her id.
    pub id: PatientId,
    /// The device's X-Wing key.
    pub recipient: RecipientSecret,
    name: String,
    device: SigningIdentity,
    certificate: Signed<DeviceCertificate>,
}

/// An upload request with its permission, as it goes to the server.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The request.
    pub request_id: RequestId,
    /// The permission.
    pub permission_id: PermissionId,
    /// The message for `POST /v1/requests/upload`.
    pub message: pb::SubmitUploadRequest,
}

impl RawPatient {
    /// Makes keys; enrols nobody.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new() -> Result<Self> {
        let (identity, device) = (SigningIdentity::generate()?, SigningIdentity::generate()?);
        let recipient = RecipientSecret::generate()?;
        let body = DeviceCertificate {
            created: now_ms(),
            identity_key: identity.public(),
            device_key: device.public(),
            recipient_key: recipient.public().clone(),
        };
        let certificate = Signed::sign(body, |message| identity.sign_bytes(message));
        let id = PatientId::from(&identity.public());
        Ok(Self {
            id,
            recipient,
            name: id.to_string(),
            device,
            certificate,
        })
    }

    /// Makes keys and enrols.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn enrol(wire: &Wire) -> Result<Self> {
        let patient = Self::new()?;
        let message = pb::EnrolPatient {
            device_certificate: Some(patient.certificate.to_message()),
        };
        patient
            .post(wire, "/v1/patients", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(patient)
    }

    /// How she signs requests.
    pub fn key(&self) -> Key<'_> {
        Key {
            id: &self.name,
            signing: &self.device,
        }
    }

    /// Her device's certificate.
    pub fn certificate(&self) -> &Signed<DeviceCertificate> {
        &self.certificate
    }

    /// Sends a message, signed.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, wire: &Wire, path: &str, message: &impl prost::Message) -> Result<Answer> {
        wire.call(&Call::post(path, message)?, self.key()).await
    }

    /// Reads, signed.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, wire: &Wire, path: &str) -> Result<Answer> {
        wire.call(&Call::get(path), self.key()).await
    }

    /// An upload request with its permission; `edit` may change the permission before it is signed.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn offer(
        &self,
        wire: &Wire,
        to: &Institution,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<Offer> {
        let request_id = RequestId::mint(now_ms(), random()?);
        let context = TextContext::to_institution(request_id, &self.id, &to.id());
        let request = UploadRequest {
            created: now_ms(),
            operator_id: wire.operator_id(),
            request_id,
            patient_id: self.id,
            institution_id: to.id(),
            expires: now_ms() + 3_600_000,
            text: seal_text(to.recipient_key(), &context, "please upload")?,
        };
        let request = Signed::sign(request, |message| self.device.sign_bytes(message));
        let hash = request.hash();
        let (permission_id, permission) = self.permission(wire, to, hash, &UploadKey::generate()?, edit)?;
        let request = PatientSigned::new(request, self.certificate.clone());
        let message = pb::SubmitUploadRequest {
            request: Some((&request).into()),
            permission: Some(permission),
            upload_key_wrap: Bytes::copy_from_slice(&random::<104>()?),
            upload_key_epoch: 0,
        };
        Ok(Offer {
            request_id,
            permission_id,
            message,
        })
    }

    /// Submits an offer, which must be taken.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn submit_offer(&self, wire: &Wire, offer: &Offer) -> Result<()> {
        self.post(wire, "/v1/requests/upload", &offer.message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// Submits a permission, which must be taken.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn grant(&self, wire: &Wire, permission: pb::Permission) -> Result<()> {
        let message = pb::SubmitPermission::from(permission);
        self.post(wire, "/v1/permissions", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// A download permission for these records; `edit` may change it before it is signed.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn permit(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        records: Vec<RecordSelector>,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<(PermissionId, pb::Permission)> {
        let keys = records
            .iter()
            .map(|_| DataKey::generate())
            .collect::<Result<Vec<_>, _>>()?;
        let bytes = records.iter().map(|record| record.stream_len).sum();
        self.permission(wire, to, request, &keys, |body| {
            body.kind = Kind::Download;
            body.bytes = bytes;
            body.records = records;
            edit(body);
        })
    }

    fn permission<K: crypto::permission::Granted>(
        &self,
        wire: &Wire,
        to: &Institution,
        request_hash: Sha256Digest,
        keys: &K,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<(PermissionId, pb::Permission)> {
        let permission_id = PermissionId::mint(now_ms(), random()?);
        let key = PermissionKey::mint(&permission_id, keys)?;
        let mut body = PermissionBody {
            created: now_ms(),
            operator_id: wire.operator_id(),
            permission_id,
            kind: Kind::Upload,
            patient_id: self.id,
            institution_id: to.id(),
            directory_entry_hash: to.entry_hash(),
            recipient_key_hash: to.recipient_key().digest(),
            records: Vec::new(),
            collection: None,
            not_before: now_ms() - 60_000,
            not_after: now_ms() + 3_600_000,
            uses: 1,
            bytes: 64 << 20,
            request_hash,
            possession_key: key.possession(),
            replaces: None,
        };
        edit(&mut body);
        let bytes = body.encode();
        let wrap = key.seal(to.recipient_key(), &bytes)?;
        let sign = |message: &[u8]| self.device.sign_bytes(message);
        let signed = SignedPermission::sign(bytes, wrap, self.certificate.clone(), sign)?;
        Ok((permission_id, (&signed).into()))
    }

    /// Opens an epoch of a collection; what is wrapped and sealed is random.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn put_collection(&self, wire: &Wire, collection: Collection) -> Result<()> {
        let message = pb::PutCollection {
            collection_id: Bytes::copy_from_slice(collection.id.as_bytes()),
            epoch: collection.epoch,
            key_wrap: Bytes::copy_from_slice(&random::<104>()?),
            sealed_name: match collection.epoch {
                0 => Bytes::copy_from_slice(&random::<136>()?),
                _ => Bytes::new(),
            },
        };
        self.post(wire, "/v1/vault/collections", &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// Places a record in a collection.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn place(
        &self,
        wire: &Wire,
        record: &RecordSelector,
        collection: Collection,
        number: u64,
    ) -> Result<()> {
        let body = Placement {
            created: now_ms(),
            patient_id: self.id,
            record_id: record.record_id,
            version_id: record.version_id,
            content_root: record.content_root,
            stream_len: record.stream_len,
            collection_id: collection.id,
            number,
        };
        let signed = Signed::sign(body, |message| self.device.sign_bytes(message));
        let placement = PatientSigned::new(signed, self.certificate.clone());
        let message = pb::AdoptRecord {
            placement: Some((&placement).into()),
            epoch: collection.epoch,
            data_key_wrap: Bytes::copy_from_slice(&random::<104>()?),
        };
        let path = format!("/v1/vault/records/{}/adoption", record.version_id);
        self.post(wire, &path, &message)
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }

    /// Brings a record's data key under a collection's next key, and closes the epoch before.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn end_epoch(
        &self,
        wire: &Wire,
        old: Collection,
        (record, number): (&RecordSelector, u64),
    ) -> Result<()> {
        let epoch = old.epoch + 1;
        self.put_collection(wire, Collection { epoch, ..old }).await?;
        let wraps = vec![pb::Wrap {
            number,
            version_id: Bytes::copy_from_slice(record.version_id.as_bytes()),
            data_key_wrap: Bytes::copy_from_slice(&random::<104>()?),
            record_id: Bytes::new(),
        }];
        let message = pb::PutWraps {
            collection_id: Bytes::copy_from_slice(old.id.as_bytes()),
            from_epoch: old.epoch,
            epoch,
            wraps,
        };
        self.post(wire, "/v1/vault/wraps", &message)
            .await?
            .message::<pb::Accepted>()?;
        let body = EpochClosure {
            created: now_ms(),
            patient_id: self.id,
            collection_id: old.id,
            epoch: old.epoch,
        };
        let signed = Signed::sign(body, |message| self.device.sign_bytes(message));
        let closure = PatientSigned::new(signed, self.certificate.clone());
        let message = pb::CloseEpoch {
            closure: Some((&closure).into()),
        };
        self.post(wire, "/v1/vault/closures", &message)
            .await?
            .message::<pb::LoggedStatement>()?;
        Ok(())
    }

    /// Permits a download of whatever lies in a collection.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn permit_collection(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        collection: Collection,
    ) -> Result<PermissionId> {
        let (id, permission) = self.over_collection(wire, to, request, collection, |_| ())?;
        self.grant(wire, permission).await?;
        Ok(id)
    }

    /// A permission for a download of whatever lies in a collection; `edit` may change it before it is signed.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn over_collection(
        &self,
        wire: &Wire,
        to: &Institution,
        request: Sha256Digest,
        collection: Collection,
        edit: impl FnOnce(&mut PermissionBody),
    ) -> Result<(PermissionId, pb::Permission)> {
        let key = CollectionKey::generate()?;
        self.permission(wire, to, request, &key, |body| {
            body.kind = Kind::Download;
            body.collection = Some(CollectionSelector {
                collection,
                until: None,
            });
            edit(body);
        })
    }

    /// A denial of a request.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn denial(
        &self,
        request_id: RequestId,
        request_hash: Sha256Digest,
        asker: &Institution,
    ) -> Result<pb::SubmitDenial> {
        let context = TextContext::to_institution(request_id, &self.id, &asker.id());
        let body = Denial {
            created: now_ms(),
            request_id,
            request_hash,
            patient_id: self.id,
            institution_id: asker.id(),
            text: seal_text(asker.recipient_key(), &context, "no")?,
        };
        let signed = Signed::sign(body, |message| self.device.sign_bytes(message));
        let denial = PatientSigned::new(signed, self.certificate.clone());
        Ok(pb::SubmitDenial {
            denial: Some((&denial).into()),
        })
    }

    /// A revocation of a permission.
    pub fn revocation(
        &self,
        permission: &pb::Permission,
        permission_id: PermissionId,
    ) -> pb::SubmitRevocation {
        let body = Revocation {
            created: now_ms(),
            permission_id,
            permission_hash: Sha256Digest::of(&permission.body),
            patient_id: self.id,
        };
        let signed = Signed::sign(body, |message| self.device.sign_bytes(message));
        let revocation = PatientSigned::new(signed, self.certificate.clone());
        pb::SubmitRevocation {
            revocation: Some((&revocation).into()),
        }
    }
}
