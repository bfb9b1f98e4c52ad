//! What queries hold: a type for each kind, which servers read and clients write, and which says what the
//! API's description has of it.

use std::{fmt, fmt::Display, str::FromStr};

use serde_json::{Value, json};

use crate::{
    Error,
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
        ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
};

/// What an endpoint's query holds, and nothing else.
pub trait Query: Sized {
    /// Its parameters, in the order in which they are written.
    fn parameters() -> Vec<QueryParameter>;

    /// From names and values as they came; none if one is unknown, ill-typed, missing or there twice.
    fn read(pairs: QueryPairs) -> Option<Self>;

    /// Its names and values.
    fn pairs(&self) -> QueryPairs;
}

/// A parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// Whether it may not be absent.
    pub required: bool,
    /// Its JSON Schema.
    pub schema: Value,
}

/// Names and values of a query, not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryPairs(Vec<(String, String)>);

impl From<Vec<(String, String)>> for QueryPairs {
    fn from(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}

impl QueryPairs {
    /// Takes out the first value of this name.
    fn take<F: QueryField>(&mut self, name: &str) -> Option<F> {
        let found = self.0.iter().position(|(found, _)| found == name);
        F::read(found.map(|place| self.0.remove(place).1))
    }

    /// What was read, if nothing is left.
    fn end<Q>(self, query: Q) -> Option<Q> {
        self.0.is_empty().then_some(query)
    }

    fn add(&mut self, name: &str, field: &impl QueryField) {
        self.0
            .extend(field.written().map(|value| (name.to_owned(), value)));
    }
}

/// As it follows a path: nothing of it needs to be escaped.
impl Display for QueryPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '?';
        for (name, value) in &self.0 {
            write!(f, "{before}{name}={value}")?;
            before = '&';
        }
        Ok(())
    }
}

/// What stands under one name: a [`Parameter`], or one that may be absent.
pub trait QueryField: Sized {
    /// Whether it may not be absent.
    const REQUIRED: bool;

    /// The JSON Schema of such a value.
    fn field_schema() -> Value;

    /// None if it is ill-typed, or missing.
    fn read(text: Option<String>) -> Option<Self>;

    /// As it is written, if it is there.
    fn written(&self) -> Option<String>;
}

impl<P: Parameter> QueryField for P {
    const REQUIRED: bool = true;

    fn field_schema() -> Value {
        P::schema()
    }

    fn read(text: Option<String>) -> Option<Self> {
        text?.parse().ok()
    }

    fn written(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<P: Parameter> QueryField for Option<P> {
    const REQUIRED: bool = false;

    fn field_schema() -> Value {
        P::schema()
    }

    fn read(text: Option<String>) -> Option<Self> {
        match text {
            Some(text) => text.parse().ok().map(Some),
            None => Some(None),
        }
    }

    fn written(&self) -> Option<String> {
        self.as_ref().map(P::to_string)
    }
}

fn parameter<F: QueryField>(name: &'static str) -> QueryParameter {
    QueryParameter {
        name,
        required: F::REQUIRED,
        schema: F::field_schema(),
    }
}

/// Of most endpoints: whatever stands there is not looked at.
impl Query for () {
    fn parameters() -> Vec<QueryParameter> {
        Vec::new()
    }

    fn read(_: QueryPairs) -> Option<Self> {
        Some(())
    }

    fn pairs(&self) -> QueryPairs {
        QueryPairs::default()
    }
}

macro_rules! queries {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Query for $name {
            fn parameters() -> Vec<QueryParameter> {
                vec![$(parameter::<$type>(stringify!($field))),*]
            }

            fn read(mut pairs: QueryPairs) -> Option<Self> {
                let query = Self { $($field: pairs.take(stringify!($field))?,)* };
                pairs.end(query)
            }

            fn pairs(&self) -> QueryPairs {
                let mut pairs = QueryPairs::default();
                $(pairs.add(stringify!($field), &self.$field);)*
                pairs
            }
        }
    )*};
}

queries! {
    /// Of what the server says of itself.
    #[derive(Default)]
    ServerQuery {
        /// To be proven with the operator's key (OPR-10).
        nonce: Option<String>,
    }

    /// Of the events of the directory (LOG-17).
    #[derive(Default)]
    EventsQuery {
        /// Without the first so many.
        after: Option<u64>,
        /// At most so many.
        limit: Option<usize>,
        /// In the log of which a quorum has cosigned a checkpoint.
        witnessed: Option<bool>,
    }

    /// Of the log's checkpoint.
    #[derive(Default)]
    CheckpointQuery {
        /// After the witnesses were asked.
        fresh: Option<bool>,
    }

    /// Of a consistency proof.
    ConsistencyQuery {
        /// Entries of the older tree.
        first: u64,
        /// Entries of the newer tree.
        second: u64,
    }

    /// Of the collections of a vault.
    #[derive(Default)]
    CollectionsQuery {
        /// As the end of this root epoch found them; without, as they are (DEV-29).
        kept: Option<u64>,
    }

    /// Of the data keys in an epoch of a collection.
    WrapsQuery {
        /// The collection.
        collection: CollectionId,
        /// Its epoch.
        epoch: u64,
        /// Behind this placement number.
        after: Option<u64>,
        /// At most so many.
        limit: Option<usize>,
    }

    /// Of the keys of a collection that a delegate was given.
    DelegatedKeysQuery {
        /// The collection.
        collection: CollectionId,
        /// From this epoch on.
        from: Option<u64>,
        /// At most so many.
        limit: Option<usize>,
    }

    /// Of an inbox as a stream.
    #[derive(Default)]
    StreamQuery {
        /// Behind this number.
        after: Option<u64>,
    }

    /// Of leaves that are sent.
    FirstLeaf {
        /// The number of the first.
        first: u32,
    }

    /// Of leaves that are asked for.
    #[derive(Default)]
    LeafQuery {
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
    }
}

impl DelegatedKeysQuery {
    /// All of a collection.
    pub const fn of(collection: CollectionId) -> Self {
        Self {
            collection,
            from: None,
            limit: None,
        }
    }
}

impl FirstLeaf {
    /// From this leaf on; none has a number of more than 32 bits.
    pub fn from_number(first: u64) -> Self {
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        Self { first }
    }
}

impl LeafQuery {
    /// So many leaves from this one on; none has a number of more than 32 bits.
    pub fn range(first: u64, count: u64) -> Self {
        Self {
            first: u32::try_from(first).unwrap_or(u32::MAX),
            count: u32::try_from(count).unwrap_or(u32::MAX),
        }
    }
}

/// Of a list that is read page by page.
#[derive(Clone, Debug)]
pub struct PageQuery<C> {
    /// Behind this entry.
    pub after: Option<C>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl<C> Default for PageQuery<C> {
    fn default() -> Self {
        Self {
            after: None,
            limit: None,
        }
    }
}

impl<C> PageQuery<C> {
    /// From the beginning on, at most so many.
    pub const fn of(limit: usize) -> Self {
        Self {
            after: None,
            limit: Some(limit),
        }
    }

    /// Behind this entry, as many as the server likes.
    pub const fn behind_entry(entry: C) -> Self {
        Self {
            after: Some(entry),
            limit: None,
        }
    }

    /// How many entries may come at most: without a number, as many as the server likes.
    pub fn most(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

impl<C: Parameter> Query for PageQuery<C> {
    fn parameters() -> Vec<QueryParameter> {
        let mut after = parameter::<Option<C>>("after");
        // Empty: from the beginning.
        after.schema = json!({ "anyOf": [{ "const": "" }, after.schema] });
        vec![after, parameter::<Option<usize>>("limit")]
    }

    fn read(mut pairs: QueryPairs) -> Option<Self> {
        let after: Option<String> = pairs.take("after")?;
        let after = after.filter(|text| !text.is_empty());
        let query = Self {
            after: QueryField::read(after)?,
            limit: pairs.take("limit")?,
        };
        pairs.end(query)
    }

    fn pairs(&self) -> QueryPairs {
        let mut pairs = QueryPairs::default();
        pairs.add("after", &self.after);
        pairs.add("limit", &self.limit);
        pairs
    }
}

/// A query that can go on behind an entry of the list.
pub trait PagedBy<C>: Query + Clone {
    /// Behind this one.
    #[must_use]
    fn behind(self, cursor: C) -> Self;
}

impl<C, P: Parameter + Clone + From<C>> PagedBy<C> for PageQuery<P> {
    fn behind(self, cursor: C) -> Self {
        Self {
            after: Some(cursor.into()),
            ..self
        }
    }
}

impl PagedBy<u64> for WrapsQuery {
    fn behind(self, cursor: u64) -> Self {
        Self {
            after: Some(cursor),
            ..self
        }
    }
}

impl PagedBy<u64> for DelegatedKeysQuery {
    fn behind(self, cursor: u64) -> Self {
        Self {
            from: Some(cursor),
            ..self
        }
    }
}

/// What stands in a path or query.
pub trait Parameter: FromStr + Display {
    /// The JSON Schema of such a value.
    fn schema() -> Value;
}

impl Parameter for String {
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Parameter for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Parameter for $number {
            fn schema() -> Value {
                json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
            }
        }
    )*};
}
numbers!(u32 u64 usize);

macro_rules! ids {
    ($($id:ty)*) => {$(
        impl Parameter for $id {
            /// A prefix and base32 (KEY-4).
            fn schema() -> Value {
                let letters = (size_of::<Self>() * 8).div_ceil(5);
                json!({ "type": "string", "pattern": format!("^{}_[a-z2-7]{{{letters}}}$", Self::PREFIX) })
            }
        }
    )*};
}
ids!(CollectionId DelegationId DeviceId InstitutionId LinkId PatientId PermissionId RecordId ReleaseId RequestId TerminalId UploadId VersionId);

/// A patient or an institution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalId {
    /// A patient.
    Patient(PatientId),
    /// An institution.
    Institution(InstitutionId),
}

impl PrincipalId {
    /// As it stands in messages.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Patient(id) => id.as_bytes(),
            Self::Institution(id) => id.as_bytes(),
        }
    }
}

impl From<PatientId> for PrincipalId {
    fn from(id: PatientId) -> Self {
        Self::Patient(id)
    }
}

impl FromStr for PrincipalId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse() {
            Ok(patient) => Ok(Self::Patient(patient)),
            Err(_) => text.parse().map(Self::Institution),
        }
    }
}

impl Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patient(id) => id.fmt(f),
            Self::Institution(id) => id.fmt(f),
        }
    }
}

impl Parameter for PrincipalId {
    fn schema() -> Value {
        json!({ "anyOf": [PatientId::schema(), InstitutionId::schema()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<Q: Query>(text: &str) -> Option<Q> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs: Vec<_> = pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Q::read(pairs.into())
    }

    #[test]
    fn what_is_written_is_read() {
        let id = CollectionId::from_bytes([7; 16]);
        let query = WrapsQuery {
            collection: id,
            epoch: 3,
            after: None,
            limit: Some(9),
        };
        let text = query.pairs().to_string();
        assert_eq!(text, format!("?collection={id}&epoch=3&limit=9"));
        let again: WrapsQuery = read(text.trim_start_matches('?')).unwrap();
        assert_eq!(again.pairs(), query.pairs());
    }

    #[test]
    fn unknown_twice_missing_and_ill_typed_parameters_are_refused() {
        assert!(read::<ConsistencyQuery>("first=1&second=2").is_some());
        assert!(read::<ConsistencyQuery>("second=2&first=1").is_some());
        for wrong in [
            "first=1",
            "first=1&second=x",
            "first=1&second=2&third=3",
            "first=1&second=2&first=1",
        ] {
            assert!(read::<ConsistencyQuery>(wrong).is_none(), "{wrong}");
        }
        assert!(read::<EventsQuery>("witnessed=yes").is_none());
        assert!(read::<EventsQuery>("after=").is_none());
    }

    #[test]
    fn a_page_behind_nothing_is_the_first() {
        let first: PageQuery<u64> = read("after=&limit=3").unwrap();
        assert_eq!((first.after, first.limit), (None, Some(3)));
        assert!(read::<PageQuery<u64>>("after=x").is_none());
        assert_eq!(first.behind(4_u64).pairs().to_string(), "?after=4&limit=3");
    }
}
