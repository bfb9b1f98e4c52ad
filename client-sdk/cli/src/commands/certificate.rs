//! `medvault certificate`: what a revocation could not take back, checked without asking anybody.

use std::{fs, path::PathBuf};

use clap::Args;
use client_sdk::{ExposedVersion, RevocationCertificate, ServerLink, verify_certificate};
use serde::Serialize;

use crate::{
    context::Context,
    failure::Failure,
    output::{Report, moment, timestamp},
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

/// What a certificate says.
#[derive(Serialize)]
pub(crate) struct Certificate {
    permission_id: String,
    patient_id: String,
    institution_id: String,
    signed: String,
    #[serde(skip)]
    signed_ms: u64,
    released: Vec<Released>,
    exposed: Vec<Version>,
    closed: Vec<Closed>,
    /// Of the exposed versions, those that lie under other data keys since.
    resealed: Vec<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

#[derive(Serialize)]
struct Version {
    record_id: String,
    version_id: String,
}

impl From<&ExposedVersion> for Version {
    fn from(version: &ExposedVersion) -> Self {
        Self {
            record_id: version.record_id.to_string(),
            version_id: version.version_id.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Released {
    record_id: String,
    version_id: String,
    /// First leaf and number of leaves; a leaf is 1 MiB of the sealed record.
    leaves: Vec<(u32, u32)>,
}

#[derive(Serialize)]
struct Closed {
    collection_id: String,
    epoch: u64,
}

impl Certificate {
    /// With the file that was written.
    pub(crate) fn new(says: &RevocationCertificate, file: Option<PathBuf>) -> Self {
        let released = says.released.iter().map(|leaves| Released {
            record_id: leaves.record_id.to_string(),
            version_id: leaves.version_id.to_string(),
            leaves: leaves.leaves.iter().collect(),
        });
        let closed = says.closed.iter().map(|collection| Closed {
            collection_id: collection.id.to_string(),
            epoch: collection.epoch,
        });
        Self {
            permission_id: says.permission_id.to_string(),
            patient_id: says.patient_id.to_string(),
            institution_id: says.institution_id.to_string(),
            signed: timestamp(says.created),
            signed_ms: says.created,
            released: released.collect(),
            exposed: says.exposed.iter().map(Version::from).collect(),
            resealed: says.resealed.iter().map(Version::from).collect(),
            closed: closed.collect(),
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
                .map(|closed| {
                    format!(
                        "Key {} of {} opens nothing any more.\n",
                        closed.epoch, closed.collection_id
                    )
                })
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
            moment(self.signed_ms),
            self.institution_id,
            self.released.len(),
            self.exposed.len(),
        )
    }
}
