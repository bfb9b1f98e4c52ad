//! Who made a record, whatever it is sealed under now: the institution's manifest, held against the operator's receipt
//! for the version that is stored. See `spec/content.md` §5.

use prost::Message;

use crate::{
    Error,
    bodies::{RecordManifest, Reseal, UploadReceipt},
    content::{padme, plaintext_len},
    directory::Institution,
    ids::InstitutionId,
    messages as pb,
    patient::PatientSigned,
    statement::{Signed, Verified},
};

/// What the manifest stream of a record holds, parsed only.
#[derive(Clone, Debug)]
pub struct SealedManifest {
    manifest: Signed<RecordManifest>,
    reseal: Option<PatientSigned<Reseal>>,
}

impl SealedManifest {
    /// Of a record as its maker sends it.
    pub fn new(manifest: Signed<RecordManifest>) -> Self {
        Self {
            manifest,
            reseal: None,
        }
    }

    /// Of the same record, sealed anew.
    #[must_use]
    pub fn resealed(&self, reseal: PatientSigned<Reseal>) -> Self {
        Self {
            manifest: self.manifest.clone(),
            reseal: Some(reseal),
        }
    }

    /// Who is said to have made the record.
    pub fn maker(&self) -> InstitutionId {
        self.manifest.claimed().institution_id
    }

    /// The bytes that are sealed beside the record's content.
    pub fn encode(&self) -> Vec<u8> {
        let message = pb::SealedManifest {
            manifest: Some(self.manifest.to_message()),
            reseal: self.reseal.as_ref().map(Into::into),
        };
        message.encode_to_vec()
    }

    /// Reads the bytes that were opened; nothing is verified by that.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let pb::SealedManifest { manifest, reseal } = pb::decode(bytes)?;
        let reseal = reseal.map(|reseal| PatientSigned::try_from(Some(reseal)));
        Ok(Self {
            manifest: manifest.try_into()?,
            reseal: reseal.transpose()?,
        })
    }

    /// Checks that the maker signed it, and that it speaks of the version that the receipt is for (CNT-11) (CNT-15)
    /// (CNT-16).
    pub fn verify(
        self,
        maker: &Institution,
        receipt: &UploadReceipt,
    ) -> Result<Verified<RecordManifest>, Error> {
        let manifest = self.manifest.verify_by(maker)?;
        manifest.check_parts()?;
        let same = manifest.patient_id == receipt.patient_id
            && manifest.record_id == receipt.record_id
            && manifest.institution_id == receipt.institution_id
            && manifest.permission_id == receipt.permission_id
            && plaintext_len(receipt.stream_len) == Ok(padme(manifest.plaintext_len));
        let version = match self.reseal {
            None => {
                receipt.replaces.is_none()
                    && manifest.version_id == receipt.version_id
                    && manifest.content_root == receipt.content_root
            }
            Some(reseal) => check_reseal(reseal, &manifest, receipt)?,
        };
        if same && version {
            Ok(manifest)
        } else {
            Err(Error::Mismatch {
                what: "manifest and receipt",
            })
        }
    }
}

/// Whether a device of the patient says that the version which the receipt is for has this manifest's content.
fn check_reseal(
    reseal: PatientSigned<Reseal>,
    manifest: &Verified<RecordManifest>,
    receipt: &UploadReceipt,
) -> Result<bool, Error> {
    let reseal = reseal.verify()?;
    Ok(reseal.patient_id == receipt.patient_id
        && reseal.record_id == receipt.record_id
        && reseal.version_id == receipt.version_id
        && reseal.content_root == receipt.content_root
        && Some(reseal.replaces) == receipt.replaces
        && reseal.manifest_hash == manifest.hash())
}
