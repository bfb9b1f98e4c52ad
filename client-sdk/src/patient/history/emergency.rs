//! Emergencies in a history: who opened, by which card or guardian, and whether she had the time to object that she
//! has written down. See `protocol-spec/spec/emergency.md` §6.

use std::collections::{HashMap, HashSet};

use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection},
    directory::Institution,
    emergency::{EmergencyTerms, Opening},
    ids::{InstitutionId, RequestId},
    keys::IdentityKey,
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    permission::{Kind, VerifiedPermission},
};

use crate::{
    Result,
    patient::{
        history::{
            Met, ensure,
            item::{HistoryItem, HistoryKind},
            signed, tampered,
        },
        vault::Vault,
    },
};

/// What was met of emergencies.
#[derive(Default)]
pub(super) struct Emergencies {
    /// Who has opened with which card.
    opened: HashSet<(IdentityKeyBytes, InstitutionId)>,
    /// The last help with which card.
    helps: HashMap<IdentityKeyBytes, Helped>,
}

type IdentityKeyBytes = [u8; 32];

struct Helped {
    id: RequestId,
    institution: InstitutionId,
    opens: u64,
    objected: bool,
}

impl Emergencies {
    /// Whether this institution may hold a permission: it is named, or has opened it in an emergency.
    pub(super) fn may_hold(&self, permission: &VerifiedPermission, institution: InstitutionId) -> bool {
        match &permission.emergency {
            Some(terms) if permission.kind == Kind::Emergency => {
                self.opened.contains(&(bytes(&terms.card_key), institution))
            }
            _ => permission.institution_id == institution,
        }
    }

    /// An opening: by a guardian's permission only after a help that names the institution, when the time to object
    /// was over, and she had not (EMG-15).
    fn open(&mut self, terms: &EmergencyTerms, institution: InstitutionId, at: u64) -> Result<()> {
        let card = bytes(&terms.card_key);
        let in_time = self
            .helps
            .get(&card)
            .is_some_and(|help| help.institution == institution && !help.objected && help.opens <= at);
        ensure(
            terms.guardian.is_none() || in_time,
            "no guardian's help comes before it, or it did not wait",
        )?;
        self.opened.insert((card, institution));
        Ok(())
    }

    /// A help, which opens no earlier than this (EMG-15).
    fn help(&mut self, card: IdentityKeyBytes, help: Helped, earliest: u64) -> Result<()> {
        ensure(
            help.opens >= earliest,
            "the waiting time is shorter than she has written down",
        )?;
        self.helps.insert(card, help);
        Ok(())
    }

    /// An objection to a help that came before; gives the institution that it names.
    fn object(&mut self, id: RequestId) -> Result<InstitutionId> {
        let help = self.helps.values_mut().find(|help| help.id == id);
        let help = help.ok_or_else(|| tampered("the help does not come before it"))?;
        help.objected = true;
        Ok(help.institution)
    }
}

fn bytes(key: &IdentityKey) -> IdentityKeyBytes {
    *key.as_bytes()
}

/// An opening is proven by both keys and by its place in the log, and its institution by the entry that it had then;
/// one by a guardian comes when the time to object was over.
pub(super) async fn emergency_opened(
    vault: &Vault,
    message: pb::EmergencyUse,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let opening = vault.session.emergency_opening(&message)?;
    ensure(opening.patient_id == vault.id(), "it is about somebody else")?;
    let hash = opening.statement().hash();
    vault
        .session
        .log
        .included(message.proof, &hash, "the opening")
        .await?;
    let terms = met.terms(&opening.card_key)?;
    met.emergencies.open(&terms, opening.institution_id, blank.at)?;
    met.trail.counts.statements += 1;
    let item = HistoryItem {
        request_id: Some(opening.opening_id),
        guardian: terms.guardian.map(|named| named.guardian_id),
        ..blank
    };
    signed::concerning(vault, HistoryKind::EmergencyOpened, opening.institution_id, item).await
}

/// A help by the guardian whom her permission names, with the waiting time in it.
pub(super) async fn emergency_help(
    vault: &Vault,
    message: pb::EmergencyHelp,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let help: PatientVerified<EmergencyHelp> = PatientSigned::<EmergencyHelp>::try_from(message.help)
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    ensure(help.patient_id == vault.id(), "it is about somebody else")?;
    let named = met.terms(&help.card_key)?.guardian;
    let named = named.filter(|named| named.guardian_id == help.guardian_id);
    let named = named.ok_or_else(|| tampered("who helped is not the guardian"))?;
    met.trail.counts.statements += 1;
    let helped = Helped {
        id: help.help_id,
        institution: help.institution_id,
        opens: message.opens,
        objected: false,
    };
    met.emergencies
        .help(bytes(&help.card_key), helped, blank.at.saturating_add(named.wait))?;
    let item = HistoryItem {
        request_id: Some(help.help_id),
        guardian: Some(help.guardian_id),
        ..blank
    };
    signed::concerning(vault, HistoryKind::EmergencyHelp, help.institution_id, item).await
}

/// Her objection to a help that came before.
pub(super) async fn emergency_objected(
    vault: &Vault,
    message: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let objection: PatientVerified<EmergencyObjection> = signed::own(vault, message).await?;
    met.trail.counts.statements += 1;
    let institution = met.emergencies.object(objection.help_id)?;
    let item = HistoryItem {
        request_id: Some(objection.help_id),
        device: Some(signed::acted(vault, objection.device(), met)?),
        ..blank
    };
    signed::concerning(vault, HistoryKind::EmergencyObjected, institution, item).await
}

impl Met {
    /// What she has written down about a card or a guardian.
    fn terms(&self, card_key: &IdentityKey) -> Result<EmergencyTerms> {
        let permitted = self.trail.permissions.values();
        let mut terms = permitted.filter_map(|permitted| permitted.permission.emergency);
        let terms = terms.find(|terms| terms.card_key == *card_key);
        terms.ok_or_else(|| tampered("its permission does not come before it"))
    }
}

impl crate::session::Session {
    /// An opening by the institution whose entry comes with it, which the registrar has accredited for emergencies
    /// (EMG-6, EMG-7).
    pub(crate) fn emergency_opening(&self, message: &pb::EmergencyUse) -> Result<Opening> {
        let entry = message
            .entry
            .clone()
            .ok_or_else(|| tampered("its institution is missing"))?;
        let institution = Institution::from_entry(entry, self.server.registrar(), self.server.operator_id())
            .map_err(tampered)?;
        let accredited = institution.check_emergency().is_ok();
        ensure(accredited, "who opened was not accredited for emergencies")?;
        Opening::verify(message, &institution).map_err(tampered)
    }
}

#[cfg(test)]
mod tests {
    use protocol_spec::{emergency::GuardianTerms, hash::Sha256Digest, ids::PatientId};

    use super::*;

    const AMBULANCE: InstitutionId = InstitutionId::from_bytes([1; 32]);
    const OTHER: InstitutionId = InstitutionId::from_bytes([2; 32]);
    const HELP: RequestId = RequestId::from_bytes([3; 16]);

    fn terms(guarded: bool) -> EmergencyTerms {
        let seed = crypto::SigningIdentity::from_seed(&[4; 32]).unwrap();
        EmergencyTerms {
            card_key: seed.public(),
            share_hash: Sha256Digest::of(b"share"),
            guardian: guarded.then_some(GuardianTerms {
                guardian_id: PatientId::from_bytes([5; 32]),
                wait: 10_000,
            }),
        }
    }

    fn help(opens: u64) -> Helped {
        Helped {
            id: HELP,
            institution: AMBULANCE,
            opens,
            objected: false,
        }
    }

    /// EMG-15: what a server that keeps to none of the rules writes down is not believed.
    #[test]
    fn a_history_of_openings_must_hold_together() {
        let card = bytes(&terms(true).card_key);
        let mut fresh = Emergencies::default();
        fresh.open(&terms(false), AMBULANCE, 0).unwrap();
        let nobody = Emergencies::default().open(&terms(true), AMBULANCE, 99_000);
        assert!(nobody.is_err(), "no help at all");
        assert!(fresh.help(card, help(9_999), 10_000).is_err(), "a shorter time");
        assert!(fresh.object(HELP).is_err(), "there is none");
        fresh.help(card, help(10_000), 10_000).unwrap();
        assert!(fresh.open(&terms(true), AMBULANCE, 9_999).is_err(), "too early");
        assert!(fresh.open(&terms(true), OTHER, 10_000).is_err(), "another one");
        fresh.open(&terms(true), AMBULANCE, 10_000).unwrap();
        assert_eq!(fresh.object(HELP).unwrap(), AMBULANCE);
        assert!(
            fresh.open(&terms(true), AMBULANCE, 10_001).is_err(),
            "she has objected"
        );
    }
}
