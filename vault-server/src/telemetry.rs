//! What the operator sees: structured logs and metrics. Neither holds ids of patients, keys, header
//! values or query values (LKG-2); routes appear as templates.

use std::{io, sync::atomic::AtomicI64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sends logs to standard error. Only the first call of a process counts.
///
/// Errors: the filter's text does not parse.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // An error only means that the process has a subscriber already.
    drop(match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    });
    Ok(())
}

/// A request as it is counted.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// A refusal as it is counted.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RefusalLabels {
    pub(crate) code: &'static str,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    pub(crate) connections_refused: Counter,
    pub(crate) handshake_failures: Counter,
    body_memory: Gauge<i64, AtomicI64>,
    certificate_ends: Gauge<i64, AtomicI64>,
    certificate_unused: Gauge<i64, AtomicI64>,
    pub(crate) leaf_bytes_in: Counter,
    pub(crate) leaf_bytes_out: Counter,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("medvault"),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            handshake_failures: Counter::default(),
            body_memory: Gauge::default(),
            certificate_ends: Gauge::default(),
            certificate_unused: Gauge::default(),
            leaf_bytes_in: Counter::default(),
            leaf_bytes_out: Counter::default(),
            requests: Family::default(),
            refusals: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
        };
        metrics.register();
        metrics
    }

    /// Registers every metric under its name and help text.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("connections", "Connections open", self.connections.clone());
        registry.register(
            "connections_refused",
            "Connections for which there was no place",
            self.connections_refused.clone(),
        );
        registry.register(
            "handshake_failures",
            "TLS handshakes that failed",
            self.handshake_failures.clone(),
        );
        registry.register(
            "body_memory_bytes",
            "Memory of bodies in transit",
            self.body_memory.clone(),
        );
        registry.register(
            "certificate_ends_seconds",
            "When the certificate ends, in seconds since 1970",
            self.certificate_ends.clone(),
        );
        registry.register(
            "certificate_unused",
            "1 while the certificate's files hold what cannot be served",
            self.certificate_unused.clone(),
        );
        registry.register(
            "leaf_bytes_in",
            "Bytes of leaves stored",
            self.leaf_bytes_in.clone(),
        );
        registry.register(
            "leaf_bytes_out",
            "Bytes of leaves handed out",
            self.leaf_bytes_out.clone(),
        );
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register("refusals", "Requests refused, by problem", self.refusals.clone());
        registry.register(
            "request_seconds",
            "Time to the answer's head",
            self.seconds.clone(),
        );
    }

    pub(crate) fn answered(&self, labels: &RequestLabels, took: Duration) {
        self.requests.get_or_create(labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn body_memory(&self, bytes: usize) {
        self.body_memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// When it ends, in seconds since 1970, and whether its files hold another one that cannot be served (OPR-5).
    pub(crate) fn certificate(&self, ends: u64, unused: bool) {
        self.certificate_ends.set(i64::try_from(ends).unwrap_or(i64::MAX));
        self.certificate_unused.set(i64::from(unused));
    }

    pub(crate) fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { code }).inc();
    }

    /// All figures as OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a string does not fail.
            Err(_) => String::new(),
        }
    }
}
