//! What the server asks of whoever enrols: an invitation, which the caller has, or work, which
//! is done here. See `protocol-spec/spec/accounts.md`.

use protocol_spec::{
    api,
    ids::PatientId,
    messages as pb,
    problem::Problem,
    submitted::{EnrolPatient, EnrolmentWork},
    work::Work,
};

use crate::{Error, Result, connect::Server, session::blocking};

/// Enrols, with the work that the server asks for.
pub(super) async fn submit(server: &Server, patient: PatientId, message: EnrolPatient) -> Result<()> {
    for _ in 0..MAX_TRIES {
        let info = server.get(api::SERVER.here()).await?;
        let mut message = message.clone();
        if info.enrolment() == pb::EnrolmentPolicy::Work {
            let work = asked(&info)?;
            let counter = blocking(move || Ok(work.find(patient))).await?;
            message.work = counter.map(|counter| EnrolmentWork {
                challenge: work.challenge.to_vec().into(),
                counter,
            });
        }
        match server.post(api::ENROL_PATIENT.here(), &message).await {
            // It took so long that there is another challenge.
            Err(error) if error.is_problem(Problem::WorkNeeded) => {}
            done => return done.map(drop),
        }
    }
    Err(Error::Usage(
        "the server's challenge changed faster than this machine could answer it: try again".into(),
    ))
}

fn asked(info: &pb::ServerInfo) -> Result<Work> {
    let challenge = info.work_challenge.as_ref().try_into();
    let challenge = challenge
        .map_err(|_| Error::tampered("the server's information")("its challenge has not 32 bytes"))?;
    if info.work_bits > Work::MAX_BITS {
        return Err(Error::Usage(format!(
            "the server asks for work of {} bits, which takes hours: ask its operator for an invitation",
            info.work_bits
        )));
    }
    Ok(Work {
        challenge,
        bits: info.work_bits,
    })
}

/// Each failure is a new challenge.
const MAX_TRIES: usize = 3;
