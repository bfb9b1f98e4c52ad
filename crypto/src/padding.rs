//! Padding that hides lengths: sealed sizes come from few classes, and a reader accepts no other size
//! and nothing but zeros in it. See `spec/content.md` §3.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Error;

/// The smallest unit · 2^k that holds `length` bytes.
pub(crate) fn size_class(unit: usize, length: usize) -> usize {
    length.div_ceil(unit).next_power_of_two().saturating_mul(unit)
}

/// u32be(len) ‖ bytes ‖ zeros, `size(4 + len)` bytes in all.
pub(crate) fn frame(bytes: &[u8], size: impl FnOnce(usize) -> usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let too_long = Error::TooLong {
        what: "what is to be padded",
        max: u64::from(u32::MAX),
    };
    let length = u32::try_from(bytes.len()).map_err(|_| too_long)?;
    let padded = size(4 + bytes.len());
    let mut framed = Zeroizing::new(Vec::with_capacity(padded));
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(bytes);
    framed.resize(padded, 0);
    Ok(framed)
}

/// The bytes that [`frame`] took, if `framed` is what it makes of them (CNT-10).
pub(crate) fn unframe(framed: &[u8], size: impl FnOnce(usize) -> usize) -> Result<&[u8], Error> {
    let (length, rest) = framed.split_first_chunk().ok_or(Error::Open)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Error::Open)?;
    let (bytes, padding) = rest.split_at_checked(length).ok_or(Error::Open)?;
    if size(4 + length) != framed.len() || !is_zero(padding) {
        return Err(Error::Open);
    }
    Ok(bytes)
}

/// Whether all bytes are zero, in a time that tells nothing.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte).ct_eq(&0).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(length: usize) -> usize {
        size_class(64, length)
    }

    #[test]
    fn size_classes_double() {
        assert_eq!(
            [0, 1, 64, 65, 128, 129, 1000].map(class),
            [64, 64, 64, 128, 128, 256, 1024]
        );
    }

    proptest! {
        #[test]
        fn unframe_inverts_frame(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let framed = frame(&bytes, class).unwrap();
            prop_assert_eq!(framed.len(), class(4 + bytes.len()));
            prop_assert_eq!(unframe(&framed, class), Ok(&bytes[..]));
        }

        /// CNT-10
        #[test]
        fn one_byte_more_or_less_or_not_zero_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..59)) {
            let framed = frame(&bytes, class).unwrap();
            let mut longer = framed.to_vec();
            longer.push(0);
            prop_assert_eq!(unframe(&longer, class), Err(Error::Open));
            prop_assert_eq!(unframe(&framed[..63], class), Err(Error::Open));
            let mut dirty = framed.to_vec();
            dirty[63] = 1;
            prop_assert_eq!(unframe(&dirty, class), Err(Error::Open));
            let mut wrong_length = framed.to_vec();
            wrong_length[2] = 1;
            prop_assert_eq!(unframe(&wrong_length, class), Err(Error::Open));
        }
    }
}
