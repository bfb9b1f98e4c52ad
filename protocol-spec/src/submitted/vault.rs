//! What a device does in its patient's vault: collections and their keys, placements, deletions, the index, heads.

use bytes::Bytes;

use super::{KeyWrap, fits, submitted};
use crate::{
    Error,
    bodies::{EpochClosure, IndexSegment, Placement, RecordDeletion, VaultHead},
    devices::MAX_SEALED_NAME,
    field::Field,
    ids::{CollectionId, VersionId},
    messages as pb,
    patient::PatientSigned,
};

/// Most wraps of one message: they are about half a mebibyte.
pub const MAX_WRAPS: usize = 4000;

submitted! {
    /// Opens an epoch of a collection; a name comes with the first one alone (COL-1).
    PutCollection {
        collection_id: CollectionId,
        epoch: u64,
        key_wrap: KeyWrap,
        sealed_name: Bytes,
        root_epoch: u64,
    } => is_named_once
    /// Brings data keys of a collection under its current key (REV-5).
    PutWraps {
        collection_id: CollectionId,
        from_epoch: u64,
        epoch: u64,
        wraps: Vec<Wrap>,
    } => are_few
    /// Has the keys of an epoch forgotten, which closes it (REV-6).
    CloseEpoch {
        closure: PatientSigned<EpochClosure>,
    } => closes_records
    /// Takes a record version in, or moves it (COL-4).
    AdoptRecord {
        placement: PatientSigned<Placement>,
        epoch: u64,
        data_key_wrap: KeyWrap,
    } => holds_records
    /// Deletes a record with all its versions (DEL-1).
    DeleteRecord {
        deletion: PatientSigned<RecordDeletion>,
    }
    /// The next segment of the index (IDX-3).
    SignedSegment {
        head: PatientSigned<IndexSegment>,
        sealed: Bytes,
    }
    /// A head over what has been done to the vault (VLT-2).
    SubmitVaultHead {
        head: PatientSigned<VaultHead>,
    }
}

/// A data key under a collection's key.
#[derive(Clone, Debug)]
pub struct Wrap {
    /// Number of the placement that puts the version there.
    pub number: u64,
    /// The version whose data key it is.
    pub version_id: VersionId,
    /// The data key under the collection's key.
    pub data_key_wrap: KeyWrap,
}

impl Field<pb::Wrap> for Wrap {
    fn read(wire: pb::Wrap, _: &'static str) -> Result<Self, Error> {
        // In answers alone.
        fits(wire.record_id.is_empty(), "record_id")?;
        Ok(Self {
            number: wire.number,
            version_id: Field::read(wire.version_id, "version_id")?,
            data_key_wrap: Field::read(wire.data_key_wrap, "data_key_wrap")?,
        })
    }

    fn write(&self) -> pb::Wrap {
        pb::Wrap {
            number: self.number,
            version_id: self.version_id.write(),
            data_key_wrap: self.data_key_wrap.write(),
            record_id: Bytes::new(),
        }
    }
}

fn is_named_once(message: &PutCollection) -> Result<(), Error> {
    let name = message.sealed_name.len();
    let named = name <= MAX_SEALED_NAME && (name == 0) == (message.epoch != 0);
    fits(named, "sealed_name")
}

fn are_few(message: &PutWraps) -> Result<(), Error> {
    fits(message.wraps.len() <= MAX_WRAPS, "wraps")
}

/// What lies under the keys of `own` is re-wrapped by nobody (COL-9).
fn closes_records(message: &CloseEpoch) -> Result<(), Error> {
    let collection = message.closure.claimed().collection_id;
    fits(collection != CollectionId::OWN, "collection_id")
}

/// `own` holds no records (COL-9).
fn holds_records(message: &AdoptRecord) -> Result<(), Error> {
    let collection = message.placement.claimed().collection_id;
    fits(collection != CollectionId::OWN, "collection_id")
}
