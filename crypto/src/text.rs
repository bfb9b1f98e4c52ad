//! Texts that requests and denials carry, sealed to the one who is to read them. See `spec/keys.md` §7.

use protocol_spec::{
    field::SealedBytes,
    ids::{InstitutionId, PatientId, RequestId},
    keys::RecipientKey,
    labels,
};

use crate::{
    Error, SecureRandom,
    padding::{frame, size_class, unframe},
    wrap::{self, Info, Opens},
};

/// Longest text, in bytes of UTF-8.
pub const MAX_TEXT: usize = 16 * 1024;

/// Where a text belongs: it opens for no other request, sender or reader (KEY-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextContext {
    request: RequestId,
    sender: [u8; 32],
    reader: [u8; 32],
}

impl TextContext {
    /// From an institution to a patient: download and reference requests.
    pub fn to_patient(request: RequestId, from: &InstitutionId, to: &PatientId) -> Self {
        Self {
            request,
            sender: *from.as_bytes(),
            reader: *to.as_bytes(),
        }
    }

    /// From a patient to an institution: upload requests and denials.
    pub fn to_institution(request: RequestId, from: &PatientId, to: &InstitutionId) -> Self {
        Self {
            request,
            sender: *from.as_bytes(),
            reader: *to.as_bytes(),
        }
    }

    /// request id ‖ sender id ‖ reader id
    fn info(&self) -> Info {
        let Self {
            request,
            sender,
            reader,
        } = self;
        Info::new(labels::SEAL_TEXT, &[request.as_bytes(), sender, reader])
    }
}

/// Seals a text: u32be(len) ‖ UTF-8 ‖ zeros up to 256 · 2^k bytes, by HPKE to the reader's key. Fails with
/// [`Error::TooLong`] for more than [`MAX_TEXT`] bytes.
pub fn seal_text(
    random: &dyn SecureRandom,
    to: &RecipientKey,
    context: &TextContext,
    text: &str,
) -> Result<SealedBytes, Error> {
    if text.len() > MAX_TEXT {
        return Err(Error::TooLong {
            what: "text",
            max: MAX_TEXT as u64,
        });
    }
    wrap::wrap(random, to, context.info(), &frame(text.as_bytes(), text_class)?)
}

/// Opens a text that was sealed to this reader in this context. Fails with [`Error::Open`], also for padding, lengths
/// and encodings that [`seal_text`] does not make.
pub fn open_text<R: Opens>(
    reader: &R,
    context: &TextContext,
    sealed: &SealedBytes,
) -> Result<String, R::Error> {
    let framed = reader.open_sealed(&context.info(), sealed)?;
    let text = unframe(&framed, text_class)?;
    if text.len() > MAX_TEXT {
        return Err(Error::Open.into());
    }
    String::from_utf8(text.to_vec()).map_err(|_| Error::Open.into())
}

fn text_class(length: usize) -> usize {
    size_class(256, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OperatingSystem, RecipientSecret};

    const REQUEST: RequestId = RequestId::from_bytes([1; 16]);
    const PATIENT: PatientId = PatientId::from_bytes([2; 32]);
    const CLINIC: InstitutionId = InstitutionId::from_bytes([3; 32]);

    /// KEY-15
    #[test]
    fn open_rejects_wrong_request_sender_reader_direction_and_key() {
        let reader = RecipientSecret::generate(&OperatingSystem).unwrap();
        let context = TextContext::to_patient(REQUEST, &CLINIC, &PATIENT);
        let sealed = seal_text(
            &OperatingSystem,
            reader.public(),
            &context,
            "MRI of the knee, please",
        )
        .unwrap();
        assert_eq!(
            open_text(&reader, &context, &sealed).as_deref(),
            Ok("MRI of the knee, please")
        );
        for wrong in [
            TextContext::to_patient(RequestId::from_bytes([9; 16]), &CLINIC, &PATIENT),
            TextContext::to_patient(REQUEST, &InstitutionId::from_bytes([9; 32]), &PATIENT),
            TextContext::to_patient(REQUEST, &CLINIC, &PatientId::from_bytes([9; 32])),
            TextContext::to_institution(REQUEST, &PATIENT, &CLINIC),
        ] {
            assert_eq!(open_text(&reader, &wrong, &sealed), Err(Error::Open));
        }
        assert_eq!(
            open_text(
                &RecipientSecret::generate(&OperatingSystem).unwrap(),
                &context,
                &sealed
            ),
            Err(Error::Open)
        );
    }

    /// ATK-56
    #[test]
    fn sizes_tell_only_the_class_and_the_limit_holds() {
        let reader = RecipientSecret::generate(&OperatingSystem).unwrap();
        let context = TextContext::to_institution(REQUEST, &PATIENT, &CLINIC);
        let sealed_len = |length: usize| {
            let sealed = seal_text(
                &OperatingSystem,
                reader.public(),
                &context,
                &"é".repeat(length / 2),
            )
            .unwrap();
            assert_eq!(open_text(&reader, &context, &sealed).unwrap().len(), length);
            sealed.ciphertext.len() - 16
        };
        assert_eq!(
            [0, 252, 254, 508, 510, MAX_TEXT].map(sealed_len),
            [256, 256, 512, 512, 1024, 32 * 1024]
        );
        let too_long = "x".repeat(MAX_TEXT + 1);
        assert!(matches!(
            seal_text(&OperatingSystem, reader.public(), &context, &too_long),
            Err(Error::TooLong { .. })
        ));
    }

    #[test]
    fn what_is_no_text_in_its_class_is_refused() {
        let reader = RecipientSecret::generate(&OperatingSystem).unwrap();
        let context = TextContext::to_institution(REQUEST, &PATIENT, &CLINIC);
        let open = |plaintext: &[u8]| {
            open_text(
                &reader,
                &context,
                &wrap::wrap(&OperatingSystem, reader.public(), context.info(), plaintext).unwrap(),
            )
        };
        assert_eq!(open(&[0; 256]).as_deref(), Ok(""));
        assert_eq!(open(&[0; 255]), Err(Error::Open));
        assert_eq!(open(&[0; 512]), Err(Error::Open));
        assert_eq!(open(&[0xff; 256]), Err(Error::Open));
        let not_utf8 = [&[0, 0, 0, 1, 0xff][..], &[0; 251]].concat();
        assert_eq!(open(&not_utf8), Err(Error::Open));
    }
}
