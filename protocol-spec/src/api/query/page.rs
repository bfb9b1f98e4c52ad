//! The query of lists, which are read page by page.

use serde_json::json;

use super::{Parameter, Query, QueryField, QueryPairs, QueryParameter, parameter_of};

/// The query of a list that is read page by page.
#[derive(Clone, Debug)]
pub struct PageQuery<C> {
    /// The entry behind which the page begins; without it, the beginning.
    pub after: Option<C>,
    /// How many entries may come at most.
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
    /// From the beginning on, at most `limit` entries.
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
        let mut after = parameter_of::<Option<C>>("after");
        // Empty: from the beginning.
        after.schema = json!({ "anyOf": [{ "const": "" }, after.schema] });
        vec![after, parameter_of::<Option<usize>>("limit")]
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
    /// The same query for what comes behind this entry.
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
