//! How long the answers of each endpoint can be: so much memory is taken before one is made.

use protocol_spec::{
    api::{DelegatedKeysQuery, PageQuery, WrapsQuery},
    released::MAX_RANGES,
    vault_head::Act,
};

use super::{
    App,
    answer::{ReservedResponse, ResponseBudget, SHORT},
    auth::QuotaPermit,
};
use crate::vault::{KEYS_OF_PAGE, MAX_ACTS, MAX_VERSIONS, MAX_WRAPS, Refusal};

/// The most room that an answer needs.
pub(super) enum Most {
    /// At most so many bytes, among transfers or messages.
    Bytes(u64),
    /// A page of so many bytes, which transfers are not in the way of.
    Page(u64),
}

impl Most {
    pub(super) async fn room(
        self,
        back: ResponseBudget,
        running: QuotaPermit,
    ) -> Result<ReservedResponse, Refusal> {
        match self {
            Self::Bytes(bytes) => back.room(running, bytes).await,
            Self::Page(bytes) => back.page_room(running, bytes).await,
        }
    }

    pub(super) async fn public_room(self, back: ResponseBudget) -> Result<ReservedResponse, Refusal> {
        match self {
            Self::Bytes(bytes) => back.public_room(bytes).await,
            Self::Page(bytes) => back.public_page_room(bytes).await,
        }
    }
}

pub(super) fn short<X>(_: &App, _: &X) -> Most {
    Most::Bytes(SHORT)
}

/// What was enrolled, with a proof.
pub(super) fn enrolled<X>(app: &App, _: &X) -> Most {
    Most::Bytes(enrolled_bytes(app))
}

/// At most a permission and its request, which came as messages.
pub(super) fn two_messages<X>(app: &App, _: &X) -> Most {
    Most::Bytes(app.vault.message_bytes().saturating_mul(2))
}

/// A page of whatever there is.
pub(super) fn page<X>(app: &App, _: &X) -> Most {
    Most::Bytes(app.vault.page_bytes())
}

/// A page of rows that are short.
pub(super) fn short_page<X>(app: &App, _: &X) -> Most {
    Most::Page(app.vault.short_page_bytes(SHORT))
}

/// A page of what was enrolled.
pub(super) fn enrolled_page<X>(app: &App, _: &X) -> Most {
    Most::Page(app.vault.short_page_bytes(enrolled_bytes(app)))
}

/// A page of what came as messages.
pub(super) fn message_page<X>(app: &App, _: &X) -> Most {
    Most::Page(app.vault.short_page_bytes(app.vault.message_bytes()))
}

fn enrolled_bytes(app: &App) -> u64 {
    u64::try_from(app.limits.enrolment_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(SHORT)
}

/// So many rows of so many bytes.
fn rows(count: usize, bytes: u64) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(bytes)
}

/// How many acts are given, beside the newest head.
pub(super) fn acts_limit(asked: &PageQuery<u64>) -> usize {
    let limit = asked.limit.filter(|limit| *limit > 0);
    limit.unwrap_or(MAX_ACTS).min(MAX_ACTS)
}

pub(super) fn acts(app: &App, asked: &PageQuery<u64>) -> Most {
    let acts = rows(acts_limit(asked) * Act::LEN, 1);
    Most::Bytes(enrolled_bytes(app).saturating_add(acts))
}

pub(super) fn wraps_limit(asked: &WrapsQuery) -> usize {
    asked.limit.unwrap_or(MAX_WRAPS).min(MAX_WRAPS)
}

pub(super) fn wraps(_: &App, asked: &WrapsQuery) -> Most {
    /// The most bytes of one wrap with its ids.
    const WRAP: u64 = 192;
    Most::Bytes(rows(wraps_limit(asked), WRAP))
}

pub(super) fn keys_limit(asked: &DelegatedKeysQuery) -> usize {
    asked.limit.unwrap_or(KEYS_OF_PAGE).min(KEYS_OF_PAGE)
}

pub(super) fn delegated_keys(_: &App, asked: &DelegatedKeysQuery) -> Most {
    /// The most bytes of one key with the longest chain.
    const DELEGATED_KEY: u64 = 9 << 10;
    Most::Bytes(rows(keys_limit(asked), DELEGATED_KEY))
}

pub(super) fn ranges_limit<C>(asked: &PageQuery<C>) -> usize {
    asked.most().min(MAX_VERSIONS)
}

pub(super) fn ranges<C>(_: &App, asked: &PageQuery<C>) -> Most {
    /// The most bytes of one version with all its ranges.
    const VERSION_RANGES: u64 = 64 + 16 * MAX_RANGES as u64;
    Most::Bytes(rows(ranges_limit(asked), VERSION_RANGES))
}
