//! `medvault certificate`: what a revocation could not take back, checked without asking anybody.

use std::{fs, path::PathBuf};

use clap::Args;
use client_sdk::{
    ExposedVersion, InstitutionId, PatientId, PermissionId, RevocationCertificate, ServerLink, text,
    verify_certificate,
};
use protocol_spec::{collection::Collection, released::VersionLeaves};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment},
};

/// Which certificate, and of which server.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The file that `medvault revoke --certificate` has written
    file: PathBuf,
    /// The link of the server, as it was handed over
    #[arg(long, value_name = "LINK")]
    server: ServerLink,
}

const EXAMPLES: &str = "\
Example:
  medvault certificate revoked.pb --server https://vault.example:8443/#m3k…

Nothing is sent: the link says which operator's signatures to believe, everything else stands in the file.";

pub(crate) fn verify(context: &Context, options: &Options) -> Result<(), Failure> {
    let bytes =
        fs::read(&options.file).map_err(|source| Failure::file("cannot read", &options.file, &source))?;
    let verified = verify_certificate(&bytes, &options.server)?;
    context.print(&Certificate::new(&verified.certificate, None))
}

/// What a certificate says, and the file that it was written to.
#[derive(Serialize)]
pub(crate) struct Certificate {
    permission_id: PermissionId,
    patient_id: PatientId,
    institution_id: InstitutionId,
    #[serde(serialize_with = "text::moment")]
    signed: u64,
    /// Of each, the first leaf and number of leaves; a leaf is 1 MiB of the sealed record.
    released: Vec<VersionLeaves>,
    exposed: Vec<ExposedVersion>,
    closed: Vec<Collection>,
    /// Of the exposed versions, those that lie under other data keys since.
    resealed: Vec<ExposedVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

impl Certificate {
    /// With the file that was written.
    pub(crate) fn new(says: &RevocationCertificate, file: Option<PathBuf>) -> Self {
        Self {
            permission_id: says.permission_id,
            patient_id: says.patient_id,
            institution_id: says.institution_id,
            signed: says.created,
            released: says.released.clone(),
            exposed: says.exposed.clone(),
            resealed: says.resealed.clone(),
            closed: says.closed.clone(),
            certificate: file.map(|file| file.display().to_string()),
        }
    }
}

impl Report for Certificate {
    fn text(&self) -> String {
        let closed = match self.closed.len() {
            0 => "No key of a collection was given away.\n".to_owned(),
            _ => self
                .closed
                .iter()
                .map(|closed| format!("Key {} of {} opens nothing any more.\n", closed.epoch, closed.id))
                .collect(),
        };
        let released: String = self
            .released
            .iter()
            .map(|released| {
                let leaves: u32 = released.leaves.iter().map(|(_, count)| count).sum();
                format!("  {}  {leaves} MiB or less\n", released.record_id)
            })
            .collect();
        let resealed = match self.resealed.len() {
            0 => String::new(),
            count => format!("Of those, {count} lie under other keys since.\n"),
        };
        let file = self
            .certificate
            .as_ref()
            .map_or(String::new(), |file| format!("Certificate: {file}\n"));
        format!(
            "Revoked, certified {}: nothing more is released to {}.\n{closed}\
             Received before: {} of {} records whose keys it may know.\n{released}{resealed}{file}",
            moment(self.signed),
            self.institution_id,
            self.released.len(),
            self.exposed.len(),
        )
    }
}
