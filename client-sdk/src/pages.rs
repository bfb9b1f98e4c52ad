//! Lists that the server gives page by page. Each page goes on behind the last, and the whole has a bound: no
//! server leads a client around in circles, or on for ever (API-21, API-22). Every list is read by what
//! stands in this module.
//!
//! Most lists say themselves where they go on, by a cursor: [`Pages`]. Of a few the reader knows it, because
//! he counts what he has: they use [`Whole`] alone.

use std::fmt::Display;

use bytes::Bytes;
use prost::{Message, Name};
use protocol_spec::{
    api::{PagedBy, RequestTarget},
    defence::Defence,
    ids::{
        DelegationId, PatientId, PermissionId, RecordId, ReleaseId, RequestId, TerminalId, UploadId,
        VersionId,
    },
    messages as pb,
};

use crate::{Error, Result, connect::Server};

/// Rows of one list. A vault of 10,000 records with 100,000 entries in its history has a tenth of it.
const MOST_ROWS: usize = 1 << 20;
/// Bytes of all pages of one list.
const MOST_BYTES: usize = 1 << 30;
/// Pages of one list without a row: a page is empty when all that could stand in it is for other readers.
const MOST_EMPTY: usize = 1024;

/// How much of a list has come.
#[derive(Debug)]
pub(crate) struct Whole {
    list: String,
    rows: usize,
    bytes: usize,
    empty: usize,
}

impl Whole {
    /// Nothing yet; `list` says which in errors.
    pub(crate) fn new(list: &str) -> Self {
        Self {
            list: list.to_owned(),
            rows: 0,
            bytes: 0,
            empty: 0,
        }
    }

    /// Counts a page, before anything of it is used. Fails when the list is longer than a list can be (API-22).
    pub(crate) fn add(&mut self, rows: usize, bytes: usize) -> Result<()> {
        self.rows = self.rows.saturating_add(rows);
        self.bytes = self.bytes.saturating_add(bytes);
        self.empty = self.empty.saturating_add(usize::from(rows == 0));
        let within = self.rows <= MOST_ROWS && self.bytes <= MOST_BYTES && self.empty <= MOST_EMPTY;
        if Defence::Pages.holds(within) {
            return Ok(());
        }
        Err(self.refuse("it has more pages than there can be"))
    }

    fn refuse(&self, cause: &str) -> Error {
        Error::tampered(LIST)(format!("{}: {cause}", self.list))
    }
}

/// Where a list goes on: behind what has this id, or number.
pub(crate) trait Cursor: Ord + Copy + Display {
    /// The cursor as it travels in messages.
    type Wire;

    /// None at the end of the list.
    fn read(wire: &Self::Wire) -> Result<Option<Self>, protocol_spec::Error>;
}

impl Cursor for u64 {
    type Wire = Self;

    fn read(wire: &Self) -> Result<Option<Self>, protocol_spec::Error> {
        Ok(Some(*wire).filter(|number| *number > 0))
    }
}

macro_rules! ids {
    ($($id:ident),*) => {
        $(impl Cursor for $id {
            type Wire = Bytes;

            fn read(wire: &Bytes) -> Result<Option<Self>, protocol_spec::Error> {
                (!wire.is_empty()).then(|| Self::try_from(wire.as_ref())).transpose()
            }
        })*
    };
}

ids!(
    DelegationId,
    PatientId,
    PermissionId,
    RecordId,
    ReleaseId,
    RequestId,
    TerminalId,
    UploadId,
    VersionId
);

/// A page of a list, which goes on behind a `C`.
pub(crate) trait ListPage<C: Cursor>: Message + Default + Name {
    /// How many rows it has.
    fn rows(&self) -> usize;

    /// Where the list goes on.
    fn next(&self) -> &C::Wire;
}

macro_rules! pages {
    ($($page:ident: $rows:ident behind $next:ident as $cursor:ty;)*) => {
        $(impl ListPage<$cursor> for pb::$page {
            fn rows(&self) -> usize {
                self.$rows.len()
            }

            fn next(&self) -> &<$cursor as Cursor>::Wire {
                &self.$next
            }
        })*
    };
}

pages! {
    DelegatedKeyPage: keys behind next as u64;
    DelegationPage: delegations behind next as DelegationId;
    DeletionPage: deletions behind next as RecordId;
    EntryPage: entries behind next as u64;
    HistoryPage: entries behind next as u64;
    PermissionList: permissions behind next as PermissionId;
    ReleaseList: releases behind next as ReleaseId;
    ReleasedPage: records behind next as u64;
    ReleasedRanges: versions behind next as VersionId;
    RequestPage: requests behind next as RequestId;
    SenderPage: senders behind next as PatientId;
    TerminalPage: terminals behind next as TerminalId;
    UploadPage: receipts behind next as UploadId;
    VaultPage: records behind next_number as u64;
    VaultPage: records behind next as VersionId;
    WrapPage: wraps behind next as u64;
}

/// A list that is being read.
pub(crate) struct Pages<'a, M, C> {
    server: &'a Server,
    list: Box<dyn Fn(Option<C>) -> RequestTarget<(), M> + Send + Sync>,
    whole: Whole,
    position: Position<C>,
}

enum Position<C> {
    Begin,
    Behind(C),
    End,
}

impl Server {
    /// The list under this path, which may have a query, from its beginning.
    pub(crate) fn pages<M: ListPage<C> + 'static, C: Cursor>(
        &self,
        list: RequestTarget<(), M, impl PagedBy<C> + Send + Sync + 'static>,
    ) -> Pages<'_, M, C> {
        Pages {
            server: self,
            whole: Whole::new(list.resource()),
            list: Box::new(move |before| match before {
                None => list.written(),
                Some(cursor) => list.again().asking(list.query().clone().behind(cursor)).written(),
            }),
            position: Position::Begin,
        }
    }
}

impl<M: ListPage<C>, C: Cursor> Pages<'_, M, C> {
    /// The same list, from behind this on.
    pub(crate) fn behind(self, cursor: C) -> Self {
        Self {
            position: Position::Behind(cursor),
            ..self
        }
    }

    /// Behind what the next page begins; none at the beginning and at the end.
    pub(crate) fn place(&self) -> Option<C> {
        match self.position {
            Position::Behind(cursor) => Some(cursor),
            Position::Begin | Position::End => None,
        }
    }

    /// The next page, if the list has not ended. Fails when the list goes back or stands still (API-21), or is longer than one can be.
    pub(crate) async fn next(&mut self) -> Result<Option<M>> {
        let before = match self.position {
            Position::End => return Ok(None),
            Position::Begin => None,
            Position::Behind(cursor) => Some(cursor),
        };
        let page: M = self.server.get((self.list)(before)).await?;
        self.whole.add(page.rows(), page.encoded_len())?;
        let next = C::read(page.next()).map_err(|_| self.whole.refuse("its cursor is none"))?;
        self.position = match next {
            None => Position::End,
            Some(next) if Defence::Pages.holds(before.is_none_or(|before| before < next)) => {
                Position::Behind(next)
            }
            Some(_) => {
                return Err(self
                    .whole
                    .refuse("a page of it does not go on behind the one before"));
            }
        };
        Ok(Some(page))
    }
}

const LIST: &str = "a list of the server's";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(outcome: &Result<()>) -> bool {
        matches!(outcome, Err(Error::Tampered { .. }))
    }

    /// API-22: ten times what the largest vault has that the bounds are made for.
    #[test]
    fn a_list_of_a_hundred_thousand_entries_is_read_to_its_end() {
        let mut history = Whole::new("history");
        for _ in 0..500 {
            history.add(200, 200 * 3000).unwrap();
        }
        let mut filtered = Whole::new("records under conditions, none of which fits");
        for _ in 0..100 {
            filtered.add(0, 4).unwrap();
        }
    }

    /// API-22, ATK-65
    #[test]
    fn a_list_without_end_is_refused_by_rows_bytes_and_empty_pages() {
        let most_pages = |rows: usize, bytes: usize| {
            let mut whole = Whole::new("a list");
            (0..10_000).find(|_| refused(&whole.add(rows, bytes)))
        };
        assert_eq!(most_pages(200, 1), Some(MOST_ROWS / 200));
        assert_eq!(most_pages(1, 1 << 20), Some(1024));
        assert_eq!(most_pages(0, 4), Some(MOST_EMPTY));
        assert_eq!(most_pages(usize::MAX, usize::MAX), Some(0));
    }

    #[test]
    fn zero_and_nothing_are_the_end() {
        assert_eq!(<u64 as Cursor>::read(&0), Ok(None));
        assert_eq!(<u64 as Cursor>::read(&7), Ok(Some(7)));
        assert_eq!(VersionId::read(&Bytes::new()), Ok(None));
        let id = VersionId::from_bytes([3; 16]);
        assert_eq!(
            VersionId::read(&Bytes::copy_from_slice(id.as_bytes())),
            Ok(Some(id))
        );
        assert!(VersionId::read(&Bytes::from_static(b"short")).is_err());
    }
}
