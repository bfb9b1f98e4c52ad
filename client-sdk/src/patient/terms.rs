//! What a patient is asked for, and what she permits: for how long, how often, which records.

use std::time::Duration;

use protocol_spec::{
    conditions::Conditions,
    ids::{CollectionId, PermissionId, RecordId, RequestId},
    permission::Kind,
    purpose::Purpose,
};

use crate::patient::refs::InstitutionRef;

/// What an upload permission allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTerms {
    /// Bytes of sealed stream, over all uses.
    pub max_bytes: u64,
    /// For how long, from when it is signed.
    pub expires: Duration,
    /// How many records may be stored with it.
    pub uses: u32,
}

impl Default for UploadTerms {
    /// One record of at most 16 GiB within a week.
    fn default() -> Self {
        Self {
            max_bytes: 16 << 30,
            expires: Duration::from_secs(7 * 24 * 3600),
            uses: 1,
        }
    }
}

/// What a download or reference permission allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitTerms {
    /// From when on, in milliseconds since 1970; none: now.
    pub not_before: Option<u64>,
    /// For how long, from then.
    pub expires: Duration,
    /// How many releases may bring something (FLW-16).
    pub uses: u32,
    /// Bytes of sealed stream, over all uses; without it enough for every use and as much again
    /// for transfers that break off.
    pub bytes: Option<u64>,
    /// The one purpose that it is for; none: the one that the request states, if it does.
    pub purpose: Option<Purpose>,
    /// What the records are like.
    pub conditions: Conditions,
    /// A permission that answers the same request, and ends when this one is taken: so one is narrowed or prolonged.
    pub replaces: Option<PermissionId>,
}

impl Default for PermitTerms {
    /// For one use, within an hour from now.
    fn default() -> Self {
        Self {
            not_before: None,
            expires: Duration::from_secs(3600),
            uses: 1,
            bytes: None,
            purpose: None,
            conditions: Conditions::default(),
            replaces: None,
        }
    }
}

/// Which of her records a permission is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These, at most as many as a permission names.
    Records(Vec<RecordId>),
    /// All that are in the vault now.
    All,
}

/// Whatever lies in one of her collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InCollection {
    /// The collection that the permission is over.
    pub id: CollectionId,
    /// Only what lies there now, not what comes later.
    pub until_now: bool,
}

/// What an institution asks the patient for whom a delegate acts. Its text is sealed to that patient.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OpenRequest {
    /// The request's id, by which it is answered.
    pub request_id: RequestId,
    /// Whether it is a download or a reference.
    pub kind: Kind,
    /// The institution that has signed it.
    #[serde(flatten, serialize_with = "crate::text::from")]
    pub from: InstitutionRef,
    /// The institution that would receive: the same, or the one that it refers to.
    #[serde(flatten, serialize_with = "crate::text::to")]
    pub to: InstitutionRef,
    /// What for, as the asker says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// When it ends, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub expires: u64,
}
