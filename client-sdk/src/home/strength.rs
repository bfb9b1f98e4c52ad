//! Which passphrases may seal a home (PRG-8). Argon2id makes each guess dear; a passphrase that is among the first ones
//! guessed stays a bad one.

use protocol_spec::defence::Defence;
use zxcvbn::{Score, zxcvbn};

use crate::{Error, Result};

/// Refuses a passphrase that takes fewer than 10^8 guesses, by zxcvbn's estimate. Its copies of the passphrase are
/// not wiped: this is asked once, when a home is made.
pub(super) fn check(passphrase: &str) -> Result<()> {
    let score = zxcvbn(passphrase, &["medvault"]).score();
    if Defence::PassphraseStrength.holds(score >= Score::Three) {
        Ok(())
    } else {
        Err(Error::WeakPassphrase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PRG-8, ATK-44.
    #[test]
    fn what_is_soon_guessed_seals_no_home() {
        for weak in [
            "a",
            "123456",
            "password",
            "Medvault1!",
            "qwertyuiop",
            "26.11.1983",
        ] {
            assert!(matches!(check(weak), Err(Error::WeakPassphrase)), "{weak}");
        }
        for strong in [
            "seven otters carry a violin",
            "of every home in this example",
            "kJ7!vQz2#pLm",
        ] {
            assert!(check(strong).is_ok(), "{strong}");
        }
    }
}
