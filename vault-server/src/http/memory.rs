//! Memory for bodies in transit, coming and going: each holds its share from before it is read or made
//! until nothing of it is left. Whoever finds too little waits, and is refused after a time.
//!
//! Each section is out of reach for what the others serve, is shared out as [`pool`] says, and nobody gets all of one:
//!
//! | section | for | between | one takes at most |
//! |---|---|---|---|
//! | transfers | leaves, long messages, long answers | institutions, patients' networks | a principal: `principal_share` percent; patients of one address: five eighths; all patients: six |
//! | messages | short messages and answers, inboxes, lists of permissions | the same | a principal: an eighth; patients of one address: five eighths; all patients: six |
//! | public | answers for which nobody has signed | networks | an address: `address_memory`; long pages: half |
//! | unsigned | bodies that are read before anybody is known, as they come | networks | an address: `address_memory`, or an eighth |

mod pool;

use std::sync::Arc;

use protocol_spec::defence::Defence;

use self::pool::share;
pub(super) use self::pool::share::{Share, Watch};
use self::pool::{Account, Key, Pool};
use super::prefix::Origin;
use crate::{
    config::{ClientLimits, MESSAGE_PARTS, PUBLIC_PAGE_PARTS, UNSIGNED_PARTS},
    vault::Refusal,
};

/// What is as short is a message, and never waits for transfers. A revocation has some 3 KiB.
const MESSAGE: u64 = 64 << 10;

/// One for the process. Counts whole KiB.
pub(super) struct BodyMemory {
    transfers: Section,
    /// None: messages take their share of the transfers' memory.
    messages: Option<Section>,
    public: Public,
    unsigned: Public,
}

/// In whose share a body is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payer {
    /// A principal whose signature was verified.
    Principal(Principal),
    /// An address, while nobody knows who sends.
    Stranger(Origin),
}

/// Somebody who has signed, by what its memory is shared out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Principal {
    /// An institution, which somebody has accredited.
    Institution([u8; 32]),
    /// Anybody else: a patient, which everybody can become, counted by where the request came from, too.
    Patient([u8; 32], Origin),
}

impl Principal {
    pub(super) fn id(&self) -> [u8; 32] {
        match self {
            Self::Institution(id) | Self::Patient(id, _) => *id,
        }
    }
}

impl BodyMemory {
    pub(super) fn new(limits: &ClientLimits) -> Self {
        let size = |bytes| kib(length(bytes));
        let each = size(limits.message_memory / MESSAGE_PARTS);
        let address = size(limits.address_memory);
        let pool = |bytes, defence: Defence| {
            let reclaim_after = (!defence.is_off()).then_some(limits.reclaim_after);
            Pool::new(size(bytes), limits.queue_timeout, reclaim_after)
        };
        let signed = |bytes, each| Section {
            pool: pool(bytes, Defence::TransferShares),
            each,
        };
        Self {
            transfers: signed(limits.body_memory, size(limits.principal_memory())),
            messages: (limits.message_memory > 0).then(|| signed(limits.message_memory, each)),
            public: Public {
                pool: pool(limits.public_memory, Defence::PublicShares),
                address,
                pages: size(limits.public_memory).div_ceil(PUBLIC_PAGE_PARTS),
            },
            unsigned: Public {
                pool: pool(limits.unsigned_memory, Defence::PublicShares),
                address: address.min(size(limits.unsigned_memory).div_ceil(UNSIGNED_PARTS)),
                pages: usize::MAX,
            },
        }
    }

    /// How many bytes are reserved now.
    pub(super) fn in_use(&self) -> usize {
        let messages = self.messages.as_ref().map(|section| &section.pool);
        let pools = [&self.transfers.pool, &self.public.pool, &self.unsigned.pool];
        let used = pools.into_iter().chain(messages).map(|pool| pool.used());
        used.sum::<usize>().saturating_mul(1024)
    }

    /// Waits for so many bytes; for all that the payer may have, if they are fewer.
    ///
    /// Errors: `unavailable` after the queue timeout.
    pub(super) async fn reserve(&self, payer: &Payer, bytes: u64) -> Result<Share, Refusal> {
        match payer {
            Payer::Stranger(from) => self.public.take(*from, bytes, false).await,
            Payer::Principal(_) if bytes <= MESSAGE => self.reserve_page(payer, bytes).await,
            Payer::Principal(principal) => self.transfers.take(*principal, bytes).await,
        }
    }

    /// As [`BodyMemory::reserve`], for a page that everybody must be able to read: transfers are not in its
    /// way, nor is it in the way of short public answers.
    ///
    /// Errors: `unavailable` after the queue timeout.
    pub(super) async fn reserve_page(&self, payer: &Payer, bytes: u64) -> Result<Share, Refusal> {
        match payer {
            Payer::Stranger(from) => self.public.take(*from, bytes, true).await,
            Payer::Principal(principal) => {
                let section = self.messages.as_ref().unwrap_or(&self.transfers);
                section.take(*principal, bytes).await
            }
        }
    }

    /// For a body that is read before it is known whose it is (API-15): it grows with what has come.
    ///
    /// Errors: `unavailable` after the queue timeout.
    pub(super) async fn reserve_unsigned(&self, from: Origin, bytes: u64) -> Result<Share, Refusal> {
        self.unsigned.take(from, bytes, false).await
    }
}

/// Memory for those who sign.
struct Section {
    pool: Arc<Pool>,
    /// What one principal may hold.
    each: usize,
}

impl Section {
    async fn take(&self, principal: Principal, bytes: u64) -> Result<Share, Refusal> {
        let share = self.pool.take(self.account(principal), kib(bytes)).await;
        share.ok_or_else(share::too_little)
    }

    /// What free accounts have together cannot be multiplied by enrolling: they share it by their networks, and institutions
    /// have a part that is theirs alone (API-16).
    fn account(&self, principal: Principal) -> Account {
        let (most, all) = (self.pool.most(), (Key::All, self.pool.most()));
        let key = Key::Principal(principal.id());
        let own = (key, self.each.clamp(1, most.max(1)));
        match principal {
            Principal::Patient(_, from) if !Defence::TransferShares.is_off() => Account {
                between: [Key::Network(from.network), Key::Subscriber(from.subscriber)],
                bounds: vec![
                    own,
                    (Key::Subscriber(from.subscriber), most * 5 / 8),
                    (Key::Network(from.network), usize::MAX),
                    (Key::Patients, most * 6 / 8),
                    all,
                ],
            },
            _ => Account {
                between: [key; 2],
                bounds: vec![own, all],
            },
        }
    }
}

/// Memory for those who do not.
struct Public {
    pool: Arc<Pool>,
    /// What one address may hold.
    address: usize,
    /// What long pages may hold.
    pages: usize,
}

impl Public {
    async fn take(&self, from: Origin, bytes: u64, page: bool) -> Result<Share, Refusal> {
        let mut bounds = vec![
            (Key::Subscriber(from.subscriber), self.address),
            (Key::Network(from.network), usize::MAX),
            (Key::All, self.pool.most()),
        ];
        if Defence::PublicShares.is_off() {
            bounds = vec![(Key::All, self.pool.most())];
        }
        if page {
            bounds.push((Key::Pages, self.pages));
        }
        let account = Account {
            between: [Key::Network(from.network), Key::Subscriber(from.subscriber)],
            bounds,
        };
        let share = self.pool.take(account, kib(bytes)).await;
        share.ok_or_else(share::too_little)
    }
}

fn kib(bytes: u64) -> usize {
    let kib = usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX);
    kib.min(usize::MAX >> 2)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
