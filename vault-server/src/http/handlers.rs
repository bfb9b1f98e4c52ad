//! The handlers that serve nearly every endpoint: each takes what the table of endpoints says, asks the vault, and answers in room
//! that it has taken before. Query, body and answer have the types of the table. What fits none of them is in [`super::odd`];
//! streams are in [`super::leaves`] and [`super::sse`].

use axum::{
    extract::{FromRequestParts, State},
    handler::Handler,
};
use futures_util::future::BoxFuture;
use prost::{Message, Name};
use protocol_spec::api::{Endpoint, Query};

use super::{
    App,
    answer::ResponseBudget,
    api::{Api, Describe, Described},
    auth::Authenticated,
    body::{Brought, SignedRequest},
    most::Most,
    query::TypedQuery,
};
use crate::vault::{Caller, Intent, Refusal, Vault};

/// What the vault is about to answer.
type Answering<'a, A> = BoxFuture<'a, Result<A, Refusal>>;

/// A message that bodies and answers are read from and written as.
pub(super) trait Wire: Message + Default + Name + 'static {}

impl<M: Message + Default + Name + 'static> Wire for M {}

/// The ids in a path: [`super::query::Id`], [`super::query::Ids`] or none.
pub(super) trait InPath: FromRequestParts<App> + Describe + Send + 'static {}

impl<I: FromRequestParts<App> + Describe + Send + 'static> InPath for I {}

/// A query that is read in a request's own task.
pub(super) trait InQuery: Query + Send + Sync + 'static {}

impl<X: Query + Send + Sync + 'static> InQuery for X {}

impl Api {
    /// What a function of its own serves.
    pub(super) fn odd<const N: usize, X, Q, A, H, B, C>(
        self,
        endpoint: &'static Endpoint<N, X, Q, A>,
        handler: H,
    ) -> Self
    where
        H: Handler<B, App> + Described<C>,
        B: 'static,
    {
        self.route(&endpoint.row, handler)
    }

    /// A message that its sender has signed: its effect happens once.
    pub(super) fn submission<const N: usize, I, Q, A, F>(
        self,
        endpoint: &'static Endpoint<N, (), Q, A>,
        ask: F,
    ) -> Self
    where
        I: InPath,
        Q: Wire,
        A: Wire,
        F: for<'a> Fn(&'a Vault, &'a Caller, &'a Intent, I, Q) -> Answering<'a, A>,
        F: Clone + Send + Sync + 'static,
    {
        let handler = move |State(app): State<App>, ids: I, signed: SignedRequest<Q>| {
            let ask = ask.clone();
            async move {
                let answer = ask(&app.vault, &signed.caller, &signed.intent, ids, signed.message);
                signed.room.reply(answer.await)
            }
        };
        self.route(&endpoint.row, handler)
    }

    /// A message that anybody may bring, because what it says is signed by whoever must.
    pub(super) fn brought<Q, A, F>(self, endpoint: &'static Endpoint<0, (), Q, A>, ask: F) -> Self
    where
        Q: Wire,
        A: Wire,
        F: for<'a> Fn(&'a Vault, Q) -> Answering<'a, A> + Clone + Send + Sync + 'static,
    {
        let handler = move |State(app): State<App>, Brought { posted, back }: Brought<Q>| {
            let ask = ask.clone();
            async move {
                let room = back.with(posted.memory, None);
                room.reply(ask(&app.vault, posted.message).await)
            }
        };
        self.route(&endpoint.row, handler)
    }

    /// What a caller may see, in room that is taken before it is read.
    pub(super) fn reading<const N: usize, I, X, A, F>(
        self,
        endpoint: &'static Endpoint<N, X, (), A>,
        most: fn(&App, &X) -> Most,
        ask: F,
    ) -> Self
    where
        I: InPath,
        X: InQuery,
        A: Wire,
        F: for<'a> Fn(&'a Vault, &'a Caller, I, X) -> Answering<'a, A> + Clone + Send + Sync + 'static,
    {
        let handler = move |State(app): State<App>,
                            auth: Authenticated,
                            back: ResponseBudget,
                            ids: I,
                            TypedQuery(query): TypedQuery<X>| {
            let ask = ask.clone();
            async move {
                let room = most(&app, &query).room(back, auth.permit).await?;
                room.reply(ask(&app.vault, &auth.caller, ids, query).await)
            }
        };
        self.route(&endpoint.row, handler)
    }

    /// What a caller may see and which is short enough to be measured once it is read.
    pub(super) fn measured<X, A, F>(self, endpoint: &'static Endpoint<0, X, (), A>, ask: F) -> Self
    where
        X: InQuery,
        A: Wire,
        F: for<'a> Fn(&'a Vault, &'a Caller, X) -> Answering<'a, A> + Clone + Send + Sync + 'static,
    {
        let handler = move |State(app): State<App>,
                            auth: Authenticated,
                            back: ResponseBudget,
                            TypedQuery(query): TypedQuery<X>| {
            let ask = ask.clone();
            async move {
                let answer = ask(&app.vault, &auth.caller, query).await?;
                let bytes = u64::try_from(answer.encoded_len()).unwrap_or(u64::MAX);
                back.room(auth.permit, bytes).await?.reply(Ok(answer))
            }
        };
        self.route(&endpoint.row, handler)
    }

    /// What anybody may see, in room that is taken before it is read.
    pub(super) fn public<const N: usize, I, X, A, F>(
        self,
        endpoint: &'static Endpoint<N, X, (), A>,
        most: fn(&App, &X) -> Most,
        ask: F,
    ) -> Self
    where
        I: InPath,
        X: InQuery,
        A: Wire,
        F: for<'a> Fn(&'a Vault, I, X) -> Answering<'a, A> + Clone + Send + Sync + 'static,
    {
        let handler =
            move |State(app): State<App>, back: ResponseBudget, ids: I, TypedQuery(query): TypedQuery<X>| {
                let ask = ask.clone();
                async move {
                    let room = most(&app, &query).public_room(back).await?;
                    room.reply(ask(&app.vault, ids, query).await)
                }
            };
        self.route(&endpoint.row, handler)
    }
}
