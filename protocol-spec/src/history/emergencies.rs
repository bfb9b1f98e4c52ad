//! Emergencies in a history: who opened, by which card or guardian, and whether the patient had the time to object that she
//! has written down. See `spec/emergency.md` §6.

use std::collections::{HashMap, HashSet};

use super::{Grounds, NO_PERMISSION, Walk, ensure};
use crate::{
    Error,
    bodies::{EmergencyHelp, EmergencyObjection},
    emergency::{EmergencyTerms, Opening},
    ids::{InstitutionId, PatientId, RequestId},
    keys::IdentityKey,
    patient::PatientVerified,
    permission::{Kind, VerifiedPermission},
};

/// What was met of emergencies.
#[derive(Debug, Default)]
pub(super) struct Emergencies {
    /// Who has opened with which card.
    opened: HashSet<(CardKey, InstitutionId)>,
    /// The last help with which card.
    helps: HashMap<CardKey, GuardianHelp>,
}

type CardKey = [u8; 32];

#[derive(Clone, Copy, Debug)]
struct GuardianHelp {
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
                self.opened.contains(&(*terms.card_key.as_bytes(), institution))
            }
            _ => permission.institution_id == institution,
        }
    }

    /// An opening: by a guardian's permission only after a help that names the institution, when the time to object
    /// was over, and she had not (EMG-15).
    fn open(&mut self, terms: &EmergencyTerms, institution: InstitutionId, at: u64) -> Result<(), Error> {
        let card = *terms.card_key.as_bytes();
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
    fn help(&mut self, card: CardKey, help: GuardianHelp, earliest: u64) -> Result<(), Error> {
        ensure(
            help.opens >= earliest,
            "the waiting time is shorter than she has written down",
        )?;
        self.helps.insert(card, help);
        Ok(())
    }

    /// An objection to a help that came before; gives the institution that it names.
    fn object(&mut self, id: RequestId) -> Result<InstitutionId, Error> {
        let help = self.helps.values_mut().find(|help| help.id == id);
        let help = help.ok_or(Error::History {
            rule: "the help does not come before it",
        })?;
        help.objected = true;
        Ok(help.institution)
    }
}

impl<G: Grounds> Walk<G> {
    /// An institution opened at `at`. Gives the guardian who had helped, if it was by a guardian.
    pub fn opened(&mut self, opening: &Opening, at: u64) -> Result<Option<PatientId>, Error> {
        self.of_patient(opening.patient_id)?;
        let terms = self.terms(&opening.card_key)?;
        self.emergencies.open(&terms, opening.institution_id, at)?;
        self.counts.statements += 1;
        Ok(terms.guardian.map(|named| named.guardian_id))
    }

    /// A guardian whom a permission names helped at `at`: from `opens` on there may be an opening.
    pub fn helped(&mut self, help: &EmergencyHelp, opens: u64, at: u64) -> Result<(), Error> {
        self.of_patient(help.patient_id)?;
        let named = self.terms(&help.card_key)?.guardian;
        let named = named.filter(|named| named.guardian_id == help.guardian_id);
        let named = named.ok_or(Error::History {
            rule: "who helped is not the guardian",
        })?;
        let helped = GuardianHelp {
            id: help.help_id,
            institution: help.institution_id,
            opens,
            objected: false,
        };
        let earliest = at.saturating_add(named.wait);
        self.emergencies
            .help(*help.card_key.as_bytes(), helped, earliest)?;
        self.counts.statements += 1;
        Ok(())
    }

    /// The patient objected to a help. Gives the institution that it names.
    pub fn objected(&mut self, said: &PatientVerified<EmergencyObjection>) -> Result<InstitutionId, Error> {
        self.of_patient(said.patient_id)?;
        self.grounds.device(said.device())?;
        let institution = self.emergencies.object(said.help_id)?;
        self.counts.statements += 1;
        Ok(institution)
    }

    /// What she has written down about a card or a guardian.
    fn terms(&self, card_key: &IdentityKey) -> Result<EmergencyTerms, Error> {
        let permitted = self.permissions.values();
        let mut terms = permitted.filter_map(|permitted| permitted.permission.emergency);
        let terms = terms.find(|terms| terms.card_key == *card_key);
        terms.ok_or(NO_PERMISSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{emergency::GuardianTerms, hash::Sha256Digest};

    const AMBULANCE: InstitutionId = InstitutionId::from_bytes([1; 32]);
    const OTHER: InstitutionId = InstitutionId::from_bytes([2; 32]);
    const HELP: RequestId = RequestId::from_bytes([3; 16]);

    fn terms(guarded: bool) -> EmergencyTerms {
        let card = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
        EmergencyTerms {
            card_key: IdentityKey::try_from(card.verifying_key().as_bytes().as_slice()).unwrap(),
            share_hash: Sha256Digest::of(b"share"),
            guardian: guarded.then_some(GuardianTerms {
                guardian_id: PatientId::from_bytes([5; 32]),
                wait: 10_000,
            }),
        }
    }

    fn help(opens: u64) -> GuardianHelp {
        GuardianHelp {
            id: HELP,
            institution: AMBULANCE,
            opens,
            objected: false,
        }
    }

    /// EMG-15: what a server that keeps to none of the rules writes down is not believed.
    #[test]
    fn a_history_of_openings_must_hold_together() {
        let card = *terms(true).card_key.as_bytes();
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
