//! Patients as others see them: whose newest list of devices says to which key to seal. See
//! `protocol-spec/spec/devices.md` §2.

use protocol_spec::{
    devices::{DeviceList, verify_newest},
    ids::PatientId,
    messages as pb,
    problem::Problem,
    statement::{Signed, Verified},
};

use crate::{Error, Result, session::Session};

impl Session {
    /// Another patient's newest list of devices. One before a list that was met is refused (DEV-7).
    pub(crate) async fn patient_list(&self, patient: PatientId) -> Result<Verified<DeviceList>> {
        let info: Result<pb::PatientInfo> = self.server.get(&format!("/v1/patients/{patient}")).await;
        let info = info.map_err(|error| {
            let unknown = error.is_problem(Problem::NotPermitted) || error.is_problem(Problem::NotFound);
            if unknown {
                Error::Unknown {
                    what: "patient",
                    id: patient.to_string(),
                }
            } else {
                error
            }
        })?;
        let list = Signed::<DeviceList>::try_from(info.list)
            .and_then(|list| verify_newest(list, info.signer.try_into()?, patient))
            .map_err(Error::tampered("the patient's list of devices"))?;
        self.met_device_list(&list)?;
        Ok(list)
    }
}
