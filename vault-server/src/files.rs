//! Open files: how many this process may have, and for what. A server without a free one could not write what it has to, so
//! connections never take those that the store needs (API-17).

use protocol_spec::defence::Defence;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::store::RocksConfig;

/// Connections of the operator's own address.
pub(crate) const ADMIN: usize = 16;
/// Logs of the store, files that are being written or merged, listeners, connections to witnesses, terminals.
const RESERVE: usize = 128;
/// Fewer connections than these are no service.
const LEAST_CONNECTIONS: usize = 16;
/// Fewer table files than these would be opened again and again.
const LEAST_TABLES: usize = 64;

/// What open files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilePlan {
    /// Most connections of clients at once.
    pub(crate) connections: usize,
    /// Most files that the store keeps open.
    pub(crate) tables: usize,
}

impl FilePlan {
    /// Raises the limit of this process as far as needed and allowed, and divides what there is. Says so in the log, if there
    /// are fewer connections than were asked for.
    ///
    /// Errors: what to change, if there are too few for a service.
    pub(crate) fn make(connections: usize) -> Result<Self, String> {
        let asked = Self {
            connections,
            tables: usize::try_from(RocksConfig::default().max_open_files).unwrap_or(LEAST_TABLES),
        };
        if Defence::Descriptors.is_off() {
            return Ok(asked);
        }
        let limit = raised_to(asked.needed());
        let plan = asked.within(limit)?;
        if plan.connections < connections {
            tracing::warn!(
                asked = connections,
                connections = plan.connections,
                open_files = limit,
                "fewer connections than --connections: the system allows too few open files, raise them (ulimit -n, LimitNOFILE=)"
            );
        }
        Ok(plan)
    }

    fn needed(self) -> usize {
        self.connections.saturating_add(self.tables + ADMIN + RESERVE)
    }

    /// The store gets a quarter, if there is not enough for all.
    fn within(self, limit: usize) -> Result<Self, String> {
        if self.needed() <= limit {
            return Ok(self);
        }
        let tables = self.tables.min((limit / 4).max(LEAST_TABLES));
        let left = limit.saturating_sub(tables + ADMIN + RESERVE);
        if left < LEAST_CONNECTIONS {
            let least = LEAST_TABLES + ADMIN + RESERVE + LEAST_CONNECTIONS;
            return Err(format!(
                "the system allows {limit} open files, which leaves {left} for connections: allow more than {least} (ulimit -n, LimitNOFILE=)"
            ));
        }
        Ok(Self {
            connections: left.min(self.connections),
            tables,
        })
    }
}

/// The limit of open files, after it was raised to so many, or as far as it goes.
fn raised_to(needed: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    let allowed = limit.maximum.map_or(needed, |most| most.min(needed));
    if limit.current.is_some_and(|current| current < allowed) {
        let raised = Rlimit {
            current: Some(allowed),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files was not raised");
        }
    }
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |current| {
        usize::try_from(current).unwrap_or(usize::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: FilePlan = FilePlan {
        connections: 1024,
        tables: 512,
    };

    /// API-17
    #[test]
    fn connections_never_take_the_files_of_the_store() {
        assert_eq!(ASKED.within(1680), Ok(ASKED));
        let least = LEAST_TABLES + ADMIN + RESERVE + LEAST_CONNECTIONS;
        for limit in least..1680 {
            let plan = ASKED
                .within(limit)
                .unwrap_or_else(|text| panic!("{limit}: {text}"));
            assert!(plan.needed() <= limit, "{limit}: {plan:?}");
            assert!(plan.connections >= LEAST_CONNECTIONS && plan.tables >= LEAST_TABLES);
        }
        assert!(ASKED.within(least - 1).unwrap_err().contains("ulimit -n"));
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let limit = getrlimit(Resource::Nofile);
        let most = limit
            .maximum
            .map_or(usize::MAX, |most| usize::try_from(most).unwrap());
        assert!(raised_to(400) >= most.min(400));
    }
}
