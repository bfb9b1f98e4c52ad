//! Where the parts of received records go.

use crypto::content::Header;
use protocol_spec::{hash::LeafHash, ids::RecordId, manifest::Part};

use super::left::LeftBehind;
use crate::Result;

/// Where opened parts go. Called on a thread that may block. What was written must not be used before
/// [`Sink::commit`]; a sink that is dropped without it must forget everything, unless it keeps it for [`Sink::left`].
/// A method fails with whatever keeps it from its work; then the transfer ends.
pub trait Sink: Send + 'static {
    /// The next part begins; those of one record come in order. A part's name is its sender's: under
    /// which name it is written, [`protocol_spec::file_names::FileNames`] says (CNT-18).
    fn begin(&mut self, record: &RecordId, part: &Part) -> Result<()>;

    /// The next bytes of the part.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Everything of all records has been verified: make it durable and visible. When this fails, nothing may be visible.
    fn commit(&mut self) -> Result<()>;

    /// What an earlier run of the same transfer has left of a record with these parts. They begin again all the same, and what is
    /// written to them is the same again as far as that goes.
    fn left(&mut self, _record: &RecordId, _parts: &[Part]) -> Result<Option<LeftBehind>> {
        Ok(None)
    }

    /// Whether there may be something for [`Sink::left`] to read, which then takes a while.
    fn has_left(&self) -> bool {
        false
    }

    /// All text of the next leaf of a record's stream has been written; the stream begins with this header. With both a later
    /// run can tell what is left of it.
    fn passed(&mut self, _record: &RecordId, _header: &Header, _leaf: &LeafHash) -> Result<()> {
        Ok(())
    }

    /// What was received is not what it should be: nothing of it may be kept.
    fn forget(&mut self) {}

    /// These of its records are not there any more, and nothing comes of them.
    fn leave_out(&mut self, _records: &[RecordId]) {}
}
