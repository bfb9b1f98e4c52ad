//! Principals with their keys, and what they sign.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use protocol_spec::{
    bodies::{
        Accreditation, Denial, DeviceCertificate, DownloadRequest, EpochClosure, InstitutionKeys, Placement,
        ReferenceRequest, Revocation, UploadRequest,
    },
    field::SealedBytes,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, PatientId, RegistrarId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    patient::{OfPatient, PatientSigned},
    permission::{PermissionBody, SignedPermission},
    statement::{Body, Signed},
};

pub(super) const SECRET: &[u8] = b"opened from the accreditation";

pub(super) fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn public(key: &SigningKey) -> IdentityKey {
    IdentityKey::try_from(key.verifying_key().as_bytes().as_slice()).unwrap()
}

pub(super) fn signed<T: Body>(body: T, key: &SigningKey) -> Signed<T> {
    Signed::sign(body, |message| key.sign(message).to_bytes())
}

fn recipient_key() -> RecipientKey {
    let mut key = [0; RecipientKey::LEN];
    key[1184] = 9;
    RecipientKey::try_from(&key[..]).unwrap()
}

/// What could be an HPKE seal.
pub(super) fn sealed() -> SealedBytes {
    SealedBytes {
        enc: Bytes::from(vec![3; SealedBytes::ENC_LEN]),
        ciphertext: Bytes::from(vec![4; 80]),
    }
}

#[derive(Clone)]
pub(super) struct Patient {
    pub(super) id: PatientId,
    pub(super) device: SigningKey,
    pub(super) certificate: Signed<DeviceCertificate>,
}

impl Patient {
    pub(super) fn new(seed: u8) -> Self {
        let (identity, device) = (signing_key(seed), signing_key(seed + 100));
        let certificate = DeviceCertificate {
            created: 1,
            identity_key: public(&identity),
            device_key: public(&device),
            recipient_key: recipient_key(),
        };
        Self {
            id: PatientId::from(&public(&identity)),
            certificate: signed(certificate, &identity),
            device,
        }
    }

    pub(super) fn enrolment(&self) -> pb::EnrolPatient {
        pb::EnrolPatient {
            device_certificate: Some(self.certificate.to_message()),
        }
    }

    pub(super) fn closure(&self, body: EpochClosure) -> pb::CloseEpoch {
        pb::CloseEpoch {
            closure: Some(self.statement(body).0),
        }
    }

    fn statement<T: OfPatient>(&self, body: T) -> (pb::PatientStatement, Sha256Digest) {
        let statement = PatientSigned::new(signed(body, &self.device), self.certificate.clone());
        ((&statement).into(), statement.hash())
    }

    pub(super) fn upload_request(&self, body: UploadRequest) -> (pb::PatientStatement, Sha256Digest) {
        self.statement(body)
    }

    pub(super) fn placement(&self, body: Placement) -> pb::PatientStatement {
        self.statement(body).0
    }

    pub(super) fn denial(&self, body: Denial) -> pb::SubmitDenial {
        pb::SubmitDenial {
            denial: Some(self.statement(body).0),
        }
    }

    pub(super) fn revocation(&self, permission: &PermissionBody) -> pb::SubmitRevocation {
        let body = Revocation {
            created: 1,
            permission_id: permission.permission_id,
            permission_hash: Sha256Digest::of(&permission.encode()),
            patient_id: self.id,
        };
        pb::SubmitRevocation {
            revocation: Some(self.statement(body).0),
        }
    }

    pub(super) fn permission(&self, body: &PermissionBody) -> pb::Permission {
        let sign = |message: &[u8]| self.device.sign(message).to_bytes();
        let signed = SignedPermission::sign(body.encode(), sealed(), self.certificate.clone(), sign);
        (&signed.unwrap()).into()
    }
}

#[derive(Clone)]
pub(super) struct Hospital {
    pub(super) id: InstitutionId,
    pub(super) key: SigningKey,
    pub(super) keys: Signed<InstitutionKeys>,
    pub(super) accreditation: Signed<Accreditation>,
}

impl Hospital {
    pub(super) fn new(seed: u8, registrar: &SigningKey, operator: OperatorId) -> Self {
        let key = signing_key(seed);
        let name: protocol_spec::field::Name = format!("Hospital {seed}").try_into().unwrap();
        let id = InstitutionId::from(&public(&key));
        let accreditation = Accreditation {
            created: 1,
            registrar_id: RegistrarId::from(&public(registrar)),
            institution_id: id,
            name: name.clone(),
            recipient_key_hash: recipient_key().digest(),
            secret_hash: Sha256Digest::of(SECRET),
        };
        let accreditation = signed(accreditation, registrar);
        let keys = InstitutionKeys {
            created: 1,
            operator_id: operator,
            name,
            identity_key: public(&key),
            recipient_key: recipient_key(),
            accreditation_hash: accreditation.hash(),
        };
        Self {
            id,
            keys: signed(keys, &key),
            accreditation,
            key,
        }
    }

    pub(super) fn enrolment(&self) -> pb::EnrolInstitution {
        pb::EnrolInstitution {
            keys: Some(self.keys.to_message()),
            accreditation: Some(self.accreditation.to_message()),
            secret: SECRET.into(),
        }
    }

    pub(super) fn download_request(
        &self,
        body: DownloadRequest,
    ) -> (pb::SubmitDownloadRequest, Sha256Digest) {
        let request = signed(body, &self.key);
        let hash = request.hash();
        let request = Some(request.to_message());
        (pb::SubmitDownloadRequest { request }, hash)
    }

    pub(super) fn reference_request(
        &self,
        body: ReferenceRequest,
    ) -> (pb::SubmitReferenceRequest, Sha256Digest) {
        let request = signed(body, &self.key);
        let hash = request.hash();
        let request = Some(request.to_message());
        (pb::SubmitReferenceRequest { request }, hash)
    }
}
