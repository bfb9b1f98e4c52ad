//! The agent: goes through the inbox, and through what comes into it, with one request after the other.
//!
//! Invariant: one agent runs in a home at a time, and the cursor moves only past what has been dealt with.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::{convert::Infallible, time::Duration};

use protocol_spec::ids::RequestId;
use serde::{Deserialize, Serialize};

use super::{
    answering::Answering,
    answers::{AnswerState, KeptAnswer},
    outcome::{Decision, Outcome, is_about_the_request},
    store::{FOLDER, StandingRules},
};
use crate::{Error, Patient, Result, home::Lock};

/// Answers requests by the standing rules.
pub struct Agent<'a> {
    patient: &'a Patient,
    /// The highest number of rules in this life: also what is put back together with its note is noticed.
    seen: u64,
    /// Whether answers may be kept that nobody knows to have arrived.
    unsettled: bool,
    _lock: Lock,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    sequence: u64,
    after: u64,
}

impl Patient {
    /// Starts an agent; nothing is answered yet.
    /// Errors: [`Error::HomeLocked`] when another one runs in this home.
    pub fn agent(&self) -> Result<Agent<'_>> {
        let lock = self.vault.home().below(FOLDER).lock_own(LOCK)?;
        Ok(Agent {
            patient: self,
            seen: 0,
            unsettled: true,
            _lock: lock,
        })
    }
}

impl Agent<'_> {
    /// Goes once through what is new, after waiting so long for something new. `report` hears each decision after it
    /// has been kept and, if it is an answer, sent.
    /// Errors: [`Error::RulesChanged`]; [`Error::Usage`] without active rules; of the connection. What was decided
    /// before stands; the rest is taken up again by the next call.
    pub async fn pass(
        &mut self,
        wait: Option<Duration>,
        report: &mut (dyn FnMut(Decision) + Send),
    ) -> Result<()> {
        let rules = self.rules()?;
        // What a server has taken that worked on an old copy of its data (REV-11).
        self.patient.resend_revocations().await?;
        // What it has permitted before follows institutions that have other keys now (INS-6).
        self.patient.follow_rotations().await?;
        // Delegations that are over since, and keys that delegates have not yet (DLG-4, DLG-10).
        self.patient.tend_delegations(&()).await?;
        // Kits whose leaving was announced a week ago (DEV-28). Those that stay all the same are told with her next command.
        self.patient.finish_leaving(&()).await?;
        if self.unsettled {
            // What a revocation that was broken off has left to do.
            self.patient.finish_revocations(&()).await?;
            self.not_older(&rules)?;
            self.answering().settle(&rules, report).await?;
        }
        let mut cursor = self.cursor(&rules)?;
        self.unsettled = true;
        for event in self.patient.inbox(cursor.after, wait).await? {
            if let Some(request) = event.what.asked()
                // The rules may have changed while this waited.
                && let Some(decision) = self.decide(&self.rules()?, request).await?
            {
                report(decision);
            }
            cursor.after = event.number;
            self.keep_cursor(&cursor)?;
        }
        self.unsettled = false;
        Ok(())
    }

    /// Goes on until something fails that does not pass by itself. Connections that break and servers that restart
    /// only make it pause. Errors: as [`Self::pass`].
    pub async fn run(&mut self, report: &mut (dyn FnMut(Decision) + Send)) -> Result<Infallible> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.pass(Some(WAIT), report).await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) if error.passes() => {
                    tracing::warn!(%error, seconds = pause.as_secs(), "pausing");
                    self.patient.vault.home().system().sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn rules(&self) -> Result<StandingRules> {
        let rules = self.patient.rules()?;
        rules.ok_or_else(|| Error::Usage("no rules are active: activate a rules file first".into()))
    }

    /// What a request gets, once that has been kept and sent; none when it has been answered or has expired.
    async fn decide(&mut self, rules: &StandingRules, request: RequestId) -> Result<Option<Decision>> {
        self.not_older(rules)?;
        if let Some(kept) = KeptAnswer::load(self.patient.vault.home(), request)? {
            return if kept.state == AnswerState::Signed {
                self.answering().settle_one(rules, kept).await.map(Some)
            } else {
                Ok(None)
            };
        }
        match self.answering().answer(rules, request).await {
            Err(error) if is_about_the_request(&error) => {
                let why = error.to_string();
                Ok(Some(self.answering().decision(
                    rules,
                    request,
                    Outcome::Ask { why },
                )))
            }
            result => result,
        }
    }

    fn answering(&self) -> Answering<'_> {
        Answering {
            patient: self.patient,
        }
    }

    fn not_older(&mut self, rules: &StandingRules) -> Result<()> {
        if rules.sequence < self.seen {
            return Err(Error::RulesChanged {
                file: self.patient.vault.home().path(FOLDER),
                cause: "older rules were put back while the agent ran",
            });
        }
        self.seen = rules.sequence;
        Ok(())
    }

    /// Where to go on: at the beginning when the rules have changed, for what is still open.
    fn cursor(&self, rules: &StandingRules) -> Result<Cursor> {
        let kept: Cursor = self.patient.vault.home().read_json(CURSOR)?.unwrap_or_default();
        if kept.sequence == rules.sequence {
            return Ok(kept);
        }
        Ok(Cursor {
            sequence: rules.sequence,
            after: 0,
        })
    }

    /// An older cursor would do as well: what has been answered is not answered again.
    fn keep_cursor(&self, cursor: &Cursor) -> Result<()> {
        let home = self.patient.vault.home();
        let bytes = serde_json::to_vec(cursor).map_err(|_| home.damaged(CURSOR))?;
        home.write_soon(CURSOR, &bytes)
    }
}

const CURSOR: &str = "rules/cursor.json";
const LOCK: &str = "agent.lock";
/// After so long the rules are looked at again, when nothing arrives.
const WAIT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
