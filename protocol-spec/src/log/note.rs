//! Signed notes, as c2sp.org/signed-note has them: a text, and under it lines of signatures by named keys.
//!
//! By hand, on `ed25519-dalek`: the crates `signed_note` and `tlog_tiles` (0.2) bring a second generation of the
//! dalek crates and `sha2`, and verify without the strict rules of STM-3.

use std::{fmt, str::FromStr};

use data_encoding::{BASE64, HEXLOWER};

use crate::{Error, hash::sha256, keys::IdentityKey};

/// A text with signatures that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    lines: Vec<SignatureLine>,
}

/// One signature under a note: by whom it claims to be, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// What a key of a note signs. The number enters the key's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The text itself, by Ed25519.
    Ed25519 = 1,
    /// The text with a time, as c2sp.org/tlog-cosignature has it, by Ed25519.
    Cosignature = 4,
}

/// A named key: what is needed to find and to verify its signatures. Its text form is the `vkey` of signed-note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    kind: KeyKind,
    key: IdentityKey,
}

impl Note {
    /// Most bytes of a note; with the longest text that is signed here it has room for some hundred signatures.
    pub const MAX_LEN: usize = 64 * 1024;
    /// Most lines of signatures; signed-note asks for 16 at least.
    const MAX_LINES: usize = 64;

    /// A text to be signed. Fails with [`Error::Note`] if it is no note's text.
    pub fn unsigned(text: String) -> Result<Self, Error> {
        check_text(&text)?;
        Ok(Self {
            text,
            lines: Vec::new(),
        })
    }

    /// Reads a note; whoever has signed it may be unknown (LOG-6).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MAX_LEN {
            return malformed("it is too long");
        }
        let Ok(whole) = std::str::from_utf8(bytes) else {
            return malformed("it is no UTF-8");
        };
        // The last empty line ends the text.
        let Some((text, lines)) = whole.rfind("\n\n").and_then(|at| {
            let (text, rest) = whole.split_at_checked(at + 1)?;
            Some((text, rest.strip_prefix('\n')?))
        }) else {
            return malformed("it has no signatures");
        };
        check_text(text)?;
        let Some(lines) = lines.strip_suffix('\n') else {
            return malformed("a line of it does not end");
        };
        let lines: Vec<_> = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        if lines.len() > Self::MAX_LINES {
            return malformed("it has too many signatures");
        }
        Ok(Self {
            text: text.to_owned(),
            lines,
        })
    }

    /// The text, with the newline that ends it. Nothing to believe before a known key has signed it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of signatures that stand under the text.
    pub fn lines(&self) -> &[SignatureLine] {
        &self.lines
    }

    /// The same note with one signature more.
    #[must_use]
    pub fn with(mut self, line: SignatureLine) -> Self {
        self.lines.push(line);
        self
    }

    /// The text, if this key of kind 1 has signed it and no signature of it fails (LOG-6).
    pub fn signed_by(&self, key: &NoteKey) -> Result<&str, Error> {
        let mut signed = false;
        for signature in self.by(key) {
            let signature = signature.try_into().map_err(|_| Error::Signature)?;
            key.key.verify(self.text.as_bytes(), signature)?;
            signed = true;
        }
        if signed && key.kind == KeyKind::Ed25519 {
            Ok(&self.text)
        } else {
            Err(Error::Signature)
        }
    }

    /// What this key has signed here, if anything: lines of other keys are passed over, also those that
    /// share its name or its id, and not both (LOG-6).
    pub fn by<'a>(&'a self, key: &'a NoteKey) -> impl Iterator<Item = &'a [u8]> {
        let id = key.id();
        self.lines
            .iter()
            .filter(move |line| line.id == id && line.name == key.name)
            .map(|line| line.signature.as_slice())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, lines } = self;
        writeln!(f, "{text}")?;
        lines.iter().try_for_each(|line| line.fmt(f))
    }
}

impl FromStr for SignatureLine {
    type Err = Error;

    /// Reads a line without the newline that ends it.
    fn from_str(line: &str) -> Result<Self, Error> {
        let parts = line
            .strip_prefix("— ")
            .and_then(|rest| rest.split_once(' '))
            .filter(|(name, _)| is_key_name(name))
            .and_then(|(name, signature)| Some((name, BASE64.decode(signature.as_bytes()).ok()?)));
        let Some((name, bytes)) = parts else {
            return malformed("a line of it is no signature");
        };
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: *id,
                signature: signature.to_vec(),
            }),
            _ => malformed("a signature of it is too short"),
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, id, signature } = self;
        writeln!(
            f,
            "— {name} {}",
            BASE64.encode(&[id.as_slice(), signature].concat())
        )
    }
}

impl NoteKey {
    /// A key under its name. Fails with [`Error::Note`] if no key may be called so.
    pub fn new(name: &str, kind: KeyKind, key: IdentityKey) -> Result<Self, Error> {
        if !is_key_name(name) {
            return malformed("no key may be called so");
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            key,
        })
    }

    /// The name by which signatures say that they are of this key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of thing that the key signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 public key that verifies its signatures.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// SHA-256(name ‖ 0x0a ‖ kind ‖ key), its first four bytes.
    pub fn id(&self) -> [u8; 4] {
        let kind = [self.kind as u8];
        let [a, b, c, d, ..] = sha256(&[self.name.as_bytes(), b"\n", &kind, self.key.as_bytes()]);
        [a, b, c, d]
    }

    /// The line that carries a signature of it.
    pub fn line(&self, signature: Vec<u8>) -> SignatureLine {
        SignatureLine {
            name: self.name.clone(),
            id: self.id(),
            signature,
        }
    }
}

impl FromStr for NoteKey {
    type Err = Error;

    /// Reads a key in the form `name+id+base64(kind ‖ key)`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return malformed("it is no key: expected name+id+key");
        };
        let bytes = BASE64.decode(rest.as_bytes()).unwrap_or_default();
        let (kind, key) = match bytes.split_first() {
            Some((1, key)) => (KeyKind::Ed25519, key),
            Some((4, key)) => (KeyKind::Cosignature, key),
            _ => return malformed("it is no key of a kind that is known here"),
        };
        let key = Self::new(name, kind, IdentityKey::try_from(key)?)?;
        if id == HEXLOWER.encode(&key.id()) {
            Ok(key)
        } else {
            malformed("the id of a key is another one")
        }
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, key } = self;
        let bytes = [&[*kind as u8], key.as_bytes().as_slice()].concat();
        write!(
            f,
            "{name}+{}+{}",
            HEXLOWER.encode(&self.id()),
            BASE64.encode(&bytes)
        )
    }
}

/// A text ends its last line and has no other control character than the newline.
fn check_text(text: &str) -> Result<(), Error> {
    let odd = |c: char| c < ' ' && c != '\n';
    if !text.ends_with('\n') || text.contains(odd) {
        return malformed("its text has control characters or does not end");
    }
    Ok(())
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c < ' ' || c == '+')
}

pub(super) fn malformed<T>(rule: &'static str) -> Result<T, Error> {
    Err(Error::Note { rule })
}
