//! What queries hold: a type for each kind, which servers read and clients write, and which says what the
//! API's description has of it.

mod kinds;
mod page;
mod parameter;
mod principal;

use std::{fmt, fmt::Display};

use serde_json::Value;

pub use self::{kinds::*, page::*, parameter::Parameter, principal::PrincipalId};

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

fn parameter_of<F: QueryField>(name: &'static str) -> QueryParameter {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CollectionId;

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
