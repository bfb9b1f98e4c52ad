//! stub
use std::io;
use protocol_spec::{ids::RecordId, manifest::Part};
use crate::Result;

/// Where opened parts go. Called on a thread that may block. What was written must not be used before
/// [`Sink::commit`]; a sink that is dropped without it must forget everything.
pub trait Sink: Send + 'static {
    /// The next part begins; those of one record come in order.
    ///
    /// # Errors
    /// Whatever keeps it from being written.
    fn begin(&mut self, record: &RecordId, part: &Part) -> Result<()>;

    /// The next bytes of the part.
    ///
    /// # Errors
    /// Whatever keeps them from being written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Everything of all records has been verified: make it durable and visible.
    ///
    /// # Errors
    /// Whatever keeps it from that; nothing may be visible then.
    fn commit(&mut self) -> Result<()>;
}

/// stub
pub struct FolderSink {}
