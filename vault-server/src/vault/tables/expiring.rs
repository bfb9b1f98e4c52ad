//! What an expiry row says in its suffix.

use protocol_spec::{
    collection::Collection,
    hash::Sha256Digest,
    ids::{CollectionId, DeviceId, LinkId, PatientId, ReleaseId, UploadId, VersionId},
};

/// What somebody looks at when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Expiring {
    /// An answer kept for repetitions: principal and key.
    Idempotency([u8; 32], [u8; 32]),
    /// An upload session.
    Upload(PatientId, UploadId),
    /// A release session.
    Release(PatientId, ReleaseId),
    /// The wraps of a closed epoch.
    Epoch(PatientId, Collection),
    /// An offer of a new device.
    Offer(LinkId, DeviceId),
    /// What was stored of a version whose place another has taken, or that is gone.
    Version(PatientId, VersionId),
    /// How often an invitation was used: SHA-256 of its body.
    Invitation(Sha256Digest),
    /// What a sender has put before a receiver today: receiver and sender.
    Sender([u8; 32], [u8; 32]),
    /// What is kept of a root epoch that is over.
    Kept(PatientId, u64),
}

impl Expiring {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Idempotency(principal, key) => [&[1][..], &principal, &key].concat(),
            Self::Sender(receiver, sender) => [&[8][..], &receiver, &sender].concat(),
            Self::Upload(patient, upload) => [&[2][..], patient.as_bytes(), upload.as_bytes()].concat(),
            Self::Kept(patient, epoch) => [&[9][..], patient.as_bytes(), &epoch.to_be_bytes()].concat(),
            Self::Invitation(body) => [&[7][..], body.as_bytes()].concat(),
            Self::Version(patient, version) => [&[6][..], patient.as_bytes(), version.as_bytes()].concat(),
            Self::Offer(link, device) => [&[5][..], link.as_bytes(), device.as_bytes()].concat(),
            Self::Release(patient, release) => [&[3][..], patient.as_bytes(), release.as_bytes()].concat(),
            Self::Epoch(patient, Collection { id, epoch }) => {
                let epoch = epoch.to_be_bytes();
                [&[4][..], patient.as_bytes(), id.as_bytes(), &epoch].concat()
            }
        }
    }

    /// From the suffix of an expiry row: its time, and what it names.
    pub(in crate::vault) fn decode(suffix: &[u8]) -> Option<(u64, Self)> {
        let (at, rest) = suffix.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (partition, id) = rest.split_first_chunk::<32>()?;
        let patient = PatientId::from_bytes(*partition);
        let what = match kind {
            1 => Self::Idempotency(*partition, id.try_into().ok()?),
            2 => Self::Upload(patient, id.try_into().ok()?),
            3 => Self::Release(patient, id.try_into().ok()?),
            4 => {
                let (id, epoch) = id.split_first_chunk::<16>()?;
                let epoch = u64::from_be_bytes(epoch.try_into().ok()?);
                let id = CollectionId::from_bytes(*id);
                Self::Epoch(patient, Collection { id, epoch })
            }
            5 => Self::Offer(LinkId::from_bytes(*partition), id.try_into().ok()?),
            6 => Self::Version(patient, id.try_into().ok()?),
            7 => Self::Invitation(Sha256Digest::from_bytes(*partition)),
            8 => Self::Sender(*partition, id.try_into().ok()?),
            9 => Self::Kept(patient, u64::from_be_bytes(id.try_into().ok()?)),
            _ => return None,
        };
        Some((u64::from_be_bytes(*at), what))
    }
}
