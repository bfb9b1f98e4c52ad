//! What new devices offer until a device of a patient adds them. Anybody may offer something, so that offers are
//! few and short. See `spec/devices.md` §4.

use bytes::Bytes;
use protocol_spec::{
    hash::sha256,
    ids::{DeviceId, LinkId},
    keys::IdentityKey,
    labels, messages as pb,
    problem::Problem,
    submitted::{self, Submitted},
};

use crate::vault::{
    core::{
        proven::Proven,
        refusal::{Refusal, ensure},
        role::{Newcomer, OwnDevice},
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    tables::{self, CountRow, Expiring, LinkRow, OfferRow},
    who::caller::Caller,
};

/// Checks the keys that are offered, and gives the caller who must have signed.
pub(crate) fn offering(message: &pb::LinkOffer) -> Result<Caller, Refusal> {
    let offer = submitted::LinkOffer::read(message.clone())?;
    Ok(new_device(offer.device_key))
}

/// Checks the form of an opening, and gives the caller who must have signed.
pub(crate) fn opening(message: &pb::LinkOpening) -> Result<Caller, Refusal> {
    let opening = submitted::LinkOpening::read(message.clone())?;
    Ok(new_device(opening.device_key))
}

/// What lies at this place.
pub(crate) async fn link_state(
    shared: &Shared,
    caller: &Caller,
    link: LinkId,
) -> Result<pb::LinkState, Refusal> {
    caller.patient()?;
    let row = link_row(shared, link).await?;
    let row = row.ok_or_else(|| Refusal::absent("no such offer"))?;
    Ok(pb::LinkState {
        offer: row.offer,
        opening: row.opening,
    })
}

/// What a device of a patient has answered to the offer at this place: for whoever knows the place, since the new device
/// is nobody yet.
pub(crate) async fn link_answer(shared: &Shared, link: LinkId) -> Result<pb::LinkAnswer, Refusal> {
    let row = link_row(shared, link).await?;
    let row = row.filter(|row| !row.answer.is_empty());
    let row = row.ok_or_else(|| Refusal::new(Problem::NotFound, "no such answer"))?;
    Ok(pb::LinkAnswer { nonce: row.answer })
}

async fn link_row(shared: &Shared, link: LinkId) -> Result<Option<LinkRow>, Refusal> {
    match tables::link(link).get(&*shared.ledger).await? {
        Some(row) if !shared.time.has_passed(row.expires).await => Ok(Some(row)),
        _ => Ok(None),
    }
}

fn new_device(key: IdentityKey) -> Caller {
    Caller::NewDevice {
        id: DeviceId::from(&key),
        key,
    }
}

/// Keeps a patient's answer to an offer, the first one (DEV-20).
pub(crate) struct AnswerLink {
    link: LinkId,
    nonce: Bytes,
}

impl Submission for AnswerLink {
    type Message = (LinkId, submitted::LinkAnswer);
    type By = OwnDevice;

    fn admit((link, message): Self::Message, _: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let nonce = message.nonce.bytes().clone();
        Ok(Self { link, nonce })
    }
}

impl Operation for AnswerLink {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let mut row = live_link(tx, self.link).await?;
        let first = row.answer.is_empty() || row.answer == self.nonce;
        ensure(first, Problem::AlreadyExists, "another answer was first")?;
        row.answer = self.nonce.clone();
        tx.put(&tables::link(self.link), &row);
        Ok(())
    }
}

/// Keeps what a new device opens, once there is an answer (DEV-20).
pub(crate) struct OpenLink {
    device: DeviceId,
    link: LinkId,
    nonce: Bytes,
}

impl Submission for OpenLink {
    type Message = (LinkId, submitted::LinkOpening);
    type By = Newcomer;

    fn admit((link, message): Self::Message, who: &Proven<'_, Newcomer>) -> Result<Self, Refusal> {
        Ok(Self {
            device: who.principal(),
            link,
            nonce: message.nonce.bytes().clone(),
        })
    }
}

impl Operation for OpenLink {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let nonce = &self.nonce;
        let mut row = live_link(tx, self.link).await?;
        let offer = row.offer.as_ref();
        let offer = offer.ok_or_else(|| Refusal::damaged("an offer's row is empty"))?;
        let bound = sha256(&[&labels::LINK_COMMITMENT.bytes(), nonce]);
        let offered = IdentityKey::try_from(offer.device_key.as_ref()).map_err(Refusal::damaged)?;
        let its = DeviceId::from(&offered) == self.device && offer.commitment.as_ref() == bound;
        ensure(
            its && !row.answer.is_empty(),
            Problem::NotPermitted,
            "not the nonce of this offer, or not yet",
        )?;
        row.opening = nonce.clone();
        tx.put(&tables::link(self.link), &row);
        Ok(())
    }
}

/// Keeps an offer for a while (DEV-12).
pub(crate) struct Offer {
    device: DeviceId,
    link: LinkId,
    message: pb::LinkOffer,
}

impl Submission for Offer {
    type Message = (LinkId, submitted::LinkOffer);
    type By = Newcomer;

    fn admit((link, message): Self::Message, who: &Proven<'_, Newcomer>) -> Result<Self, Refusal> {
        Ok(Self {
            device: who.principal(),
            link,
            message: message.write(),
        })
    }
}

impl Operation for Offer {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
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
        end_offer(tx, *device).await?;
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
        Ok(())
    }
}

async fn live_link(tx: &mut Tx<'_>, link: LinkId) -> Result<LinkRow, Refusal> {
    let now = tx.now;
    let row = tx.read(&tables::link(link)).await?;
    row.filter(|row| row.expires > now)
        .ok_or_else(|| Refusal::absent("no such offer"))
}

/// Takes a device's offer back, if it has one.
pub(in crate::vault) async fn end_offer(tx: &mut Tx<'_>, device: DeviceId) -> Result<(), Refusal> {
    let at = tables::offer(device);
    let Some(row) = tx.read(&at).await? else {
        return Ok(());
    };
    let link = row.link.as_ref().try_into().map_err(Refusal::damaged)?;
    tx.delete(&tables::link(link));
    tx.delete(&at);
    let count = tx.read(&tables::offers()).await?.unwrap_or_default().value;
    let value = count.saturating_sub(1);
    tx.put(&tables::offers(), &CountRow { value });
    Ok(())
}

/// An offer's time is over, unless it has been replaced.
pub(in crate::vault) struct EndOffer {
    pub(in crate::vault) link: LinkId,
    pub(in crate::vault) device: DeviceId,
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
            end_offer(tx, self.device).await?;
        }
        Ok(())
    }
}

/// Ten minutes, in milliseconds.
const TTL: u64 = 10 * 60 * 1000;
/// Of all new devices at once: some megabytes. Twice of what comes in at the edge in this time, which forgets at a restart.
const MAX_OFFERS: u64 = 8192;
