//! The registrar agrees that an operator goes on with an older copy of its data, once for each generation of
//! a log. See `protocol-spec/spec/restoration.md` §1.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::collections::BTreeMap;

use prost::Message;
use protocol_spec::{
    bodies::Restoration,
    ids::{OperatorId, RegistrarId},
    keys::IdentityKey,
    messages as pb,
    statement::{Signed, Verified},
};

use super::Registrar;
use crate::{Error, Result};

impl Registrar {
    /// Reads what an operator wants signed, and checks that it is the operator's (RST-3). Errors: [`Error::Tampered`].
    pub fn inspect_restoration(request: &[u8]) -> Result<Verified<Restoration>> {
        let file = read(request)?;
        let operator = IdentityKey::try_from(file.operator_key.as_ref()).map_err(refused)?;
        let signed = Signed::<Restoration>::try_from(file.by_operator).map_err(refused)?;
        let restoration = signed.verify(&operator).map_err(refused)?;
        if restoration.operator_id == OperatorId::from(&operator) {
            Ok(restoration)
        } else {
            Err(refused("it is about another operator's log"))
        }
    }

    /// Agrees that an operator goes on with an older copy of its data: the file to hand back. `again` when another one was signed for
    /// this generation of the log, which nobody has taken in: two that were are a fork (RST-3, RST-6).
    /// Errors: as [`Self::inspect_restoration`]; [`Error::Usage`] for another registrar's server,
    /// and for a second one.
    pub fn restore(&self, request: &[u8], again: bool) -> Result<Vec<u8>> {
        let restoration = Self::inspect_restoration(request)?;
        if restoration.registrar_id != RegistrarId::from(&self.key.public()) {
            return Err(Error::Usage(
                "this is for another registrar: the server goes by that one's accreditations".into(),
            ));
        }
        let _lock = self.home.try_lock()?;
        let mut signed: Agreed = self.home.read_json(AGREED)?.unwrap_or_default();
        let log = format!("{}/{}", restoration.operator_id, restoration.generation);
        let hash = restoration.hash().to_string();
        let other = signed.insert(log, hash.clone()).filter(|other| *other != hash);
        if other.is_some() && !again {
            return Err(Error::Usage(
                "you have signed another restoration for this log: two that are taken in are two histories under one name. Only if the operator \
                 has not begun with that one, sign with --again"
                    .into(),
            ));
        }
        self.home.write_json(AGREED, &signed)?;
        let agreed = Signed::sign((*restoration).clone(), |message| self.key.sign_bytes(message));
        let file = pb::RestorationFile {
            by_registrar: Some(agreed.to_message()),
            ..read(request)?
        };
        Ok(file.encode_to_vec())
    }
}

fn read(request: &[u8]) -> Result<pb::RestorationFile> {
    protocol_spec::messages::decode(request).map_err(refused)
}

fn refused<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the request for a restoration")(cause)
}

/// By operator and generation, the hash of what was signed last.
type Agreed = BTreeMap<String, String>;

const AGREED: &str = "restorations.json";
