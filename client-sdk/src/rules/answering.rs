//! One request: evaluated, answered, kept, sent, in this order; and what a crash left between.
//!
//! Invariant: no request gets two answers from here that differ. Each answer is kept before it is sent, and what was
//! kept is sent again rather than signed again. See [`super`] for why.

use protocol_spec::{conditions::Conditions, ids::RequestId, messages::RequestState, problem::Problem};

use super::{
    answers::{AnswerKind, AnswerState, By, KeptAnswer},
    outcome::{Decision, Outcome, is_about_the_request},
    store::StandingRules,
    verdict::{Answer, Verdict},
};
use crate::{
    Error, Patient, Result,
    patient::{HistoryWhat, OwnRecord, PermissionLimits, answers, requests},
    trust::Asked,
};

/// Gives her answers to single requests.
#[derive(Clone, Copy)]
pub(super) struct Answering<'a> {
    pub(super) patient: &'a Patient,
}

impl Answering<'_> {
    /// Evaluates and, where a rule answers, signs, keeps and sends.
    pub(super) async fn answer(self, rules: &StandingRules, request: RequestId) -> Result<Option<Decision>> {
        let (asked, state) = requests::asked(&self.patient.vault, request).await?;
        let time = self.patient.vault.time();
        if state != RequestState::Open || time.may_be_over(asked.expires) {
            return Ok(None);
        }
        let (facts, own) = self.patient.facts(&asked).await?;
        let Verdict { answer, rule, .. } = rules.rules.evaluate(&facts, time.own());
        let from = Some(self.patient.vault.institution_ref(asked.asker.id()).await?);
        let kept = match (&answer, &rule) {
            (Answer::Permit(_) | Answer::Deny { .. }, Some(name)) => {
                let by = By {
                    rule: name.clone(),
                    sequence: rules.sequence,
                    at: time.own(),
                };
                Some(self.sign(&asked, &answer, own, by).await?)
            }
            _ => None,
        };
        let outcome = match (answer, kept) {
            (Answer::Ask { why }, _) => Outcome::Ask { why },
            (_, None) => Outcome::Ask {
                why: "no rule matches".into(),
            },
            (_, Some(kept)) => {
                // Commit point: from here on this answer is given, if it takes a restart.
                kept.save(self.patient.vault.home())?;
                self.send(kept).await?
            }
        };
        Ok(Some(Decision {
            from,
            rule,
            ..self.decision(rules, request, outcome)
        }))
    }

    async fn sign(
        &self,
        asked: &Asked,
        answer: &Answer,
        mut own: Vec<OwnRecord>,
        by: By,
    ) -> Result<KeptAnswer> {
        let (permission, signed) = match answer {
            Answer::Permit(grant) => {
                // The very records that were evaluated, not what their ids mean by now.
                own.retain(|record| {
                    let id = (record.entry.record_id, record.entry.version_id);
                    grant.records.contains(&id)
                });
                let limits = PermissionLimits {
                    not_before: None,
                    not_after: grant.not_after,
                    uses: grant.uses,
                    bytes: None,
                    purpose: asked.purpose,
                    conditions: Conditions::default(),
                    replaces: None,
                };
                let (id, signed) =
                    answers::sign_permit(&self.patient.vault, asked, own, &limits, None).await?;
                (Some(id), signed)
            }
            Answer::Deny { text } => (
                None,
                answers::sign_denial(&self.patient.vault, asked, text, None).await?,
            ),
            Answer::Ask { .. } => {
                return Err(Error::Usage("nothing is signed for what is left to her".into()));
            }
        };
        Ok(KeptAnswer::new(asked.request_id, by, permission, &signed))
    }

    /// Sends a kept answer and notes what became of it.
    async fn send(&self, mut kept: KeptAnswer) -> Result<Outcome> {
        let home = self.patient.vault.home();
        let outcome = match answers::submit(&self.patient.vault, &kept.answer(home)?).await {
            Ok(()) => kept.outcome(home)?,
            Err(error) if error.is_problem(Problem::RequestAnswered) => {
                if self.arrived_before(&kept).await? {
                    kept.outcome(home)?
                } else {
                    kept.state = AnswerState::Answered;
                    Outcome::Ask {
                        why: "it had another answer already".into(),
                    }
                }
            }
            Err(error) if is_about_the_request(&error) && !error.passes() => {
                kept.state = AnswerState::Refused;
                Outcome::Ask {
                    why: error.to_string(),
                }
            }
            Err(error) => return Err(error),
        };
        if kept.state == AnswerState::Signed {
            kept.state = AnswerState::Sent;
        }
        kept.save(home)?;
        Ok(outcome)
    }

    /// Whether the answer that the server has is this one, sent before a crash. The history shows a rule only for the
    /// very statement that was kept.
    async fn arrived_before(&self, kept: &KeptAnswer) -> Result<bool> {
        let history = self.patient.history().await?;
        Ok(history.iter().any(|item| match (&item.what, &kept.verdict) {
            (HistoryWhat::Permitted { permission, rule, .. }, AnswerKind::Permitted) => {
                rule.is_some() && kept.permission_id == Some(permission.id.to_string())
            }
            (HistoryWhat::Denied { request, rule }, AnswerKind::Denied) => {
                rule.is_some() && kept.request_id == request.to_string()
            }
            _ => false,
        }))
    }

    /// Deals with answers that were kept, but of which nobody knows whether they arrived.
    pub(super) async fn settle(
        self,
        rules: &StandingRules,
        report: &mut (dyn FnMut(Decision) + Send),
    ) -> Result<()> {
        for kept in KeptAnswer::all(self.patient.vault.home())? {
            if kept.state == AnswerState::Signed {
                report(self.settle_one(rules, kept).await?);
            }
        }
        Ok(())
    }

    pub(super) async fn settle_one(self, rules: &StandingRules, mut kept: KeptAnswer) -> Result<Decision> {
        let home = self.patient.vault.home();
        let (request, rule) = (kept.request(home)?, Some(kept.rule.clone()));
        let outcome = if kept.sequence != rules.sequence {
            kept.state = AnswerState::Withdrawn;
            kept.save(home)?;
            Outcome::Ask {
                why: "the rules changed before its answer was known to have arrived: look into the history"
                    .into(),
            }
        } else {
            self.send(kept).await?
        };
        Ok(Decision {
            rule,
            ..self.decision(rules, request, outcome)
        })
    }

    /// What was decided about a request, now and by these rules.
    pub(super) fn decision(self, rules: &StandingRules, request_id: RequestId, outcome: Outcome) -> Decision {
        Decision {
            at: self.patient.vault.home().system().now_ms(),
            request_id,
            from: None,
            rule: None,
            sequence: rules.sequence,
            outcome,
        }
    }
}
