//! Patients as others see them: the key to seal to, and, for whoever holds a share of a recovery key, the list of devices that
//! has it. See `protocol-spec/spec/devices.md` §2.

use std::sync::Arc;

use protocol_spec::{
    api,
    bodies::VaultKeyStatement,
    devices::{DeviceList, verify_newest},
    ids::{DeviceId, PatientId},
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
    statement::{Signed, Verified},
};

use super::met::Meanings;
use crate::{Error, Result, connect::Server};

/// Verifies what the server shows of other patients.
pub(crate) struct OtherPatients {
    server: Arc<Server>,
    met: Arc<Meanings>,
}

impl OtherPatients {
    pub(crate) fn new(server: Arc<Server>, met: Arc<Meanings>) -> Self {
        Self { server, met }
    }

    /// To which key to seal for another patient. One before a key that was met is refused (DEV-7).
    pub(crate) async fn vault_key(&self, patient: PatientId) -> Result<PatientVerified<VaultKeyStatement>> {
        let info = self.server.get(api::PATIENT_INFO.at([&patient])).await;
        let info = info.map_err(|error| unknown(error, patient))?;
        let key = PatientSigned::<VaultKeyStatement>::try_from(info.vault_key)
            .and_then(PatientSigned::verify)
            .map_err(Error::tampered(KEY))?;
        if key.patient_id != patient {
            return Err(Error::tampered(KEY)("it is another patient's"));
        }
        self.met.vault_key(&key)?;
        Ok(key)
    }

    /// Another patient's newest list of devices, if it has this recovery key (RCV-8). One before a list
    /// that was met is refused.
    ///
    /// None, if there is no such patient, or no such key in her list.
    pub(crate) async fn member_list(
        &self,
        patient: PatientId,
        member: DeviceId,
    ) -> Result<Option<Verified<DeviceList>>> {
        let path = api::MEMBER_LIST.at([&patient, &member]);
        let answer = match self.server.get(path).await {
            Ok(answer) => answer,
            Err(error) if error.is_problem(Problem::NotPermitted) => return Ok(None),
            Err(error) => return Err(error),
        };
        let list = Signed::<DeviceList>::try_from(answer.list)
            .and_then(|list| verify_newest(list, answer.signer.try_into()?, patient))
            .map_err(Error::tampered("the patient's list of devices"))?;
        self.met.device_list(&list)?;
        Ok(Some(list))
    }
}

fn unknown(error: Error, patient: PatientId) -> Error {
    if error.is_problem(Problem::NotPermitted) || error.is_problem(Problem::NotFound) {
        Error::Unknown {
            what: "patient",
            id: patient.to_string(),
        }
    } else {
        error
    }
}

const KEY: &str = "the patient's vault key";
