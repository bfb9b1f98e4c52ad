//! What new devices offer until a device of a patient adds them. Anybody may offer something, so that offers are
//! few and short. See `spec/devices.md` §4.

use bytes::Bytes;
use protocol_spec::{
    Error,
    hash::{Sha256Digest, sha256},
    ids::{DeviceId, LinkId},
    keys::{IdentityKey, RecipientKey},
    labels, messages as pb,
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
        Sha256Digest::try_from(message.commitment.as_ref())?;
        Ok(new_device(key))
    }

    /// Checks the form of an opening, and gives the caller who must have signed.
    ///
    /// # Errors
    /// `malformed`, `degenerate-key`.
    pub fn opening(&self, message: &pb::LinkOpening) -> Result<Caller, Refusal> {
        nonce(&message.nonce)?;
        Ok(new_device(IdentityKey::try_from(message.device_key.as_ref())?))
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
    pub async fn link_state(&self, caller: &Caller, link: LinkId) -> Result<pb::LinkState, Refusal> {
        caller.patient()?;
        let row = self.live_link(link).await?;
        let row = row.ok_or_else(|| Refusal::absent("no such offer"))?;
        Ok(pb::LinkState {
            offer: row.offer,
            opening: row.opening,
        })
    }

    /// What a device of a patient has answered to the offer at this place: for whoever knows the place, since the new device
    /// is nobody yet.
    ///
    /// # Errors
    /// `not-found` as long as there is none.
    pub async fn link_answer(&self, link: LinkId) -> Result<pb::LinkAnswer, Refusal> {
        let row = self.live_link(link).await?;
        let row = row.filter(|row| !row.answer.is_empty());
        let row = row.ok_or_else(|| Refusal::new(Problem::NotFound, "no such answer"))?;
        Ok(pb::LinkAnswer { nonce: row.answer })
    }

    async fn live_link(&self, link: LinkId) -> Result<Option<LinkRow>, Refusal> {
        match tables::link(link).get(&*self.shared.ledger).await? {
            Some(row) if !self.shared.time.has_passed(row.expires).await => Ok(Some(row)),
            _ => Ok(None),
        }
    }

    /// Keeps a patient's answer to an offer, the first one (DEV-20).
    ///
    /// # Errors
    /// `not-permitted` unless a patient answers what is there, `already-exists` for another answer than the first.
    pub async fn answer_link(
        &self,
        caller: &Caller,
        intent: &Intent,
        link: LinkId,
        message: pb::LinkAnswer,
    ) -> Result<pb::Accepted, Refusal> {
        caller.patient()?;
        let nonce = nonce(&message.nonce)?;
        let operation = Answer { link, nonce };
        self.shared.mutate(caller, intent, operation).await
    }

    /// Keeps what a new device opens, once there is an answer (DEV-20).
    ///
    /// # Errors
    /// `not-permitted` for another device than the one that has offered itself, before there is an answer, and for another
    /// nonce than the device is bound to.
    pub async fn open_link(
        &self,
        caller: &Caller,
        intent: &Intent,
        link: LinkId,
        message: pb::LinkOpening,
    ) -> Result<pb::Accepted, Refusal> {
        let operation = Opening { link, message };
        self.shared.mutate(caller, intent, operation).await
    }
}

fn new_device(key: IdentityKey) -> Caller {
    Caller::NewDevice {
        id: DeviceId::from(&key),
        key,
    }
}

fn nonce(bytes: &Bytes) -> Result<Bytes, Refusal> {
    let wanted = Error::Field { field: "nonce" };
    if bytes.len() == NONCE {
        Ok(bytes.clone())
    } else {
        Err(wanted.into())
    }
}

struct Answer {
    link: LinkId,
    nonce: Bytes,
}

impl Operation for Answer {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let mut row = tx.live_link(self.link).await?;
        let first = row.answer.is_empty() || row.answer == self.nonce;
        ensure(first, Problem::AlreadyExists, "another answer was first")?;
        row.answer = self.nonce.clone();
        tx.put(&tables::link(self.link), &row);
        Ok(pb::Accepted {})
    }
}

struct Opening {
    link: LinkId,
    message: pb::LinkOpening,
}

impl Operation for Opening {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let pb::LinkOpening { device_key, nonce } = &self.message;
        let mut row = tx.live_link(self.link).await?;
        let offer = row.offer.as_ref();
        let offer = offer.ok_or_else(|| Refusal::damaged("an offer's row is empty"))?;
        let bound = sha256(&[&labels::LINK_COMMITMENT.bytes(), nonce]);
        let its = offer.device_key == *device_key && offer.commitment.as_ref() == bound;
        ensure(
            its && !row.answer.is_empty(),
            Problem::NotPermitted,
            "not the nonce of this offer, or not yet",
        )?;
        row.opening = nonce.clone();
        tx.put(&tables::link(self.link), &row);
        Ok(pb::Accepted {})
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
            ..LinkRow::default()
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
    async fn live_link(&mut self, link: LinkId) -> Result<LinkRow, Refusal> {
        let now = self.now;
        let row = self.read(&tables::link(link)).await?;
        row.filter(|row| row.expires > now)
            .ok_or_else(|| Refusal::absent("no such offer"))
    }

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

    fn is_urgent(&self) -> bool {
        true
    }

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
/// Of a nonce, in bytes.
const NONCE: usize = 32;
/// Of all new devices at once: some megabytes. Twice of what comes in at the edge in this time, which forgets at a restart.
const MAX_OFFERS: u64 = 8192;
