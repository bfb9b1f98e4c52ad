//! Her leaves in the log: nobody else recognises them, and each must be of something that the server shows her. See
//! `protocol-spec/spec/vault-head.md` §4.

use std::collections::HashSet;

use protocol_spec::{
    bodies::{
        EmergencyHelp, EmergencyObjection, EmergencyOpening, ReleaseReceipt, ReleaseTicket,
        RevocationReceipt, StandbyTicket, UploadReceipt,
    },
    hash::Sha256Digest,
    ids::PatientId,
    log::{Entry, VaultSalt},
    messages::{self as pb, history_entry::What},
    patient::PatientSigned,
    statement::{Body, Signed},
    vault_head::Acts,
};

use super::{Patient, acts::hidden};
use crate::{Error, Result};

/// What was found in the log.
pub(super) struct LogRead {
    /// Leaves of this vault.
    pub(super) own: u64,
    /// Where it ended.
    pub(super) size: u64,
}

impl Patient {
    /// Reads the log from this leaf on, then what has been done until then, and finds for each leaf that is hers what it is of
    /// (VLT-9).
    pub(super) async fn check_log(&self, acts: &mut Acts, from: u64) -> Result<LogRead> {
        let salt = self.log_salt().await?;
        let mut own: Vec<(u64, Entry)> = Vec::new();
        let visit = |index, entry: Entry| {
            if salt.recognises(&entry) {
                own.push((index, entry));
            }
            Ok(())
        };
        let checkpoint = self.session.scan_log(from, &(), visit).await?;
        // After the log: whatever stands there is in these by now.
        self.read_acts(acts).await?;
        let mut shown = Shown::new(&salt);
        acts.iter()
            .filter_map(|act| act.statement())
            .for_each(|statement| shown.add(&statement));
        self.show_others(&mut shown).await?;
        if let Some((index, _)) = own.iter().find(|(_, entry)| !shown.explains(entry)) {
            return Err(hidden(format!(
                "leaf {index} of the log is of this vault, and the server shows nothing that it could be of"
            )));
        }
        self.keep_log_read(checkpoint.size)?;
        Ok(LogRead {
            own: own.len() as u64,
            size: checkpoint.size,
        })
    }

    /// What is logged and is no act: what the operator has signed, and what others do in emergencies.
    async fn show_others(&self, shown: &mut Shown<'_>) -> Result<()> {
        let mut pages = self.history_pages();
        while let Some(page) = pages.next().await? {
            for what in page.entries.into_iter().filter_map(|entry| entry.what) {
                self.show_other(what, shown)?;
            }
        }
        for entry in self.permission_entries().await? {
            if entry.revocation_receipt.is_some() {
                shown.add(&self.by_operator::<RevocationReceipt>(entry.revocation_receipt)?);
            }
        }
        Ok(())
    }

    /// Each place takes its own kind of statement: what is to be hidden cannot be passed off as another.
    fn show_other(&self, what: What, shown: &mut Shown<'_>) -> Result<()> {
        match what {
            What::Presented(presented) => {
                if let Some(ticket) = presented.release_ticket {
                    shown.add(&self.by_operator::<ReleaseTicket>(ticket.statement)?);
                }
                if presented.standby_ticket.is_some() {
                    shown.add(&self.by_operator::<StandbyTicket>(presented.standby_ticket)?);
                }
            }
            What::Stored(receipt) => shown.add(&self.by_operator::<UploadReceipt>(receipt.statement)?),
            What::Released(receipt) => shown.add(&self.by_operator::<ReleaseReceipt>(receipt.statement)?),
            What::EmergencyOpened(used) => {
                // Signed by an institution, which the history verifies; no other statement has these fields.
                let opening = Signed::<EmergencyOpening>::try_from(used.opening).map_err(tampered)?;
                self.must_be_hers(opening.claimed().patient_id)?;
                shown.add(&opening.hash());
            }
            What::EmergencyHelp(help) => {
                let help = PatientSigned::<EmergencyHelp>::try_from(help.help)
                    .and_then(PatientSigned::verify)
                    .map_err(tampered)?;
                self.must_be_hers(help.patient_id)?;
                shown.add(&help.hash());
            }
            What::EmergencyObjected(objection) => {
                let objection = PatientSigned::<EmergencyObjection>::try_from(objection)
                    .and_then(PatientSigned::verify)
                    .map_err(tampered)?;
                self.must_be_hers(objection.patient_id)?;
                shown.add(&objection.hash());
            }
            // Acts, or not logged.
            _ => {}
        }
        Ok(())
    }

    fn by_operator<T: Body>(&self, statement: Option<pb::Statement>) -> Result<Sha256Digest> {
        let signed =
            Signed::<T>::try_from(statement).and_then(|signed| signed.verify(self.session.server.operator()));
        Ok(signed.map_err(tampered)?.hash())
    }

    fn must_be_hers(&self, patient: PatientId) -> Result<()> {
        if patient == self.id() {
            Ok(())
        } else {
            Err(tampered("it is about somebody else"))
        }
    }
}

/// Leaves of the vault whose statements the server shows.
struct Shown<'a> {
    salt: &'a VaultSalt,
    leaves: HashSet<[u8; 32]>,
}

impl<'a> Shown<'a> {
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
