//! Every endpoint, once: its method and path, who may call it, what comes and what is answered, what may be refused. See
//! `spec/api.md` §2. The server's routes and descriptions, and the client's calls, follow from this table.

mod query;
mod table;

use std::{fmt::Display, marker::PhantomData};

use http::Method;

pub use self::{query::*, table::*};
use crate::problem::Problem;

/// One endpoint: `N` ids in its path, a query of type `X`, a body of type `Q` (`()` for none), an answer of type `A`.
pub struct Endpoint<const N: usize, X, Q, A> {
    /// What is known of it without its types.
    pub row: EndpointInfo,
    types: PhantomData<fn(X, Q) -> A>,
}

/// One line of the table.
#[derive(Debug)]
pub struct EndpointInfo {
    /// The name of its static in this table, such as `SUBMIT_DENIAL`.
    pub name: &'static str,
    /// GET, POST or PUT, as RFC 9110 §9 has them.
    pub method: Method,
    /// Its path, with the names of its ids in braces.
    pub path: &'static str,
    /// The parameters of its query.
    pub query: fn() -> Vec<QueryParameter>,
    /// Who may call it, as the server checks before it reads a body.
    pub by: Callers,
    /// Whether a delegate may call it for a patient (`spec/delegates.md` §3).
    pub for_delegates: bool,
    /// How large its body may be.
    pub size: Size,
    /// The message that comes, or what stands in its place.
    pub body: &'static str,
    /// The message that is answered, or what stands in its place.
    pub answer: &'static str,
    /// What the server may refuse for reasons of its own; what any request may be refused for is not among it.
    pub refuses: &'static [Problem],
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Whoever likes; the request needs no signature.
    Anybody,
    /// A patient, by one of her devices.
    Patient,
    /// An institution or a terminal of it.
    Institution,
    /// A patient or an institution, each for its own things.
    PatientOrInstitution,
    /// An institution by its identity key, and no terminal.
    IdentityKey,
    /// A patient, or an institution by its identity key.
    PatientOrIdentityKey,
    /// A terminal, for itself alone.
    Terminal,
    /// An institution that also signs by a permission's possession key.
    Holder,
    /// A patient who is another's guardian.
    Guardian,
    /// A patient who acts for another one.
    Delegate,
    /// A patient whose key is enrolled by this request.
    NewPatient,
    /// An institution whose key is enrolled by this request.
    NewInstitution,
    /// A device that is nobody's yet.
    OfferedDevice,
}

impl Callers {
    /// The words that the table of `spec/api.md` §2 has for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Anybody => "anybody",
            Self::Patient => "P",
            Self::Institution => "I",
            Self::PatientOrInstitution => "P, I",
            Self::IdentityKey => "I, identity key",
            Self::PatientOrIdentityKey => "P; I, identity key",
            Self::Terminal => "a terminal",
            Self::Holder => "I, two signatures",
            Self::Guardian => "P, a guardian",
            Self::Delegate => "a delegate",
            Self::NewPatient => "P, signed by the key being enrolled",
            Self::NewInstitution => "I, signed by the key being enrolled",
            Self::OfferedDevice => "signed by the device key that is offered",
        }
    }
}

/// How large a body may be: the server says the numbers (`ServerInfo`, API-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As much as any message may have.
    Message,
    /// As what anybody may send, before it is known who it is.
    Enrolment,
    /// A presentation, which is kept as evidence.
    Presentation,
    /// A commit, which may hold a whole leaf.
    Commit,
}

/// Leaves, one behind the other: a body or an answer that is no message.
#[derive(Debug)]
pub enum LeafBytes {}

/// An answer that is a signed note of the log, as `text/plain`.
#[derive(Debug)]
pub enum SignedNote {}

/// Hashes or entries of a tile of the log, `application/octet-stream`.
#[derive(Debug)]
pub enum TileData {}

/// An answer that is a stream of server-sent events (`spec/api.md` §7).
#[derive(Debug)]
pub enum EventStream {}

/// The API as an OpenAPI document.
#[derive(Debug)]
pub enum OpenApiDocument {}

/// An endpoint with its ids and its query: what a request line holds.
pub struct RequestTarget<Q, A, X = ()> {
    path: String,
    query: X,
    types: PhantomData<fn(Q) -> A>,
}

impl<const N: usize, X, Q, A> Endpoint<N, X, Q, A> {
    const fn new(row: EndpointInfo) -> Self {
        assert!(ids(row.path) == N, "the path has another number of ids");
        Self {
            row,
            types: PhantomData,
        }
    }
}

impl<const N: usize, X: Query, Q, A> Endpoint<N, X, Q, A> {
    /// With these ids, in the order in which they stand in the path.
    pub fn at(&self, ids: [&dyn Display; N]) -> RequestTarget<Q, A, X>
    where
        X: Default,
    {
        self.ask(ids, X::default())
    }

    /// With these ids and this query.
    pub fn ask(&self, ids: [&dyn Display; N], query: X) -> RequestTarget<Q, A, X> {
        let mut path = String::with_capacity(self.row.path.len() + 40 * N);
        let mut rest = self.row.path;
        for id in ids {
            let (before, behind) = rest.split_once('{').unwrap_or((rest, ""));
            path.push_str(before);
            path.push_str(&id.to_string());
            rest = behind.split_once('}').map_or("", |(_, rest)| rest);
        }
        path.push_str(rest);
        RequestTarget {
            path,
            query,
            types: PhantomData,
        }
    }
}

impl<X: Query + Default, Q, A> Endpoint<0, X, Q, A> {
    /// Where it is: its path has no ids.
    pub fn here(&self) -> RequestTarget<Q, A, X> {
        self.at([])
    }
}

impl<Q, A, X: Query> RequestTarget<Q, A, X> {
    /// With this query in place of its own.
    #[must_use]
    pub fn asking(self, query: X) -> Self {
        Self { query, ..self }
    }

    /// The same, to be asked for another time.
    #[must_use]
    pub fn again(&self) -> Self
    where
        X: Clone,
    {
        Self {
            path: self.path.clone(),
            query: self.query.clone(),
            types: PhantomData,
        }
    }

    /// The same, whatever its query: that cannot be changed any more.
    pub fn written(&self) -> RequestTarget<Q, A> {
        RequestTarget {
            path: self.path(),
            query: (),
            types: PhantomData,
        }
    }

    /// The query that is sent with the path.
    pub const fn query(&self) -> &X {
        &self.query
    }

    /// Where it is, whatever is asked there.
    pub fn resource(&self) -> &str {
        &self.path
    }

    /// Path and query, as the request line and the signature have them.
    pub fn path(&self) -> String {
        format!("{}{}", self.path, self.query.pairs())
    }
}

impl<Q, A, X: Query> std::fmt::Debug for RequestTarget<Q, A, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RequestTarget").field(&self.path()).finish()
    }
}

/// How many ids a path has.
const fn ids(path: &str) -> usize {
    let (bytes, mut at, mut count) = (path.as_bytes(), 0, 0);
    while let Some((byte, _)) = split(bytes, at) {
        if byte == b'{' {
            count += 1;
        }
        at += 1;
    }
    count
}

const fn split(bytes: &[u8], at: usize) -> Option<(u8, ())> {
    match bytes.split_at_checked(at) {
        Some((_, [byte, ..])) => Some((*byte, ())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PermissionId, RequestId, UploadId};

    #[test]
    fn ids_and_queries_stand_where_they_belong() {
        let id = PermissionId::from_bytes([7; 16]);
        let at = DELIVER.at([&id]);
        assert_eq!(at.path(), format!("/v1/permissions/{id}"));
        let after = UploadId::from_bytes([3; 16]);
        let at = COMMITTED_UPLOADS.ask([&id], PageQuery::of(9).behind(after));
        let path = format!("/v1/permissions/{id}/uploads?after={after}&limit=9");
        assert_eq!(at.path(), path);
        assert_eq!(SUBMIT_DENIAL.here().path(), "/v1/denials");
        let (release, version) = (RequestId::from_bytes([1; 16]), RequestId::from_bytes([2; 16]));
        let path = format!("/v1/releases/{release}/records/{version}/leaves?first=4&count=2");
        let at = RELEASE_LEAVES.ask([&release, &version], LeafQuery::range(4, 2));
        assert_eq!(at.path(), path);
    }

    /// Each line of the table of `spec/api.md` §2 is one of these, with its caller and its messages, and none is more.
    #[test]
    fn the_page_has_the_same_endpoints() {
        let page = include_str!("../spec/api.md");
        for row in ALL {
            let path = row.path.replace("{*name}", "{level}/{number}[.p/{width}]");
            let begins = format!("| `{} {path}", row.method);
            let line = page.lines().find(|line| {
                line.starts_with(&begins) && matches!(line.as_bytes()[begins.len()], b'`' | b'?')
            });
            let line = line.unwrap_or_else(|| panic!("{begins} is not on the page"));
            assert!(line.contains(&format!("| {} |", row.by.words())), "{line}");
            let query: Vec<_> = (row.query)()
                .iter()
                .map(|parameter| format!("{}=", parameter.name))
                .collect();
            let (_, behind) = line.split_at(begins.len());
            let (asked, _) = behind.split_once('`').unwrap();
            assert_eq!(asked.trim_start_matches('?'), query.join("&"), "{line}");
        }
        let lines = page.lines().filter(|line| {
            ["GET", "POST", "PUT"]
                .iter()
                .any(|method| line.starts_with(&format!("| `{method} /v1/")))
        });
        // Tiles and bundles of entries are one endpoint.
        assert_eq!(lines.count(), ALL.len() + 1);
    }

    /// What a delegate may ask for stands in the table of `spec/delegates.md` §3 (DLG-5).
    #[test]
    fn the_page_of_delegates_has_the_same() {
        let page = include_str!("../spec/delegates.md");
        let (_, table) = page.split_once("| method, path | power |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let named: std::collections::BTreeSet<_> =
            rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
        let here = ALL.iter().filter(|row| row.for_delegates);
        let here: Vec<_> = here.map(|row| format!("{} {}", row.method, row.path)).collect();
        let here: std::collections::BTreeSet<_> = here.iter().map(String::as_str).collect();
        assert_eq!(named, here);
    }

    #[test]
    fn no_endpoint_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        assert!(ALL.iter().all(|row| seen.insert((&row.method, row.path))));
    }
}
