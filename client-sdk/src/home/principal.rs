//! Who lives in a home, and which server it belongs to.

use data_encoding::HEXLOWER;
use protocol_spec::{hash::Sha256Digest, keys::IdentityKey, link::ServerLink};
use serde::{Deserialize, Serialize};

/// Which kind of principal lives in a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Patient,
    Institution,
    Terminal,
    Registrar,
    /// A machine that waits for shares, with a key to which they are sealed.
    Recovering,
}

impl Kind {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Patient => "a patient",
            Self::Institution => "an institution",
            Self::Terminal => "a terminal",
            Self::Registrar => "a registrar",
            Self::Recovering => "a machine that recovers a vault",
        }
    }
}

/// The public part of a home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Principal {
    format: u32,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// The name of an institution; patients have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<String>,
    /// The server, once the principal is enrolled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    server: Option<StoredPins>,
    /// Whether the server has accepted the keys.
    #[serde(default)]
    pub(crate) enrolled: bool,
}

impl Principal {
    pub(crate) fn new(kind: Kind, id: impl ToString) -> Self {
        Self {
            format: FORMAT,
            kind,
            id: id.to_string(),
            name: None,
            server: None,
            enrolled: false,
        }
    }

    pub(crate) fn set_pins(&mut self, pins: &Pins) {
        self.server = Some(StoredPins {
            link: pins.link.to_string(),
            operator_key: HEXLOWER.encode(pins.operator.as_bytes()),
            registrar_key: HEXLOWER.encode(pins.registrar.as_bytes()),
            certificate: pins.certificate.map(|digest| digest.to_string()),
        });
    }

    /// Whether this program can read it.
    pub(super) fn is_readable(&self) -> bool {
        self.format == FORMAT
    }

    /// The server that it belongs to, once it is enrolled; none if what stands there is none.
    pub(super) fn pins(&self) -> Option<Option<Pins>> {
        let stored = self.server.as_ref().filter(|_| self.enrolled);
        stored.map(StoredPins::read)
    }

    /// What the secrets and the seal are bound to.
    pub(crate) fn context(&self) -> Vec<u8> {
        format!("{} {}", self.kind.text(), self.id).into_bytes()
    }
}

/// What a link was found to lead to when it was first followed. Later connections must find the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) link: ServerLink,
    pub(crate) operator: IdentityKey,
    pub(crate) registrar: IdentityKey,
    /// SHA-256 of a development server's own certificate; others are checked against the system's roots.
    pub(crate) certificate: Option<Sha256Digest>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredPins {
    link: String,
    operator_key: String,
    registrar_key: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    certificate: Option<String>,
}

impl StoredPins {
    fn read(&self) -> Option<Pins> {
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).ok();
        let key = |hex: &str| IdentityKey::try_from(bytes(hex)?.as_slice()).ok();
        let certificate = match &self.certificate {
            Some(hex) => Some(Sha256Digest::try_from(bytes(hex)?.as_slice()).ok()?),
            None => None,
        };
        Some(Pins {
            link: self.link.parse().ok()?,
            operator: key(&self.operator_key)?,
            registrar: key(&self.registrar_key)?,
            certificate,
        })
    }
}

const FORMAT: u32 = 1;
