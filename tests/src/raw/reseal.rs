//! A patient who seals a record anew, whatever is in it.

use anyhow::Result;
use bytes::Bytes;
use protocol_spec::{
    attributes::Attributes,
    collection::Collection,
    content,
    ids::{UploadId, VersionId},
    messages as pb,
    permission::RecordSelector,
};

use super::{Answer, RawPatient, Wire};

impl RawPatient {
    /// Puts random bytes as a new version, placed under this number, in the place of a record of one leaf; the last answer.
    pub async fn reseal(
        &self,
        wire: &Wire,
        old: &RecordSelector,
        (version_id, number): (VersionId, u64),
        collection: Collection,
    ) -> Result<Answer> {
        let open = pb::OpenReseal {
            replaces: Bytes::copy_from_slice(old.version_id.as_bytes()),
            version_id: Bytes::copy_from_slice(version_id.as_bytes()),
        };
        let opened: pb::ResealOpened = self.post(wire, "/v1/vault/reseals", &open).await?.message()?;
        let mut stream = vec![0; usize::try_from(old.stream_len)?];
        getrandom::fill(&mut stream).map_err(|error| anyhow::anyhow!("randomness: {error}"))?;
        let new = RecordSelector {
            version_id,
            content_root: content::single_leaf_root(&stream),
            ..old.clone()
        };
        let message = pb::CommitReseal {
            upload: Some(pb::CommitUpload {
                content_root: Bytes::copy_from_slice(new.content_root.as_bytes()),
                stream_len: new.stream_len,
                sealed_manifest: Bytes::from_static(&[6; 1100]),
                content: stream.into(),
            }),
            adoption: Some(self.adoption(&new, &Attributes::of(&[]), collection, number)?),
        };
        let upload = UploadId::try_from(opened.upload_id.as_ref())?;
        self.post(wire, &format!("/v1/vault/reseals/{upload}"), &message)
            .await
    }
}
