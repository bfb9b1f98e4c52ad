//! An institution's recipient keys, for one of its terminals. See `spec/institutions.md` §4.

use protocol_spec::{
    field::SealedBytes,
    ids::{InstitutionId, TerminalId},
    keys::RecipientKey,
    labels,
};
use zeroize::Zeroizing;

use crate::{
    Error, SecureRandom,
    wrap::{self, Info, Opens},
};

/// Seals the seeds of recipient keys to a terminal, the newest last (INS-12). Fails
/// with [`Error::Malformed`] without any seed.
pub fn seal_terminal_keys(
    random: &dyn SecureRandom,
    to: &RecipientKey,
    institution: &InstitutionId,
    terminal: &TerminalId,
    seeds: &[Zeroizing<[u8; 32]>],
) -> Result<SealedBytes, Error> {
    if seeds.is_empty() {
        return Err(Error::Malformed {
            what: "terminal keys without a key",
        });
    }
    let mut plaintext = Zeroizing::new(Vec::with_capacity(32 * seeds.len()));
    seeds
        .iter()
        .for_each(|seed| plaintext.extend_from_slice(seed.as_slice()));
    wrap::wrap(random, to, info(institution, terminal), &plaintext)
}

/// Opens them with the terminal's own key. Whose keys they are is not proven by that: compare their
/// public halves with the directory.
pub fn open_terminal_keys<R: Opens>(
    with: &R,
    institution: &InstitutionId,
    terminal: &TerminalId,
    sealed: &SealedBytes,
) -> Result<Vec<Zeroizing<[u8; 32]>>, R::Error> {
    let plaintext = with.open_sealed(&info(institution, terminal), sealed)?;
    let (seeds, rest) = plaintext.as_chunks();
    if seeds.is_empty() || !rest.is_empty() {
        return Err(Error::Open.into());
    }
    Ok(seeds.iter().map(|seed| Zeroizing::new(*seed)).collect())
}

/// info = SHA-256 (LABEL(SEAL_TERMINAL_KEYS) ‖ institution id ‖ terminal id)
fn info(institution: &InstitutionId, terminal: &TerminalId) -> Info {
    Info::new(
        labels::SEAL_TERMINAL_KEYS,
        &[institution.as_bytes(), terminal.as_bytes()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OperatingSystem, RecipientSecret};

    const CLINIC: InstitutionId = InstitutionId::from_bytes([1; 32]);
    const WARD: TerminalId = TerminalId::from_bytes([2; 32]);

    /// INS-12
    #[test]
    fn open_rejects_wrong_institution_terminal_key_and_length() {
        let ward = RecipientSecret::generate(&OperatingSystem).unwrap();
        let seeds = [Zeroizing::new([3; 32]), Zeroizing::new([4; 32])];
        let sealed = seal_terminal_keys(&OperatingSystem, ward.public(), &CLINIC, &WARD, &seeds).unwrap();
        assert_eq!(
            open_terminal_keys(&ward, &CLINIC, &WARD, &sealed),
            Ok(seeds.to_vec())
        );
        let other = InstitutionId::from_bytes([9; 32]);
        assert_eq!(
            open_terminal_keys(&ward, &other, &WARD, &sealed),
            Err(Error::Open)
        );
        let other = TerminalId::from_bytes([9; 32]);
        assert_eq!(
            open_terminal_keys(&ward, &CLINIC, &other, &sealed),
            Err(Error::Open)
        );
        let other = RecipientSecret::generate(&OperatingSystem).unwrap();
        assert_eq!(
            open_terminal_keys(&other, &CLINIC, &WARD, &sealed),
            Err(Error::Open)
        );
        let uneven = wrap::wrap(&OperatingSystem, ward.public(), info(&CLINIC, &WARD), &[1; 33]).unwrap();
        assert_eq!(
            open_terminal_keys(&ward, &CLINIC, &WARD, &uneven),
            Err(Error::Open)
        );
        assert!(seal_terminal_keys(&OperatingSystem, ward.public(), &CLINIC, &WARD, &[]).is_err());
    }
}
