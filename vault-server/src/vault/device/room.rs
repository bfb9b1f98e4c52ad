//! How many lists and epochs a patient may still make: what protects has some kept for it.

use protocol_spec::{
    devices::{DeviceList, ListedDevice, MAX_LISTS, RESERVED_LISTS},
    problem::Problem,
    submitted::CollectionEpochs,
};

use crate::vault::{
    core::{
        limits::{MAX_COLLECTIONS, MAX_EPOCHS, MAX_OPEN_EPOCHS, RESERVED_EPOCHS},
        refusal::{Refusal, ensure},
        tx::Tx,
    },
    device::leaving,
};

/// Who uses up what has an end: the more it serves to come back, the longer it goes on.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Room {
    /// Any change.
    Ordinary,
    /// A removal, or whatever a recovery member signs.
    Reserved,
    /// By a settled recovery member, which no device in wrong hands can have made on the way.
    Settled,
}

impl Room {
    /// How many lists there may be then.
    pub(in crate::vault) fn lists(self) -> u64 {
        match self {
            Self::Ordinary => MAX_LISTS - RESERVED_LISTS,
            Self::Reserved => MAX_LISTS,
            Self::Settled => MAX_LISTS + RESERVED_LISTS,
        }
    }

    /// Whether a rotation leaves so many epochs that the next one fits a message (COL-11).
    pub(in crate::vault) fn check(self, collections: &[CollectionEpochs]) -> Result<(), Refusal> {
        let parts = match self {
            Self::Ordinary => 0,
            Self::Reserved => 1,
            Self::Settled => 2,
        };
        let reserved = parts * RESERVED_EPOCHS;
        let open = |one: &CollectionEpochs| one.key_wraps.iter().flatten().count();
        let each = collections
            .iter()
            .all(|one| one.key_wraps.len() <= MAX_EPOCHS - RESERVED_EPOCHS + reserved);
        let all = collections.iter().map(open).sum::<usize>();
        ensure(
            each && all <= MAX_OPEN_EPOCHS + reserved * MAX_COLLECTIONS,
            Problem::TooMany,
            "what epochs are left are kept for removals of devices, and then for recovery",
        )
    }
}

/// For whom a list uses up what has an end (DEV-17).
pub(in crate::vault) async fn room(
    tx: &mut Tx<'_>,
    list: &DeviceList,
    before: &DeviceList,
) -> Result<Room, Refusal> {
    let member = before
        .device(list.signer)
        .is_some_and(ListedDevice::is_for_recovery);
    Ok(if member && leaving::is_settled(tx, list.signer).await? {
        Room::Settled
    } else if list.may_be_one_of_the_last(before) {
        Room::Reserved
    } else {
        Room::Ordinary
    })
}
