//! Answers by rules, each kept in the home before it is sent: `rules/answers/<request id>`, one file of JSON, replaced
//! as a whole and synced.
//!
//! ```text
//! – ─ signed ─ sent        the server has accepted it
//!            ├ answered    the request had an answer: this one before a crash, or hers; the history tells
//!            ├ refused     by a rule of the protocol: left for her
//!            └ withdrawn   the rules changed before it was known to have arrived: left for her
//! ```
//! Invariant: a request has at most one file, and the bytes in it never change.

use std::collections::HashMap;

use data_encoding::BASE64;
use protocol_spec::{
    ids::{PermissionId, RequestId},
    messages::decode,
    submitted::{SubmitDenial, SubmitPermission, Submitted},
};
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use crate::{Result, home::Home, patient::SignedAnswer};

/// One answer, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptAnswer {
    format: u32,
    pub(super) request_id: String,
    /// The name of the rule, and the number of the rules that it stood in.
    pub(super) rule: String,
    pub(super) sequence: u64,
    /// When it was signed, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) verdict: AnswerKind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) permission_id: Option<String>,
    /// SHA-256 of the body that was signed.
    statement: String,
    pub(super) state: AnswerState,
    /// The exact message as it was sent first, in base64.
    message: String,
}

/// Which answer a file of this folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerKind {
    Permitted,
    Denied,
}

/// How far an answer has come, as the diagram above has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerState {
    Signed,
    Sent,
    Answered,
    Refused,
    Withdrawn,
}

/// Which rule of which rules answers.
#[derive(Clone, Debug)]
pub(super) struct By {
    pub(super) rule: String,
    pub(super) sequence: u64,
    pub(super) at: u64,
}

impl KeptAnswer {
    pub(super) fn new(
        request: RequestId,
        by: By,
        permission: Option<PermissionId>,
        answer: &SignedAnswer,
    ) -> Self {
        Self {
            format: 1,
            request_id: request.to_string(),
            rule: by.rule,
            sequence: by.sequence,
            at: by.at,
            verdict: match answer {
                SignedAnswer::Permission(_) => AnswerKind::Permitted,
                SignedAnswer::Denial(_) => AnswerKind::Denied,
            },
            permission_id: permission.map(|id| id.to_string()),
            statement: answer.statement_hash().to_string(),
            state: AnswerState::Signed,
            message: BASE64.encode(&answer.bytes()),
        }
    }

    /// The message, as it was signed.
    pub(super) fn answer(&self, home: &Home) -> Result<SignedAnswer> {
        let damaged = || home.damaged(&file(&self.request_id));
        let bytes = BASE64.decode(self.message.as_bytes()).map_err(|_| damaged())?;
        let answer = match self.verdict {
            AnswerKind::Permitted => decode(&bytes)
                .and_then(SubmitPermission::read)
                .map(|message| SignedAnswer::Permission(Box::new(message))),
            AnswerKind::Denied => decode(&bytes)
                .and_then(SubmitDenial::read)
                .map(|message| SignedAnswer::Denial(Box::new(message))),
        };
        let answer = answer.map_err(|_| damaged())?;
        if answer.statement_hash().to_string() == self.statement {
            Ok(answer)
        } else {
            Err(damaged())
        }
    }

    /// What it did, once the server has it.
    pub(super) fn outcome(&self, home: &Home) -> Result<Outcome> {
        let SignedAnswer::Permission(message) = self.answer(home)? else {
            return Ok(Outcome::Denied);
        };
        let body = message.permission.claimed();
        Ok(Outcome::Permitted {
            permission_id: body.permission_id,
            records: body.records.iter().map(|record| record.record_id).collect(),
        })
    }

    /// Keeps it; when this returns, it outlasts a power cut.
    pub(super) fn save(&self, home: &Home) -> Result<()> {
        home.make_folder(FOLDER)?;
        home.write_json(&file(&self.request_id), self)
    }

    pub(super) fn load(home: &Home, request: RequestId) -> Result<Option<Self>> {
        let name = file(&request.to_string());
        match home.read_json::<Self>(&name)? {
            Some(kept) if kept.format != 1 || kept.request_id != request.to_string() => {
                Err(home.damaged(&name))
            }
            kept => Ok(kept),
        }
    }

    pub(super) fn request(&self, home: &Home) -> Result<RequestId> {
        self.request_id
            .parse()
            .map_err(|_| home.damaged(&file(&self.request_id)))
    }

    /// All that are kept, in the order in which they were signed.
    pub(super) fn all(home: &Home) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for name in home.list(FOLDER)? {
            // Others are left behind by a writer that died before it renamed.
            if let Ok(request) = name.parse() {
                all.extend(Self::load(home, request)?);
            }
        }
        all.sort_by(|a, b| (a.at, &a.request_id).cmp(&(b.at, &b.request_id)));
        Ok(all)
    }
}

/// For her history: the rules that gave answers, by the hash of what was signed.
pub(crate) fn rules_by_statement(home: &Home) -> Result<HashMap<String, String>> {
    let kept = KeptAnswer::all(home)?;
    Ok(kept.into_iter().map(|kept| (kept.statement, kept.rule)).collect())
}

fn file(request: &str) -> String {
    format!("{FOLDER}/{request}")
}

const FOLDER: &str = "rules/answers";

#[cfg(test)]
mod tests;
