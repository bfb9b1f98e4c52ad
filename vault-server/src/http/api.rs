//! Endpoints, described by what serves them: a handler's arguments say what is asked for, its answer what comes back
//! and both which refusals there are. Routes are added here alone, so that none is without description (API-13).

use std::{collections::BTreeSet, future::Future};

use axum::{
    Extension, Router,
    extract::State,
    handler::Handler,
    routing::{MethodFilter, on},
};
use http::{HeaderName, Method};
use protocol_spec::{
    api::{EndpointInfo, QueryParameter},
    problem::Problem,
};
use serde_json::Value;

use super::{App, accept::Connection, problem::RefusedRequest};

/// One line of `spec/api.md` §2.
pub(super) struct Endpoint {
    /// What the specification says of it.
    pub(super) row: &'static EndpointInfo,
    /// Schemas of what stands in the path, in its order.
    pub(super) ids: Vec<Value>,
    pub(super) query: Vec<QueryParameter>,
    /// Header fields besides those of every signed request.
    pub(super) fields: Vec<HeaderName>,
    pub(super) signatures: Signatures,
    pub(super) body: Option<ContentForm>,
    pub(super) answer: ContentForm,
    problems: BTreeSet<&'static str>,
}

/// Whose signatures a request has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// The request need not be signed.
    None,
    /// The request has the caller's signature.
    Id,
    /// And that of a permission's possession key.
    IdAndPop,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentForm {
    /// The message of this name; of some, only its encoding.
    Message { name: &'static str, json: bool },
    /// Anything else, by its media type.
    Raw(&'static str),
}

/// Part of a handler's signature.
pub(super) trait Describe {
    /// Writes down what it asks of a request, or answers.
    fn describe(endpoint: &mut Endpoint);
}

/// The server's own state, which no request says anything of.
impl Describe for State<App> {
    fn describe(_: &mut Endpoint) {}
}

/// A path that has no ids in it.
impl Describe for () {
    fn describe(_: &mut Endpoint) {}
}

impl Describe for Extension<Connection> {
    fn describe(_: &mut Endpoint) {}
}

/// A handler, with its arguments.
pub(super) trait Described<Arguments> {
    fn describe(&self, endpoint: &mut Endpoint);
}

macro_rules! described {
    ($($argument:ident)*) => {
        impl<F, Answering, Answer, $($argument),*> Described<(Answering, Answer, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Answering,
            Answering: Future<Output = Result<Answer, RefusedRequest>>,
            Answer: Describe,
            $($argument: Describe,)*
        {
            fn describe(&self, endpoint: &mut Endpoint) {
                $($argument::describe(endpoint);)*
                Answer::describe(endpoint);
            }
        }
    };
}

described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);

impl Endpoint {
    pub(super) fn refuses(&mut self, problems: &[Problem]) {
        self.problems
            .extend(problems.iter().map(|problem| problem.code()));
    }

    /// All refusals, in the order of the specification.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let all = Problem::ALL.iter().copied();
        all.filter(|problem| self.problems.contains(problem.code()))
    }

    /// Whether a refusal is one of those that are described.
    pub(super) fn names(&self, problem: Problem) -> bool {
        self.problems.contains(problem.code())
    }
}

/// Routes and what they are, kept together.
pub(super) struct Api {
    router: Router<App>,
    endpoints: Vec<Endpoint>,
}

impl Api {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(),
            endpoints: Vec::new(),
        }
    }

    /// Adds an endpoint to routes and document.
    pub(super) fn route<H, A, B>(mut self, row: &'static EndpointInfo, handler: H) -> Self
    where
        H: Handler<A, App> + Described<B>,
        A: 'static,
    {
        let filter = filter(&row.method);
        let mut endpoint = Endpoint {
            row,
            ids: Vec::new(),
            query: Vec::new(),
            fields: Vec::new(),
            signatures: Signatures::None,
            body: None,
            answer: ContentForm::Raw(""),
            problems: BTreeSet::new(),
        };
        endpoint.refuses(&ANYWHERE);
        handler.describe(&mut endpoint);
        endpoint.refuses(row.refuses);
        self.endpoints.push(endpoint);
        self.router = self.router.route(row.path, on(filter, handler));
        self
    }

    pub(super) fn into_parts(self) -> (Router<App>, Vec<Endpoint>) {
        (self.router, self.endpoints)
    }
}

/// What can be wrong with any request.
const ANYWHERE: [Problem; 4] = [
    Problem::Internal,
    Problem::Unavailable,
    Problem::LogContradicted,
    Problem::Restored,
];

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        _ => MethodFilter::GET,
    }
}
