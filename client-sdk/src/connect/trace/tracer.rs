//! Who is told of each step, and how much of each body.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use data_encoding::{BASE64, HEXLOWER};
use protocol_spec::json::view;
use sha2::{Digest, Sha256};

use super::step::{Raw, Step};

/// How much is told of each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Messages are told by their fields, bodies are left out.
    Meaning,
    /// Bodies as they travel, too, and all header fields whole.
    Bodies,
}

/// Who is told every step, as it happens. Copies of it count the requests together.
#[derive(Clone)]
pub struct Tracer {
    detail: Detail,
    tell: Arc<dyn Fn(&Step) + Send + Sync>,
    /// How many requests have gone out.
    count: Arc<AtomicU64>,
}

impl Tracer {
    /// Tells them by this function, which may be called from several threads at once.
    pub fn new(detail: Detail, tell: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        Self {
            detail,
            tell: Arc::new(tell),
            count: Arc::default(),
        }
    }

    /// How much is told of each step.
    pub(super) fn detail(&self) -> Detail {
        self.detail
    }

    /// The number of a request that goes out now.
    pub(super) fn next_number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(super) fn tell(&self, step: &Step) {
        (self.tell)(step);
    }

    /// Says that a request is made once more.
    pub(in crate::connect) fn again(&self, attempts: u32) {
        (self.tell)(&Step::Again { attempts });
    }

    /// A body, if bodies are asked for and it holds no secret.
    pub(super) fn raw<'a>(&self, message: Option<&str>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Raw {
        if self.detail == Detail::Meaning {
            return Raw::default();
        }
        let mut kept = BodyCopy::default();
        pieces.into_iter().for_each(|piece| kept.add(piece));
        match message {
            Some(name) if view::holds_secret(name, &kept.first) => Raw::default(),
            _ => kept.raw(),
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            detail,
            tell: _,
            count,
        } = self;
        f.debug_struct("Tracer")
            .field("detail", detail)
            .field("count", count)
            .finish_non_exhaustive()
    }
}

/// What is kept of a body that comes in pieces: all of it while it is short.
#[derive(Default)]
pub(super) struct BodyCopy {
    first: Vec<u8>,
    all: Sha256,
    is_long: bool,
}

impl BodyCopy {
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.all.update(piece);
        self.is_long |= self.first.len().saturating_add(piece.len()) > LONG;
        if !self.is_long {
            self.first.extend_from_slice(piece);
        }
    }

    pub(super) fn raw(&self) -> Raw {
        if self.is_long {
            let sha256 = Some(HEXLOWER.encode(&self.all.clone().finalize()));
            return Raw { base64: None, sha256 };
        }
        let base64 = Some(BASE64.encode(&self.first)).filter(|base64| !base64.is_empty());
        Raw { base64, sha256: None }
    }
}

/// Of a longer body only the hash is told.
const LONG: usize = 64 * 1024;
