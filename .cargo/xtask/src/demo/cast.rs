//! Who takes part: set up as in life, each with keys of its own that never leave its home.

use std::path::Path;

use anyhow::Result;

use super::narrator::{heading, remark, tell};
use super::principal::{Actor, text};
use super::server::ServerProcess;

/// The registrar, the server, one patient and two hospitals, all enrolled.
pub(super) struct Cast {
    pub(super) server: ServerProcess,
    pub(super) patient: Actor,
    pub(super) patient_id: String,
    /// The hospital that has the patient's files.
    pub(super) north: Actor,
    /// The hospital that treats her next, and asks for them.
    pub(super) south: Actor,
}

impl Cast {
    /// Makes all keys, starts the server and enrols everybody.
    pub(super) fn gather(folder: &Path) -> Result<Self> {
        heading("Setting up: who takes part");
        let registrar = Actor::new("Registrar", folder.join("registrar"));
        let key = tell("Registrar", "makes its key pair, offline", || {
            registrar.run(&["registrar", "init"])
        })?;
        let key = text(&key, "registrar")?;
        let server = tell(
            "server",
            "starts with an empty folder, knows the registrar's public key",
            || ServerProcess::start(folder, &key),
        )?;
        remark(server.link());

        let north = Actor::new("Hospital North", folder.join("hospital-north"));
        let south = Actor::new("Hospital South", folder.join("hospital-south"));
        for hospital in [&north, &south] {
            enrol(hospital, &registrar, &server)?;
        }
        let patient = Actor::new("Patient", folder.join("patient"));
        let enrolled = tell(
            "Patient ──▶ server",
            "opens a vault: her public keys; the vault's keys stay with her",
            || patient.run(&["patient", "enrol", "--server", server.link()]),
        )?;
        let patient_id = text(&enrolled, "patient_id")?;
        Ok(Self {
            server,
            patient,
            patient_id,
            north,
            south,
        })
    }
}

fn enrol(hospital: &Actor, registrar: &Actor, server: &ServerProcess) -> Result<()> {
    let name = hospital.name();
    let request = hospital.home().with_extension("request");
    let accreditation = hospital.home().with_extension("accreditation");
    tell(
        &format!("{name} ──▶ Registrar"),
        "asks for accreditation: name and two public keys",
        || {
            hospital.run(&[
                "institution".as_ref(),
                "request".as_ref(),
                "--name".as_ref(),
                name.as_ref(),
                "--out".as_ref(),
                request.as_os_str(),
            ])
        },
    )?;
    tell(
        &format!("Registrar ──▶ {name}"),
        "accredits it: signed statement, and a secret sealed to its key",
        || {
            registrar.run(&[
                "registrar".as_ref(),
                "accredit".as_ref(),
                request.as_os_str(),
                "--out".as_ref(),
                accreditation.as_os_str(),
            ])
        },
    )?;
    tell(
        &format!("{name} ──▶ server"),
        "enrols: proves both keys with a signature and the opened secret",
        || {
            let link = server.link().as_ref();
            hospital.run(&[
                "institution".as_ref(),
                "enrol".as_ref(),
                "--server".as_ref(),
                link,
                "--accreditation".as_ref(),
                accreditation.as_os_str(),
            ])
        },
    )?;
    Ok(())
}
