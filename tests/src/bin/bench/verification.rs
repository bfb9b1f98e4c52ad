//! How long clients are busy with what makes a server's lies noticed: proofs of the log, the mirror of the directory, vault
//! heads, with the requests that these need. The library marks them by spans named `verify`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tracing::{Id, Subscriber, span::Attributes};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Time in such spans, in all since the program began.
#[derive(Clone, Default)]
pub(crate) struct Verification(Arc<AtomicU64>);

/// Of a span that lies in no other of its name.
struct Begun(Instant);

impl Verification {
    /// Watches the whole process from now on.
    pub(crate) fn watch() -> Self {
        let watch = Self::default();
        // A second one would see nothing, and the first goes on.
        drop(tracing_subscriber::registry().with(watch.clone()).try_init());
        watch
    }

    /// Milliseconds until now.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a benchmark")]
    pub(crate) fn millis(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e6
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Verification {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != SPAN {
            return;
        }
        let Some(span) = context.span(id) else {
            return;
        };
        if span.scope().skip(1).all(|around| around.name() != SPAN) {
            span.extensions_mut().insert(Begun(Instant::now()));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(Begun(begun)) = span.extensions().get()
        {
            let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.0.fetch_add(took, Ordering::Relaxed);
        }
    }
}

const SPAN: &str = "verify";
