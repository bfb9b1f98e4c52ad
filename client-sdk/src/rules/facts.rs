//! What is known of a request: read from the server and verified, for evaluation and for people who ask why.

use protocol_spec::{ids::RequestId, litter::decisive, messages::RequestState, permission::Kind};

use super::{
    model::Rules,
    verdict::{Facts, FileFacts, Known, RecordFacts, Verdict},
};
use crate::{
    Patient, Result, Selection,
    patient::{InstitutionRef, OwnRecord, listing, requests},
    trust::Asked,
};

/// A request and what rules say of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explained {
    /// Whether a download or a reference is asked for.
    pub kind: Kind,
    /// The institution that asks the patient.
    #[serde(flatten, serialize_with = "crate::text::from")]
    pub from: InstitutionRef,
    /// The institution that would receive.
    #[serde(flatten, serialize_with = "crate::text::to")]
    pub to: InstitutionRef,
    /// Whether it can still be answered; what rules say of others is what they would have said.
    pub open: bool,
    /// What the rules say of it now.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Patient {
    /// What these rules say of a request now, and why. Nothing is answered.
    /// Errors: [`crate::Error::Refused`] for an unknown request; of the connection.
    pub async fn explain(&self, request: RequestId, rules: &Rules<Known>) -> Result<Explained> {
        let (asked, state) = requests::asked(&self.vault, request).await?;
        let (facts, _) = self.facts(&asked).await?;
        Ok(Explained {
            kind: asked.kind,
            from: self.vault.institution_ref(asked.asker.id()).await?,
            to: self.vault.institution_ref(asked.receiver).await?,
            open: state == RequestState::Open,
            verdict: rules.evaluate(&facts, self.vault.time().own()),
        })
    }

    /// The facts, and the records that they are about with their keys.
    pub(super) async fn facts(&self, asked: &Asked) -> Result<(Facts, Vec<OwnRecord>)> {
        // Records that do not verify are none of hers to give.
        let (own, _) = listing::own_records(&self.vault, &Selection::All).await?;
        let facts = Facts {
            kind: asked.kind,
            from: asked.asker.id(),
            to: asked.receiver,
            purpose: asked.purpose,
            expires: asked.expires,
            records: own.iter().map(RecordFacts::from).collect(),
        };
        Ok((facts, own))
    }
}

impl From<&OwnRecord> for RecordFacts {
    fn from(record: &OwnRecord) -> Self {
        let entry = &record.entry;
        // What systems and viewers leave decides here as little as in conditions (CND-13).
        let files = decisive(&entry.parts).into_iter().map(|part| FileFacts {
            media_type: part.media_type.clone(),
            fhir_resource_type: part.clinical.fhir_resource_type.clone(),
        });
        Self {
            record_id: entry.record_id,
            version_id: entry.version_id,
            received: entry.received,
            made_by: entry.institution_id,
            files: files.collect(),
        }
    }
}
