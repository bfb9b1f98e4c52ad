//! A terminal takes the institution's newest recipient keys. See `spec/institutions.md` §4.

use crypto::{RecipientSecret, open_terminal_keys};
use protocol_spec::{api, field::SealedBytes, ids::TerminalId, messages as pb};

use super::{ends::Ends, office::Office};
use crate::{
    Error, Result,
    keystore::{KeyStoreError, StoredRecipient},
};

/// On a terminal: takes the institution's newest recipient key, if it has rotated since.
pub(crate) async fn keep_up(office: &Office) -> Result<()> {
    if office.keys.certificate.is_none() {
        return Ok(());
    }
    let newest = office.own_entry().await?.recipient_key().digest();
    let held = office.keys.store.recipient_keys();
    if held.iter().any(|key| key.digest() == newest) {
        return Ok(());
    }
    let terminal = office.get(api::TERMINAL.here()).await?;
    take_keys(office, terminal).await
}

/// Opens what was sealed to this terminal, and takes those keys that stand in the institution's chain (INS-12).
pub(super) async fn take_keys(office: &Office, terminal: pb::Terminal) -> Result<()> {
    let (Some(sealed), Some(certificate)) = (terminal.keys, &office.keys.certificate) else {
        return Ok(());
    };
    let certificate = certificate.claimed();
    let sealed = SealedBytes::try_from(Some(sealed)).map_err(Error::tampered(WHAT))?;
    let recipient = StoredRecipient {
        store: &*office.keys.store,
        key: certificate.recipient_key.digest(),
    };
    let id = TerminalId::from(&certificate.terminal_key);
    let seeds =
        open_terminal_keys(&recipient, &office.id(), &id, &sealed).map_err(KeyStoreError::opening(WHAT))?;
    let chain = office.session.mirror.chain(office.id()).await?;
    let mut noted = Vec::new();
    for seed in seeds {
        let key = RecipientSecret::from_seed(&seed)?.public().digest();
        let at = chain
            .iter()
            .position(|entry| entry.recipient_key().digest() == key);
        let Some(at) = at else {
            return Err(Error::tampered(WHAT)("a key in it is not the institution's"));
        };
        let later = chain
            .iter()
            .skip(at + 1)
            .filter_map(|entry| entry.keys().succession);
        noted.extend(later.map(|place| (key, place.overlap_ends)));
        office.keys.store.import_recipient_key(&seed)?;
    }
    Ends::change(&office.session.home, |ends| {
        noted.iter().for_each(|(key, at)| ends.note(key, *at));
    })
}

const WHAT: &str = "the terminal's certificate";
