//! Messages as answers. ReservedResponse for one is taken before it is made, because then only so many are being made
//! at once, and is given back when its last byte is gone.

use std::{marker::PhantomData, time::Instant};

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{header, request::Parts};
use prost::{Message, Name};
use protocol_spec::{defence::Defence, json, problem::Problem};

use super::{
    App,
    accept::Connection,
    api::{ContentForm, Describe, Endpoint},
    auth::QuotaPermit,
    enrolments::CountedEnrolment,
    format::{Format, JSON, PROTOBUF},
    memory::{Payer, Share},
    outgoing,
    problem::RefusedRequest,
};
use crate::vault::Refusal;

/// Most bytes of a receipt, a proof, a checkpoint or whatever else is as short.
pub(super) const SHORT: u64 = 4 << 10;

/// A message as the answer, or a refusal.
pub(super) type ApiAnswer<M> = Result<Reply<M>, RefusedRequest>;

/// How an answer reaches the caller: connection, and format. Its memory is counted for that connection until it is sent.
pub(super) struct ResponseBudget {
    app: App,
    connection: Connection,
    format: Format,
}

impl FromRequestParts<App> for ResponseBudget {
    type Rejection = RefusedRequest;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, RefusedRequest> {
        let connection = parts.extensions.get::<Connection>().cloned();
        let connection =
            connection.ok_or_else(|| Refusal::new(Problem::Internal, "a request without connection"))?;
        Ok(Self {
            app: app.clone(),
            connection,
            format: Format::of_answer(&parts.headers),
        })
    }
}

impl Describe for ResponseBudget {
    fn describe(_: &mut Endpoint) {}
}

impl ResponseBudget {
    /// Who pays for the memory of an unsigned request's body: the caller's network address.
    pub(super) fn stranger(&self) -> Payer {
        Payer::Stranger(self.connection.origin())
    }

    /// Counts an offer of a new device (DEV-12).
    ///
    /// It may be refused with `too-many`.
    pub(super) fn admit_offer(&self) -> Result<(), Refusal> {
        if self.app.offers.admit(self.connection.peer(), Instant::now()) {
            Ok(())
        } else {
            Err(Refusal::new(Problem::TooMany, "offers from one network"))
        }
    }

    /// Counts an enrolment of a patient (ACC-5).
    ///
    /// It may be refused with `too-many`.
    pub(super) fn admit_enrolment(&self) -> Result<CountedEnrolment, Refusal> {
        let admitted = self.app.enrolments.admit(self.connection.peer(), Instant::now());
        if Defence::EnrolmentsOfAddress.holds(admitted.is_some()) {
            Ok(admitted.unwrap_or_default())
        } else {
            Err(Refusal::new(Problem::TooMany, "enrolments from one address"))
        }
    }

    /// ReservedResponse for so many bytes to the principal whose running request this is.
    ///
    /// It may be refused with `unavailable`.
    pub(super) async fn room(self, running: QuotaPermit, bytes: u64) -> Result<ReservedResponse, Refusal> {
        let share = self
            .app
            .memory
            .reserve(&running.payer(), self.cost(bytes))
            .await?;
        Ok(self.with(share, Some(running)))
    }

    /// ReservedResponse for a short page, which transfers are not in the way of.
    ///
    /// It may be refused with `unavailable`.
    pub(super) async fn page_room(
        self,
        running: QuotaPermit,
        bytes: u64,
    ) -> Result<ReservedResponse, Refusal> {
        let share = self
            .app
            .memory
            .reserve_page(&running.payer(), self.cost(bytes))
            .await?;
        Ok(self.with(share, Some(running)))
    }

    /// ReservedResponse for so many bytes to somebody, in the part of the address.
    ///
    /// It may be refused with `unavailable`.
    pub(super) async fn public_room(self, bytes: u64) -> Result<ReservedResponse, Refusal> {
        let share = self
            .app
            .memory
            .reserve(&self.stranger(), self.cost(bytes))
            .await?;
        Ok(self.with(share, None))
    }

    /// ReservedResponse for a page to somebody: pages are not in the way of what is shorter, and needed by every client.
    ///
    /// It may be refused with `unavailable`.
    pub(super) async fn public_page_room(self, bytes: u64) -> Result<ReservedResponse, Refusal> {
        let share = self
            .app
            .memory
            .reserve_page(&self.stranger(), self.cost(bytes))
            .await?;
        Ok(self.with(share, None))
    }

    /// The memory that a message of so many bytes takes until it is written down.
    fn cost(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(self.format.cost())
    }

    /// An answer in memory that was reserved before.
    pub(super) fn with(self, share: Share, running: Option<QuotaPermit>) -> ReservedResponse {
        ReservedResponse {
            way: self,
            share,
            running,
        }
    }
}

/// Memory that is reserved for an answer, with the way that the answer takes. Until the answer is sent, the request counts as running.
pub(super) struct ReservedResponse {
    way: ResponseBudget,
    share: Share,
    running: Option<QuotaPermit>,
}

impl ReservedResponse {
    /// An answer in this room.
    pub(super) fn reply<M>(self, result: Result<M, Refusal>) -> ApiAnswer<M> {
        let message = result?;
        Ok(Reply { message, room: self })
    }

    /// A file in this room.
    pub(super) fn file<K>(self, bytes: Result<Vec<u8>, Refusal>) -> Served<K> {
        Ok(FileReply {
            kind: PhantomData,
            bytes: bytes?,
            room: self,
        })
    }

    fn body(self, bytes: Vec<u8>) -> Body {
        let Self {
            way: ResponseBudget { app, connection, .. },
            mut share,
            running,
        } = self;
        share.shrink_to(bytes.len());
        let watch = share.watch();
        outgoing::message(&app, bytes, (connection, watch), (share, running))
    }

    /// Gives this room, which is somebody's, back and waits for another.
    ///
    /// It may be refused with `unavailable`.
    pub(super) async fn exchanged(self, bytes: u64) -> Result<Self, Refusal> {
        let Self { way, share, running } = self;
        drop(share);
        let running = running.ok_or_else(|| Refusal::new(Problem::Internal, "an unsigned presentation"))?;
        way.room(running, bytes).await
    }
}

/// What is served as it is kept.
pub(super) trait FileKind {
    /// The media type of such an answer.
    const TYPE: &str;
    /// How long others may keep it.
    const CACHING: &str;
}

/// Of the log, as c2sp.org/tlog-tiles says: changes every moment.
pub(super) struct Checkpoint;
/// Of the log: never changes (LOG-9).
pub(super) struct Tile;
/// What this server does: changes with its program (API-13).
pub(super) struct Description;

impl FileKind for Checkpoint {
    const TYPE: &str = "text/plain; charset=utf-8";
    const CACHING: &str = "public, max-age=1";
}

impl FileKind for Tile {
    const TYPE: &str = "application/octet-stream";
    const CACHING: &str = "public, max-age=31536000, immutable";
}

impl FileKind for Description {
    const TYPE: &str = "application/json";
    const CACHING: &str = "public, max-age=3600";
}

/// Bytes as the body of a response.
pub(super) struct FileReply<K> {
    kind: PhantomData<K>,
    bytes: Vec<u8>,
    room: ReservedResponse,
}

/// A file as the answer, or a refusal.
pub(super) type Served<K> = Result<FileReply<K>, RefusedRequest>;

impl<K: FileKind> IntoResponse for FileReply<K> {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, K::TYPE),
            (header::CACHE_CONTROL, K::CACHING),
        ];
        (headers, self.room.body(self.bytes)).into_response()
    }
}

impl<K: FileKind> Describe for FileReply<K> {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.answer = ContentForm::Raw(K::TYPE);
    }
}

/// A message as the body of a response.
pub(super) struct Reply<M> {
    message: M,
    room: ReservedResponse,
}

impl<M: Message + Name> IntoResponse for Reply<M> {
    fn into_response(self) -> Response {
        let Self { message, room } = self;
        // No await until the message is dropped: as many are there twice as there are threads.
        let (bytes, content_type) = match room.way.format {
            Format::Protobuf => (message.encode_to_vec(), PROTOBUF),
            Format::Json => match json::encode(&message) {
                Ok(bytes) => (bytes, JSON),
                Err(error) => return RefusedRequest(Refusal::new(Problem::Internal, error)).into_response(),
            },
        };
        drop(message);
        ([(header::CONTENT_TYPE, content_type)], room.body(bytes)).into_response()
    }
}

impl<M: Name> Describe for Reply<M> {
    fn describe(endpoint: &mut Endpoint) {
        endpoint.answer = ContentForm::Message {
            name: M::NAME,
            json: true,
        };
    }
}
