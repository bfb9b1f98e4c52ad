//! Keys that know the type of their row.

use std::{any::type_name, marker::PhantomData};

use bytes::Bytes;
use prost::Message;

use crate::{
    store::{CommitId, Key, Ledger, StoreError, Table, Versioned},
    vault::tables::parts::Part,
};

/// A row: any message.
pub(crate) trait Row: Message + Default {
    /// As the ledger keeps it.
    fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads it back.
    fn from_ledger(row: &Versioned) -> Result<Self, StoreError> {
        Self::decode(row.value.clone())
            .map_err(|_| StoreError::Corrupt(format!("a row is no {}", type_name::<Self>())))
    }
}

impl<M: Message + Default> Row for M {}

/// The key of a row of type `R`.
pub(in crate::vault) struct RowKey<R> {
    key: Key,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> RowKey<R> {
    /// The suffix is these parts, one behind the other.
    pub(super) fn new(partition: [u8; 32], table: u8, parts: &[&dyn Part]) -> Self {
        let mut suffix = Vec::new();
        for part in parts {
            part.append_to(&mut suffix);
        }
        Self::of(Key::new(partition, Table::new(table), suffix))
    }

    fn of(key: Key) -> Self {
        Self {
            key,
            row: PhantomData,
        }
    }

    /// The untyped key.
    pub(in crate::vault) fn key(&self) -> &Key {
        &self.key
    }

    /// The row as it stands.
    pub(in crate::vault) async fn get(&self, ledger: &dyn Ledger) -> Result<Option<R>, StoreError> {
        Ok(self.read(ledger).await?.0)
    }

    /// The row as it stands, and its version.
    pub(in crate::vault) async fn read(
        &self,
        ledger: &dyn Ledger,
    ) -> Result<(Option<R>, Option<CommitId>), StoreError> {
        let rows = ledger.get(std::slice::from_ref(&self.key)).await?;
        match rows.into_iter().next().flatten() {
            Some(row) => Ok((Some(R::from_ledger(&row)?), Some(row.version))),
            None => Ok((None, None)),
        }
    }

    /// The rows of this table and partition from this key on, with their suffixes.
    pub(in crate::vault) async fn scan(
        &self,
        ledger: &dyn Ledger,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
        let Key {
            partition,
            table,
            suffix,
        } = &self.key;
        let rows = ledger.scan(partition, *table, suffix, limit).await?;
        rows.into_iter()
            .map(|(key, row)| Ok((key.suffix, R::from_ledger(&row)?)))
            .collect()
    }

    /// What of a suffix that a scan has found is behind the parts of this key; none if it has others.
    pub(in crate::vault) fn rest<'a>(&self, suffix: &'a [u8]) -> Option<&'a [u8]> {
        suffix.strip_prefix(self.key.suffix.as_slice())
    }

    /// The key of the same table that comes right after this suffix.
    pub(in crate::vault) fn after(&self, suffix: &[u8]) -> Self {
        Self::of(Key::new(
            self.key.partition,
            self.key.table,
            [suffix, &[0]].concat(),
        ))
    }

    /// Where the rows lie that come after the one with this part, or all that this key begins.
    pub(in crate::vault) fn behind(mut self, part: Option<impl Part>) -> Self {
        if let Some(part) = part {
            part.append_to(&mut self.key.suffix);
            self.key.suffix.push(0);
        }
        self
    }
}

/// Several rows of one table as they stand at one moment, in the order of the keys.
pub(in crate::vault) async fn get_many<R: Row>(
    keys: &[RowKey<R>],
    ledger: &dyn Ledger,
) -> Result<Vec<Option<R>>, StoreError> {
    let keys: Vec<Key> = keys.iter().map(|key| key.key.clone()).collect();
    let rows = ledger.get(&keys).await?;
    rows.iter()
        .map(|row| row.as_ref().map(R::from_ledger).transpose())
        .collect()
}
