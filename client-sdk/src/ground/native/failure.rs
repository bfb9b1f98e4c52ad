//! Why a request got no answer, in the words of its innermost cause.

use std::{error::Error as StdError, fmt, io, sync::Arc};

use super::fault;
use crate::ground::TransportFailure;

/// The failure that an error of the HTTP client means.
pub(super) fn of(error: &(dyn StdError + 'static)) -> TransportFailure {
    let cause = innermost(error);
    if let Some(rustls::Error::InvalidCertificate(error)) = cause.downcast_ref() {
        return TransportFailure::Certificate(fault::of(error));
    }
    match cause.downcast_ref::<NoWay>() {
        Some(NoWay { proxy, cause }) => TransportFailure::Proxy {
            proxy: proxy.to_string(),
            cause: cause.clone(),
        },
        None => TransportFailure::Transport(cause.to_string()),
    }
}

/// What everything else was caused by. `io::Error` hides what it wraps from `source`, so it is unwrapped here.
pub(super) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut cause = error;
    loop {
        let known =
            cause.is::<NoWay>() || matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)));
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| cause.source());
        match inner {
            Some(inner) if !known => cause = inner,
            _ => return cause,
        }
    }
}

/// No way through a proxy.
#[derive(Debug)]
pub(super) struct NoWay {
    pub(super) proxy: Arc<str>,
    pub(super) cause: String,
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.proxy, self.cause)
    }
}

impl std::error::Error for NoWay {}
