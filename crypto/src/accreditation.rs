//! The secret by which an institution shows the server that it holds the X-Wing key that the registrar
//! accredited, without the server opening anything. See `spec/keys.md` §5.

use protocol_spec::{
    field::SealedBytes,
    ids::{InstitutionId, RegistrarId},
    keys::RecipientKey,
    labels,
};

use crate::{
    AccreditationSecret, Error, SecureRandom,
    wrap::{self, Info, Opens},
};

/// Seals the secret to the institution's key (KEY-16); its hash goes into the signed accreditation.
pub fn seal_accreditation(
    random: &dyn SecureRandom,
    to: &RecipientKey,
    registrar: &RegistrarId,
    institution: &InstitutionId,
    secret: &AccreditationSecret,
) -> Result<SealedBytes, Error> {
    wrap::wrap(random, to, info(registrar, institution), secret.expose())
}

/// Opens the secret with the institution's key.
pub fn open_accreditation<R: Opens>(
    with: &R,
    registrar: &RegistrarId,
    institution: &InstitutionId,
    sealed: &SealedBytes,
) -> Result<AccreditationSecret, R::Error> {
    let plaintext = with.open_sealed(&info(registrar, institution), sealed)?;
    let secret = plaintext.as_slice().try_into().map_err(|_| Error::Open)?;
    Ok(AccreditationSecret::from_bytes(secret))
}

/// info = SHA-256 (LABEL(SEAL_ACCREDITATION) ‖ registrar id ‖ institution id)
fn info(registrar: &RegistrarId, institution: &InstitutionId) -> Info {
    Info::new(
        labels::SEAL_ACCREDITATION,
        &[registrar.as_bytes(), institution.as_bytes()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OperatingSystem, RecipientSecret};

    const REGISTRAR: RegistrarId = RegistrarId::from_bytes([1; 32]);
    const CLINIC: InstitutionId = InstitutionId::from_bytes([2; 32]);

    /// KEY-16
    #[test]
    fn open_rejects_wrong_registrar_institution_key_and_length() {
        let clinic = RecipientSecret::generate(&OperatingSystem).unwrap();
        let secret = AccreditationSecret::generate(&OperatingSystem).unwrap();
        let sealed =
            seal_accreditation(&OperatingSystem, clinic.public(), &REGISTRAR, &CLINIC, &secret).unwrap();
        assert_eq!(
            open_accreditation(&clinic, &REGISTRAR, &CLINIC, &sealed).as_ref(),
            Ok(&secret)
        );
        let other = RegistrarId::from_bytes([9; 32]);
        assert_eq!(
            open_accreditation(&clinic, &other, &CLINIC, &sealed),
            Err(Error::Open)
        );
        let other = InstitutionId::from_bytes([9; 32]);
        assert_eq!(
            open_accreditation(&clinic, &REGISTRAR, &other, &sealed),
            Err(Error::Open)
        );
        let other = RecipientSecret::generate(&OperatingSystem).unwrap();
        assert_eq!(
            open_accreditation(&other, &REGISTRAR, &CLINIC, &sealed),
            Err(Error::Open)
        );
        let long = wrap::wrap(
            &OperatingSystem,
            clinic.public(),
            info(&REGISTRAR, &CLINIC),
            &[1; 33],
        )
        .unwrap();
        assert_eq!(
            open_accreditation(&clinic, &REGISTRAR, &CLINIC, &long),
            Err(Error::Open)
        );
    }

    #[test]
    fn the_hash_is_sha_256_of_the_secret() {
        let secret = AccreditationSecret::from_bytes(&[5; 32]);
        assert_eq!(secret.hash(), protocol_spec::hash::Sha256Digest::of(&[5; 32]));
    }
}
