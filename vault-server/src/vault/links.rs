//! What new devices offer until a device of a patient adds them. Anybody may offer something, so that offers are
//! few and short. See `spec/devices.md` §4.

use bytes::Bytes;
use protocol_spec::{
    ids::{DeviceId, LinkId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    problem::Problem,
};

use super::{
    Caller, Intent, Refusal, Vault,
    refusal::ensure,
    tables::{self, CountRow, Expiring, LinkRow, OfferRow},
    tx::{Operation, Tx},
};

impl Vault {
    /// Checks the keys that are offered, and gives the caller who must have signed.
    ///
    /// # Errors
    /// `malformed`, `degenerate-key`.
    pub fn offering(&self, message: &pb::LinkOffer) -> Result<Caller, Refusal> {
        let key = IdentityKey::try_from(message.device_key.as_ref())?;
        RecipientKey::try_from(message.recipient_key.as_ref())?;
        Ok(Caller::NewDevice {
            id: DeviceId::from(&key),
            key,
        })
    }

    /// Keeps an offer for a while (DEV-12).
    ///
    /// # Errors
    /// `already-exists`, `too-many`.
    pub async fn offer(
        &self,
        caller: &Caller,
        intent: &Intent,
        link: LinkId,
        message: pb::LinkOffer,
    ) -> Result<pb::Accepted, Refusal> {
        let Caller::NewDevice { id, .. } = caller else {
            return Err(Refusal::absent("only new devices offer themselves"));
        };
        let operation = Offer {
            device: *id,
            link,
            message,
        };
        self.shared.mutate(caller, intent, operation).await
    }

    /// What lies at this place.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks, and when nothing lies there.
    pub async fn link_offer(&self, caller: &Caller, link: LinkId) -> Result<pb::LinkOffer, Refusal> {
        caller.patient()?;
        let row = tables::link(link).get(&*self.shared.ledger).await?;
        let row = row.ok_or_else(|| Refusal::absent("no such offer"))?;
        ensure(
            !self.shared.time.has_passed(row.expires).await,
            Problem::NotPermitted,
            "the offer is over",
        )?;
        row.offer
            .ok_or_else(|| Refusal::damaged("an offer's row is empty"))
    }
}

struct Offer {
    device: DeviceId,
    link: LinkId,
    message: pb::LinkOffer,
}

impl Operation for Offer {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self {
            device,
            link,
            message,
        } = self;
        let taken = tx.read(&tables::device(*device)).await?.is_some();
        ensure(
            !taken,
            Problem::AlreadyExists,
            "the device is a patient's already",
        )?;
        tx.end_offer(*device).await?;
        let count = tx.read(&tables::offers()).await?.unwrap_or_default().value + 1;
        ensure(count <= MAX_OFFERS, Problem::TooMany, "too many offers")?;
        tx.put(&tables::offers(), &CountRow { value: count });
        let expires = tx.now + TTL;
        let row = LinkRow {
            offer: Some(message.clone()),
            expires,
        };
        tx.claim(&tables::link(*link), &row).await?;
        let at = OfferRow {
            link: Bytes::copy_from_slice(link.as_bytes()),
        };
        tx.put(&tables::offer(*device), &at);
        tx.expire(expires, Expiring::Offer(*link, *device));
        Ok(pb::Accepted {})
    }
}

impl Tx<'_> {
    /// Takes a device's offer back, if it has one.
    pub(super) async fn end_offer(&mut self, device: DeviceId) -> Result<(), Refusal> {
        let at = tables::offer(device);
        let Some(row) = self.read(&at).await? else {
            return Ok(());
        };
        let link = row.link.as_ref().try_into().map_err(Refusal::damaged)?;
        self.delete(&tables::link(link));
        self.delete(&at);
        let count = self.read(&tables::offers()).await?.unwrap_or_default().value;
        let value = count.saturating_sub(1);
        self.put(&tables::offers(), &CountRow { value });
        Ok(())
    }
}

/// An offer's time is over, unless it has been replaced.
pub(super) struct EndOffer {
    pub(super) link: LinkId,
    pub(super) device: DeviceId,
}

impl Operation for EndOffer {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let now = tx.now;
        let row = tx.read(&tables::link(self.link)).await?;
        if row.is_some_and(|row| row.expires <= now) {
            tx.end_offer(self.device).await?;
        }
        Ok(())
    }
}

/// Ten minutes, in milliseconds.
const TTL: u64 = 10 * 60 * 1000;
/// Of all new devices at once: some megabytes.
const MAX_OFFERS: u64 = 4096;
