//! Her leaves in the log: nobody else recognises them, and each must be of something that the server
//! shows her. See `protocol-spec/spec/vault-head.md` §4.

use std::collections::HashSet;

use protocol_spec::{
    bodies::{
        EmergencyHelp, EmergencyObjection, EmergencyOpening, ReleaseReceipt, ReleaseTicket,
        RevocationReceipt, StandbyTicket, UploadReceipt,
    },
    field::ReadsAs,
    hash::Sha256Digest,
    ids::PatientId,
    log::{Entry, VaultSalt},
    messages::history_entry::What,
    patient::PatientSigned,
    statement::{Body, Signed},
    vault_head::Acts,
};

use crate::{
    Error, Result,
    patient::{
        acts, paged, reading_acts,
        vault::{Vault, acts::hidden},
    },
};

/// What was found in the log.
pub(super) struct LogRead {
    /// How many leaves are of this vault.
    pub(super) own: u64,
    /// How many leaves the log had.
    pub(super) size: u64,
}

/// Reads the log from this leaf on, then what has been done until then, and finds for each leaf that is hers
/// what it is of (VLT-9).
pub(super) async fn check_log(vault: &Vault, acts: &mut Acts, from: u64) -> Result<LogRead> {
    let salt = acts::log_salt(vault).await?;
    let mut own: Vec<(u64, Entry)> = Vec::new();
    let visit = |index, entry: Entry| {
        if salt.recognises(&entry) {
            own.push((index, entry));
        }
        Ok(())
    };
    let checkpoint = vault.session.log.scan(from, &(), visit).await?;
    // After the log: whatever stands there is in these by now.
    reading_acts::read_acts(vault, acts).await?;
    let mut shown = ShownLeaves::new(&salt);
    acts.iter()
        .filter_map(|act| act.statement())
        .for_each(|statement| shown.add(&statement));
    show_others(vault, &mut shown).await?;
    if let Some((index, _)) = own.iter().find(|(_, entry)| !shown.explains(entry)) {
        return Err(hidden(format!(
            "leaf {index} of the log is of this vault, and the server shows nothing that it could be of"
        )));
    }
    acts::keep_log_read(vault, checkpoint.size)?;
    Ok(LogRead {
        own: own.len() as u64,
        size: checkpoint.size,
    })
}

/// What is logged and is no act: what the operator has signed, and what others do in emergencies.
async fn show_others(vault: &Vault, shown: &mut ShownLeaves<'_>) -> Result<()> {
    let mut pages = paged::history_pages(vault);
    while let Some(page) = pages.next().await? {
        for what in page.entries.into_iter().filter_map(|entry| entry.what) {
            show_other(vault, what, shown)?;
        }
    }
    for entry in paged::permission_entries(vault).await? {
        if entry.revocation_receipt.is_some() {
            shown.add(&by_operator::<RevocationReceipt>(
                vault,
                entry.revocation_receipt,
            )?);
        }
    }
    Ok(())
}

/// Each place takes its own kind of statement: what is to be hidden cannot be passed off as another.
fn show_other(vault: &Vault, what: What, shown: &mut ShownLeaves<'_>) -> Result<()> {
    match what {
        What::Presented(presented) => {
            if let Some(ticket) = presented.release_ticket {
                shown.add(&by_operator::<ReleaseTicket>(vault, ticket.statement)?);
            }
            if presented.standby_ticket.is_some() {
                shown.add(&by_operator::<StandbyTicket>(vault, presented.standby_ticket)?);
            }
        }
        What::Stored(receipt) => shown.add(&by_operator::<UploadReceipt>(vault, receipt.statement)?),
        What::Released(receipt) => shown.add(&by_operator::<ReleaseReceipt>(vault, receipt.statement)?),
        What::EmergencyOpened(used) => {
            // Signed by an institution, which the history verifies; no other statement has these fields.
            let opening = Signed::<EmergencyOpening>::try_from(used.opening).map_err(tampered)?;
            must_be_hers(vault, opening.claimed().patient_id)?;
            shown.add(&opening.hash());
        }
        What::EmergencyHelp(help) => {
            let help = PatientSigned::<EmergencyHelp>::try_from(help.help)
                .and_then(PatientSigned::verify)
                .map_err(tampered)?;
            must_be_hers(vault, help.patient_id)?;
            shown.add(&help.hash());
        }
        What::EmergencyObjected(objection) => {
            let objection = PatientSigned::<EmergencyObjection>::try_from(objection)
                .and_then(PatientSigned::verify)
                .map_err(tampered)?;
            must_be_hers(vault, objection.patient_id)?;
            shown.add(&objection.hash());
        }
        // Acts, or not logged.
        _ => {}
    }
    Ok(())
}

fn by_operator<T: Body>(vault: &Vault, statement: impl ReadsAs<Signed<T>>) -> Result<Sha256Digest> {
    let signed = statement
        .try_into()
        .and_then(|signed| signed.verify(vault.session.server.operator()));
    Ok(signed.map_err(tampered)?.hash())
}

fn must_be_hers(vault: &Vault, patient: PatientId) -> Result<()> {
    if patient == vault.id() {
        Ok(())
    } else {
        Err(tampered("it is about somebody else"))
    }
}

/// Leaves of the vault whose statements the server shows.
struct ShownLeaves<'a> {
    salt: &'a VaultSalt,
    leaves: HashSet<[u8; 32]>,
}

impl<'a> ShownLeaves<'a> {
    fn new(salt: &'a VaultSalt) -> Self {
        let leaves = HashSet::new();
        Self { salt, leaves }
    }

    fn add(&mut self, statement: &Sha256Digest) {
        if let Entry::Salted { digest, .. } = self.salt.entry(statement) {
            self.leaves.insert(digest);
        }
    }

    fn explains(&self, entry: &Entry) -> bool {
        matches!(entry, Entry::Salted { digest, .. } if self.leaves.contains(digest))
    }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("an entry of the history")(cause)
}
