//! Enrolment: a patient's device, an accredited institution. The caller is made from the message before
//! the request's signature is checked, so that the key being enrolled must have signed the request.

use std::sync::Arc;

use protocol_spec::{
    Error,
    bodies::{DeviceCertificate, InstitutionKeys},
    directory::Institution,
    ids::{InstitutionId, PatientId},
    messages as pb,
    patient::verify_device,
    problem::Problem,
    statement::{Signed, Verified},
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    refusal::ensure,
    tables::{self, Row, RowKey},
    tx::{Operation, Tx},
};

impl Vault {
    /// The enrolled caller with this key id (`pat_…` or `inst_…`).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find_key(&self, key_id: &str) -> Result<Option<Caller>, Refusal> {
        if let Ok(id) = key_id.parse::<PatientId>() {
            return self
                .known(tables::patient(id), *id.as_bytes(), |row| stored_patient(row, id))
                .await;
        }
        if let Ok(id) = key_id.parse::<InstitutionId>() {
            let verify = |row| {
                let institution = self.shared.stored_institution(row)?;
                Ok(Caller::Institution(Arc::new(institution)))
            };
            return self.known(tables::institution(id), *id.as_bytes(), verify).await;
        }
        Ok(None)
    }

    async fn known<R: Row>(
        &self,
        row: RowKey<R>,
        principal: [u8; 32],
        verify: impl FnOnce(R) -> Result<Caller, Refusal>,
    ) -> Result<Option<Caller>, Refusal> {
        let Shared { ledger, known, .. } = &*self.shared;
        let (Some(row), Some(version)) = row.read(&**ledger).await? else {
            return Ok(None);
        };
        known.get(principal, version, || verify(row)).map(Some)
    }

    /// Checks a patient's enrolment and gives the caller it makes. Verify the request's signature with
    /// the caller's key, then call [`Vault::enrol`].
    ///
    /// # Errors
    /// `malformed`, `degenerate-key`, or `not-permitted` when the certificate does not verify.
    pub fn enrolling_patient(&self, message: pb::EnrolPatient) -> Result<Caller, Refusal> {
        Ok(patient(message.device_certificate)?)
    }

    /// Checks an institution's enrolment (KEY-7, KEY-8), as [`Vault::enrolling_patient`].
    ///
    /// # Errors
    /// `malformed`, `degenerate-key`, or `not-accredited`.
    pub fn enrolling_institution(&self, message: pb::EnrolInstitution) -> Result<Caller, Refusal> {
        let Shared {
            registrar, operator, ..
        } = &*self.shared;
        let (keys, accreditation) = (message.keys.try_into()?, message.accreditation.try_into()?);
        let institution = Institution::verify(keys, accreditation, registrar, operator.id())
            .and_then(|institution| institution.check_secret(&message.secret).map(|()| institution))
            .map_err(|error| Refusal::new(Problem::NotAccredited, error))?;
        Ok(Caller::Institution(Arc::new(institution)))
    }

    /// Enrols a caller that one of the two functions above has made and whose signature is verified.
    ///
    /// # Errors
    /// `already-exists` when it is enrolled with other keys.
    pub async fn enrol(&self, caller: &Caller, intent: &Intent) -> Result<pb::Accepted, Refusal> {
        match caller {
            Caller::Patient { id, device } => {
                self.shared
                    .mutate(caller, intent, EnrolPatient { id: *id, device })
                    .await
            }
            Caller::Institution(institution) => {
                self.shared
                    .mutate(caller, intent, EnrolInstitution { institution })
                    .await
            }
        }
    }

    /// A patient's device, for institutions and the patient herself.
    ///
    /// # Errors
    /// `not-permitted` for other patients, and when there is no such patient.
    pub async fn patient_info(
        &self,
        caller: &Caller,
        patient: PatientId,
    ) -> Result<pb::PatientInfo, Refusal> {
        if let Caller::Patient { id, .. } = caller {
            ensure(
                *id == patient,
                Problem::NotPermitted,
                "patients see only themselves",
            )?;
        }
        let row = tables::patient(patient).get(&*self.shared.ledger).await?;
        let row = row.ok_or_else(|| Refusal::absent("no such patient"))?;
        Ok(pb::PatientInfo {
            device_certificate: row.device_certificate,
        })
    }
}

impl Shared {
    /// Reads an entry of the directory.
    pub(super) fn stored_institution(&self, entry: pb::DirectoryEntry) -> Result<Institution, Refusal> {
        Institution::from_entry(entry, &self.registrar, self.operator.id()).map_err(Refusal::damaged)
    }
}

impl Tx<'_> {
    /// An institution that must be enrolled.
    pub(super) async fn institution(&mut self, id: InstitutionId) -> Result<Institution, Refusal> {
        let entry = self.read_existing(&tables::institution(id)).await?;
        self.shared.stored_institution(entry)
    }
}

struct EnrolPatient<'a> {
    id: PatientId,
    device: &'a Verified<DeviceCertificate>,
}

impl Operation for EnrolPatient<'_> {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let key = tables::patient(self.id);
        let row = pb::EnrolPatient {
            device_certificate: Some(self.device.to_message()),
        };
        match tx.read(&key).await? {
            Some(stored) => ensure(
                stored == row,
                Problem::AlreadyExists,
                "enrolled with another device",
            )?,
            None => tx.put(&key, &row),
        }
        Ok(pb::Accepted {})
    }
}

struct EnrolInstitution<'a> {
    institution: &'a Institution,
}

impl Operation for EnrolInstitution<'_> {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { institution } = self;
        let key = tables::institution(institution.id());
        let keys: &Verified<InstitutionKeys> = institution.keys();
        if let Some(stored) = tx.read(&key).await? {
            let same = stored.keys == Some(keys.to_message());
            ensure(same, Problem::AlreadyExists, "enrolled with another entry")?;
            return Ok(pb::Accepted {});
        }
        let entry = pb::DirectoryEntry {
            keys: Some(keys.to_message()),
            accreditation: Some(institution.accreditation().to_message()),
            proof: Some(tx.log(&keys.hash())?),
        };
        tx.put(&key, &entry);
        Ok(pb::Accepted {})
    }
}

fn patient(certificate: Option<pb::Statement>) -> Result<Caller, Error> {
    let certificate = Signed::<DeviceCertificate>::try_from(certificate)?;
    let id = PatientId::from(&certificate.claimed().identity_key);
    let device = verify_device(certificate, id)?;
    Ok(Caller::Patient { id, device })
}

fn stored_patient(row: pb::EnrolPatient, id: PatientId) -> Result<Caller, Refusal> {
    let caller = patient(row.device_certificate).map_err(Refusal::damaged)?;
    ensure(
        caller.principal() == *id.as_bytes(),
        Problem::Internal,
        "a patient's row has another's key",
    )?;
    Ok(caller)
}
