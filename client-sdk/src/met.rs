//! What ids stand for. Requests, permissions and records are named by ids that others mint, and nothing in such an
//! id says what it names: a server that works with one accredited institution or one patient could show a person one
//! thing under an id, and hand out another when she answers it. So the first verified meaning of an id is kept
//! in the home, and another is refused (FLW-13).

use protocol_spec::{
    hash::Sha256Digest,
    ids::{PatientId, PermissionId, RequestId, VersionId},
};

use crate::{Error, Result, session::Session};

impl Session {
    /// This request was met: from now on its id means these bytes.
    pub(crate) fn met_request(&self, id: RequestId, hash: &Sha256Digest) -> Result<()> {
        self.met(&id.to_string(), &hash.to_string(), "the request")
    }

    /// This permission was met: from now on its id means one by this patient, in answer to this request.
    pub(crate) fn met_permission(
        &self,
        id: PermissionId,
        patient: PatientId,
        request: &Sha256Digest,
    ) -> Result<()> {
        self.met(&id.to_string(), &format!("{patient} {request}"), "the permission")
    }

    /// This record version was met: from now on its id means this manifest, and with it this content. Whoever was
    /// permitted to read a version has its key, and could seal another content with it.
    pub(crate) fn met_version(&self, id: VersionId, manifest: &Sha256Digest) -> Result<()> {
        self.met(&id.to_string(), &manifest.to_string(), "the record")
    }

    fn met(&self, id: &str, meaning: &str, what: &'static str) -> Result<()> {
        if self.home.keep_first(MET, id, meaning)? == meaning.as_bytes() {
            Ok(())
        } else {
            Err(Error::tampered(what)(
                "it is not the one that was met under this id before",
            ))
        }
    }
}

const MET: &str = "met";
