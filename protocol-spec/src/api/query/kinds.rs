//! The queries of single endpoints, each by its parameters in the order in which they are written.

use super::{PagedBy, Query, QueryPairs, QueryParameter, parameter_of};
use crate::ids::CollectionId;

macro_rules! queries {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Query for $name {
            fn parameters() -> Vec<QueryParameter> {
                vec![$(parameter_of::<$type>(stringify!($field))),*]
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
    /// The query of what the server says of itself.
    #[derive(Default)]
    ServerQuery {
        /// Nonce over which the server proves to have the operator's key (OPR-10).
        nonce: Option<String>,
    }

    /// The query of the directory's events (LOG-17).
    #[derive(Default)]
    EventsQuery {
        /// How many events are left out, from the first on.
        after: Option<u64>,
        /// How many entries may come at most.
        limit: Option<usize>,
        /// Whether the events are those of the newest log that a quorum has cosigned.
        witnessed: Option<bool>,
    }

    /// The query of the log's checkpoint.
    #[derive(Default)]
    CheckpointQuery {
        /// Whether the witnesses are asked before it is answered.
        fresh: Option<bool>,
    }

    /// The query of a proof that one tree continues another.
    ConsistencyQuery {
        /// Entries of the older tree.
        first: u64,
        /// Entries of the newer tree.
        second: u64,
    }

    /// The query of the collections of a vault.
    #[derive(Default)]
    CollectionsQuery {
        /// A root epoch at whose end they are shown; without it, as they are now (DEV-29).
        kept: Option<u64>,
    }

    /// The query of the data keys in an epoch of a collection.
    WrapsQuery {
        /// The collection whose keys are asked for.
        collection: CollectionId,
        /// The epoch of the collection's key that wraps them.
        epoch: u64,
        /// Placement number behind which they begin.
        after: Option<u64>,
        /// How many entries may come at most.
        limit: Option<usize>,
    }

    /// The query of the keys of a collection that a delegate was given.
    DelegatedKeysQuery {
        /// The collection whose keys are asked for.
        collection: CollectionId,
        /// The first epoch whose key is asked for.
        from: Option<u64>,
        /// How many entries may come at most.
        limit: Option<usize>,
    }

    /// The query of an inbox as a stream.
    #[derive(Default)]
    StreamQuery {
        /// Number of the event behind which it begins.
        after: Option<u64>,
    }

    /// The query of leaves that are sent.
    FirstLeaf {
        /// Number of the first leaf, from 0.
        first: u32,
    }

    /// The query of leaves that are asked for.
    #[derive(Default)]
    LeafQuery {
        /// Number of the first leaf, from 0.
        first: u32,
        /// How many leaves are asked for.
        count: u32,
    }
}

impl DelegatedKeysQuery {
    /// All keys of a collection that there are.
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
