//! Who may put how much before whom. Whatever somebody asks of a receiver is open until it is answered, taken back or over; what is
//! open, and what comes in a day, has bounds for each sender, and for all whom the receiver has never dealt with together. See
//! `spec/accounts.md` §4.

use bytes::Bytes;
use protocol_spec::{defence::Defence, problem::Problem};

use crate::vault::{
    core::{
        account::DAY,
        refusal::{Refusal, ensure},
        tx::{Operation, Tx},
    },
    tables::{self, Expiring, OpenRow, SenderRow, StrangersOpenRow},
};

/// What somebody asks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Asking {
    /// An institution asks a patient; its id is the request's hash.
    Request = 1,
    /// A patient makes another one her delegate; its id is the delegation's.
    Delegation = 2,
    /// A patient makes another one her guardian; its id is the patient's who does.
    Guardianship = 3,
}

impl TryFrom<u32> for Asking {
    type Error = Refusal;

    fn try_from(number: u32) -> Result<Self, Refusal> {
        match number {
            1 => Ok(Self::Request),
            2 => Ok(Self::Delegation),
            3 => Ok(Self::Guardianship),
            _ => Err(Refusal::damaged("something open of no kind")),
        }
    }
}

/// Something that is put before a receiver.
pub(in crate::vault) struct Arrival<'a> {
    pub(in crate::vault) receiver: [u8; 32],
    pub(in crate::vault) sender: [u8; 32],
    pub(in crate::vault) what: Asking,
    pub(in crate::vault) id: &'a [u8],
    /// When it is open no more.
    pub(in crate::vault) expires: u64,
}

/// The day of what a sender has put before a receiver is over.
pub(in crate::vault) struct EndDay {
    pub(in crate::vault) receiver: [u8; 32],
    pub(in crate::vault) sender: [u8; 32],
}

impl Operation for EndDay {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let key = tables::sender(self.receiver, self.sender);
        let Some(mut row) = tx.read(&key).await? else {
            return Ok(());
        };
        row.open.retain(|open| open.expires > tx.now);
        put_sender(tx, &key, &row);
        Ok(())
    }
}

/// Lets something before its receiver, unless she has enough of this sender, or of strangers, or has blocked it: all three look
/// alike to the sender (ACC-8, ACC-9).
pub(in crate::vault) async fn admit(tx: &mut Tx<'_>, arrival: Arrival<'_>) -> Result<(), Refusal> {
    if Defence::ReceiverBounds.is_off() {
        return Ok(());
    }
    let limits = tx.shared.limits.inbox;
    let key = tables::sender(arrival.receiver, arrival.sender);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    ensure(!row.blocked, Problem::ReceiverFull, "the sender is blocked")?;
    row.sender = Bytes::copy_from_slice(&arrival.sender);
    row.open.retain(|open| open.expires > tx.now);
    let (open, daily) = if row.met {
        (limits.open_of_known, limits.daily_of_known)
    } else {
        (limits.open_of_stranger, limits.daily_of_stranger)
    };
    ensure(
        row.open.len() < open,
        Problem::ReceiverFull,
        "too much of this sender is unanswered",
    )?;
    let today = row.day.get_or_insert_default().count_on(tx.now);
    ensure(
        today <= daily,
        Problem::ReceiverFull,
        "too much of this sender today",
    )?;
    if !row.met {
        admit_stranger(tx, &arrival).await?;
    }
    row.open.push(OpenRow {
        id: Bytes::copy_from_slice(arrival.id),
        expires: arrival.expires,
        what: arrival.what as u32,
    });
    tx.put(&key, &row);
    look_again(tx, arrival.receiver, arrival.sender, arrival.expires);
    Ok(())
}

async fn admit_stranger(tx: &mut Tx<'_>, arrival: &Arrival<'_>) -> Result<(), Refusal> {
    let limits = tx.shared.limits.inbox;
    let key = tables::strangers(arrival.receiver);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    row.open.retain(|open| open.expires > tx.now);
    ensure(
        row.open.len() < limits.open_of_strangers,
        Problem::ReceiverFull,
        "too much of strangers is unanswered",
    )?;
    let today = row.day.get_or_insert_default().count_on(tx.now);
    ensure(
        today <= limits.daily_of_strangers,
        Problem::ReceiverFull,
        "too much of strangers today",
    )?;
    row.open.push(StrangersOpenRow {
        id: Bytes::copy_from_slice(arrival.id),
        expires: arrival.expires,
    });
    tx.put(&key, &row);
    Ok(())
}

/// Counts what is not for the receiver to answer (ACC-8): upload requests to an institution, delegations that follow one which
/// she has accepted.
pub(in crate::vault) async fn admit_unasked(
    tx: &mut Tx<'_>,
    receiver: [u8; 32],
    sender: [u8; 32],
    daily: u32,
) -> Result<(), Refusal> {
    if Defence::ReceiverBounds.is_off() {
        return Ok(());
    }
    let key = tables::sender(receiver, sender);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    ensure(!row.blocked, Problem::ReceiverFull, "the sender is blocked")?;
    row.sender = Bytes::copy_from_slice(&sender);
    let today = row.day.get_or_insert_default().count_on(tx.now);
    ensure(
        today <= daily,
        Problem::ReceiverFull,
        "too much of this sender today",
    )?;
    tx.put(&key, &row);
    look_again(tx, receiver, sender, 0);
    Ok(())
}

/// Has the row of a sender removed once it says nothing: its day is over, and so is what is open.
fn look_again(tx: &mut Tx<'_>, receiver: [u8; 32], sender: [u8; 32], expires: u64) {
    let tomorrow = (tx.now / DAY + 1) * DAY;
    tx.expire(tomorrow.max(expires), Expiring::Sender(receiver, sender));
}

/// Something is open no more: it was answered, or taken back. The same again changes nothing.
pub(in crate::vault) async fn settle(
    tx: &mut Tx<'_>,
    receiver: [u8; 32],
    sender: [u8; 32],
    what: Asking,
    id: &[u8],
) -> Result<(), Refusal> {
    let key = tables::sender(receiver, sender);
    let Some(mut row) = tx.read(&key).await? else {
        return Ok(());
    };
    row.open.retain(|open| open.what != what as u32 || open.id != id);
    put_sender(tx, &key, &row);
    forget_stranger(tx, receiver, |open| open.id == id).await
}

/// The receiver has dealt with this sender: it is a stranger no more (ACC-8). Whether it was one until now.
pub(in crate::vault) async fn has_met(
    tx: &mut Tx<'_>,
    receiver: [u8; 32],
    sender: [u8; 32],
) -> Result<bool, Refusal> {
    let key = tables::sender(receiver, sender);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    if row.met {
        return Ok(false);
    }
    row.met = true;
    row.sender = Bytes::copy_from_slice(&sender);
    tx.put(&key, &row);
    let ids: Vec<Bytes> = row.open.into_iter().map(|open| open.id).collect();
    forget_stranger(tx, receiver, |open| ids.contains(&open.id)).await?;
    Ok(true)
}

/// Writes what is known of a sender, or removes it where that says nothing. What came today is known until the day is over: else
/// whoever takes everything back begins anew each time.
pub(in crate::vault) fn put_sender(tx: &mut Tx<'_>, key: &tables::RowKey<SenderRow>, row: &SenderRow) {
    let came_today = row.day.as_ref().is_some_and(|day| day.day == tx.now / DAY);
    if row.met || row.blocked || !row.open.is_empty() || came_today {
        tx.put(key, row);
    } else {
        tx.delete(key);
    }
}

async fn forget_stranger(
    tx: &mut Tx<'_>,
    receiver: [u8; 32],
    which: impl Fn(&StrangersOpenRow) -> bool,
) -> Result<(), Refusal> {
    let key = tables::strangers(receiver);
    let Some(mut row) = tx.read(&key).await? else {
        return Ok(());
    };
    let before = row.open.len();
    row.open.retain(|open| !which(open));
    if row.open.len() < before {
        tx.put(&key, &row);
    }
    Ok(())
}
