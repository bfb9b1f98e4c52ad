//! Signatures of requests: RFC 9421 with a strict profile. See `spec/api.md` §3.
//!
//! The profile fixes what RFC 9421 leaves open: which components are covered and in which order, which
//! parameters stand where, one algorithm, one tag. Published crates verify whatever the signer chose to
//! cover; here both sides rebuild the signature base from the request, and whatever differs does not verify.
//! Structured fields are parsed by `sfv`.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request};
use sfv::{BareItem, Dictionary, FieldType, InnerList, ListEntry, Parser};

use crate::{Error, defence::Defence, hash::Sha256Digest, keys::IdentityKey, messages as pb};

/// Longest time between `created` and `expires`, and the tolerance for clocks: seconds.
pub const MAX_AGE: u64 = 120;
/// The tag of the profile.
pub const TAG: &str = "medvault/v1";

/// RFC 9530 digest of a message body.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// Names one intended effect; a repetition gets the same answer.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The server's single-use challenge, in presentations.
pub const CHALLENGE: HeaderName = HeaderName::from_static("medvault-challenge");
/// Hashes of the leaves in the body.
pub const LEAVES: HeaderName = HeaderName::from_static("medvault-leaves");
/// The operator that the request is meant for.
pub const OPERATOR: HeaderName = HeaderName::from_static("medvault-operator");
/// The delegation by which the caller acts for another patient (DLG-5).
pub const DELEGATION: HeaderName = HeaderName::from_static("medvault-delegation");
/// Labels and parameters of the signatures (RFC 9421 §4.1).
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// The signatures, by their labels (RFC 9421 §4.2).
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// Fields that are covered when the request has them, in this order; `OPERATOR` every request has.
const FIELDS: [HeaderName; 6] = [
    OPERATOR,
    CONTENT_DIGEST,
    IDEMPOTENCY_KEY,
    CHALLENGE,
    LEAVES,
    DELEGATION,
];

/// The label of a signature, which says whose key it is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureLabel {
    /// The own key of a principal: a device, institution or terminal.
    Id,
    /// The possession key of a permission.
    Pop,
}

impl SignatureLabel {
    /// The label as it stands in `Signature-Input`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Pop => "pop",
        }
    }
}

/// The parameters of a signature, which its signer chooses (API-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// When it was signed, in seconds since 1970.
    pub created: u64,
    /// When it ends, in seconds since 1970, at most [`MAX_AGE`] after `created`.
    pub expires: u64,
    /// 16 random bytes or more, in base64url or hex.
    pub nonce: String,
    /// Text form of the principal's or the permission's id.
    pub key_id: String,
}

/// The parts of a request that are covered.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// `host:port` as the client knows the server.
    pub authority: &'a str,
    /// The path and the query of the request.
    pub uri: &'a Uri,
    /// All fields of the request's header.
    pub headers: &'a HeaderMap,
}

impl Target<'_> {
    /// RFC 9421 §2.5: one line a component, then the parameters (API-4). Fails with [`Error::RequestSignature`] when
    /// a covered field is absent, repeated or not text.
    pub fn signature_base(&self, params: &Params) -> Result<String, Error> {
        let mut base = format!(
            "\"@method\": {}\n\"@authority\": {}\n\"@path\": {}\n\"@query\": ?{}\n",
            self.method,
            self.authority.to_ascii_lowercase(),
            self.uri.path(),
            self.uri.query().unwrap_or_default(),
        );
        for (name, value) in self.fields()? {
            base.push_str(&format!("\"{name}\": {value}\n"));
        }
        base.push_str("\"@signature-params\": ");
        base.push_str(&self.signature_params(params)?);
        Ok(base)
    }

    /// RFC 9421 §2.3, with the parameters of the profile in their order (API-5).
    fn signature_params(&self, params: &Params) -> Result<String, Error> {
        let Params {
            created,
            expires,
            nonce,
            key_id,
        } = params;
        let components: Vec<String> = ["@method", "@authority", "@path", "@query"]
            .into_iter()
            .map(str::to_owned)
            .chain(self.fields()?.into_iter().map(|(name, _)| name.to_string()))
            .map(|name| format!("\"{name}\""))
            .collect();
        Ok(format!(
            "({});created={created};expires={expires};nonce=\"{nonce}\";alg=\"ed25519\";keyid=\"{key_id}\";tag=\"{TAG}\"",
            components.join(" "),
        ))
    }

    fn fields(&self) -> Result<Vec<(HeaderName, &str)>, Error> {
        let mut found = Vec::with_capacity(FIELDS.len());
        for name in FIELDS {
            let mut values = self.headers.get_all(&name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => {
                    let text = value.to_str().map_err(|_| rule("a covered field is not text"))?;
                    found.push((name, text.trim()));
                }
                (None, _) if name != OPERATOR => {}
                (None, _) => return Err(rule("the operator's id is missing")),
                (Some(_), Some(_)) => return Err(rule("a covered field stands twice")),
            }
        }
        Ok(found)
    }
}

/// One signer of a request.
pub struct Signer<'a> {
    /// The label under which it signs.
    pub label: SignatureLabel,
    /// The parameters that it has chosen.
    pub params: Params,
    /// Signs the signature base with Ed25519.
    pub sign: &'a dyn Fn(&[u8]) -> [u8; 64],
}

/// Adds `Signature-Input` and `Signature` for all signers. Everything else in the request must stand.
pub fn sign(parts: &mut request::Parts, authority: &str, signers: &[Signer<'_>]) -> Result<(), Error> {
    let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
    for Signer { label, params, sign } in signers {
        let target = Target {
            method: &parts.method,
            authority,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        let signature = sign(target.signature_base(params)?.as_bytes());
        let label = label.as_str();
        inputs.push(format!("{label}={}", target.signature_params(params)?));
        signatures.push(format!("{label}=:{}:", data_encoding::BASE64.encode(&signature)));
    }
    let value = |items: Vec<String>| {
        HeaderValue::try_from(items.join(", ")).map_err(|_| rule("a parameter is not text"))
    };
    parts.headers.insert(SIGNATURE_INPUT, value(inputs)?);
    parts.headers.insert(SIGNATURE, value(signatures)?);
    Ok(())
}

/// One signature of a request, parsed and rebuilt, not yet verified.
#[derive(Clone, Debug)]
pub struct RequestSignature {
    /// The parameters that its signer has chosen.
    pub params: Params,
    base: String,
    signature: [u8; 64],
}

impl RequestSignature {
    /// Reads the signature with this label, by the rules of the profile (API-4 to API-6). Fails with
    /// [`Error::RequestSignature`] with the rule broken.
    pub fn parse(target: &Target<'_>, label: SignatureLabel) -> Result<Self, Error> {
        let input = dictionary(target.headers, &SIGNATURE_INPUT)?;
        let signatures = dictionary(target.headers, &SIGNATURE)?;
        let known = |name: &str| name == SignatureLabel::Id.as_str() || name == SignatureLabel::Pop.as_str();
        if input.len() != signatures.len() || !input.keys().all(|name| known(name.as_str())) {
            return Err(rule("an unknown signature stands in it"));
        }
        let Some(ListEntry::InnerList(list)) = input.get(label.as_str()) else {
            return Err(rule("the signature is missing"));
        };
        let params = read_params(list)?;
        check_components(list, target)?;
        let Some(ListEntry::Item(item)) = signatures.get(label.as_str()) else {
            return Err(rule("the signature is missing"));
        };
        let signature = item
            .bare_item
            .as_byte_sequence()
            .and_then(|bytes| bytes.try_into().ok());
        let base = target.signature_base(&params)?;
        Ok(Self {
            params,
            base,
            signature: signature.ok_or_else(|| rule("a signature is 64 bytes"))?,
        })
    }

    /// Checks that the signature is neither old nor from the future (API-7); `now` in seconds.
    pub fn check_time(&self, now: u64) -> Result<(), Error> {
        let Params { created, expires, .. } = self.params;
        let fresh = created <= expires
            && expires - created <= MAX_AGE
            && created <= now.saturating_add(MAX_AGE)
            && now < expires;
        if fresh {
            Ok(())
        } else {
            Err(rule("created and expires do not fit the server's clock"))
        }
    }

    /// Checks the signature under this key (API-4).
    pub fn verify(&self, key: &IdentityKey) -> Result<(), Error> {
        Defence::RequestSignatures.check(key.verify(self.base.as_bytes(), &self.signature))
    }

    /// Keeps it as it was made.
    pub fn evidence(&self) -> pb::Evidence {
        pb::Evidence {
            signature_base_id: self.base.clone().into(),
            signature_id: self.signature.to_vec().into(),
            ..pb::Evidence::default()
        }
    }
}

/// Keeps both signatures of a presentation as they were made.
pub fn evidence(id: &RequestSignature, pop: &RequestSignature) -> pb::Evidence {
    pb::Evidence {
        signature_base_pop: pop.base.clone().into(),
        signature_pop: pop.signature.to_vec().into(),
        ..id.evidence()
    }
}

/// `Content-Digest` of a body: `sha-256=:…:` and nothing else (API-3).
pub fn content_digest(body: &[u8]) -> String {
    format!(
        "sha-256=:{}:",
        data_encoding::BASE64.encode(Sha256Digest::of(body).as_bytes())
    )
}

/// A challenge or hashes as a field's value: one byte sequence, RFC 9651 §3.3.5 (API-2).
pub fn bytes_field(bytes: &[u8]) -> String {
    format!(":{}:", data_encoding::BASE64.encode(bytes))
}

/// Inverse of [`bytes_field`]. Fails with [`Error::RequestSignature`] when the field is absent,
/// repeated or of another form.
pub fn read_bytes_field(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<u8>, Error> {
    let wrong = || rule("the field is exactly one byte sequence");
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong());
    };
    let base64 = value
        .as_bytes()
        .strip_prefix(b":")
        .and_then(|rest| rest.strip_suffix(b":"));
    data_encoding::BASE64
        .decode(base64.ok_or_else(wrong)?)
        .map_err(|_| wrong())
}

fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Result<Dictionary, Error> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(rule(
            "exactly one signature and one signature-input field are needed",
        ));
    };
    let dictionary: Dictionary = Parser::new(value.as_bytes())
        .parse()
        .map_err(|_| rule("the field is not a structured dictionary"))?;
    // One form each: base64, for one, may be read with its unused bits set.
    if dictionary
        .serialize()
        .is_none_or(|text| text.as_bytes() != value.as_bytes())
    {
        return Err(rule("the field is not in its canonical form"));
    }
    Ok(dictionary)
}

fn read_params(list: &InnerList) -> Result<Params, Error> {
    let wrong = || rule("parameters are created, expires, nonce, alg, keyid, tag, in this order");
    let names: Vec<&str> = list.params.keys().map(|name| name.as_str()).collect();
    if names != ["created", "expires", "nonce", "alg", "keyid", "tag"] {
        return Err(wrong());
    }
    let integer = |name: &str| {
        let value = list
            .params
            .get(name)
            .and_then(BareItem::as_integer)
            .ok_or_else(wrong)?;
        u64::try_from(i64::from(value)).map_err(|_| wrong())
    };
    let text = |name: &str| {
        list.params
            .get(name)
            .and_then(BareItem::as_string)
            .map(|text| text.as_str().to_owned())
            .ok_or_else(wrong)
    };
    if text("alg")? != "ed25519" || text("tag")? != TAG {
        return Err(rule("alg is ed25519 and tag is medvault/v1"));
    }
    let (nonce, key_id) = (text("nonce")?, text("keyid")?);
    let plain = |text: &str| {
        text.bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
    };
    if !(22..=64).contains(&nonce.len()) || !plain(&nonce) || key_id.len() > 64 || !plain(&key_id) {
        return Err(rule("nonce and keyid are letters, digits, - and _"));
    }
    Ok(Params {
        created: integer("created")?,
        expires: integer("expires")?,
        nonce,
        key_id,
    })
}

/// The covered components are those the profile demands for this request, no more and no fewer (API-4).
fn check_components(list: &InnerList, target: &Target<'_>) -> Result<(), Error> {
    let fields = target.fields()?;
    let wanted = ["@method", "@authority", "@path", "@query"]
        .into_iter()
        .chain(fields.iter().map(|(name, _)| name.as_str()));
    let given = list
        .items
        .iter()
        .map(|item| item.bare_item.as_string().map(|text| text.as_str()));
    let bare = list.items.iter().all(|item| item.params.is_empty());
    if bare && given.eq(wanted.map(Some)) {
        Ok(())
    } else {
        Err(rule("covered components are not those of the profile"))
    }
}

const fn rule(rule: &'static str) -> Error {
    Error::RequestSignature { rule }
}

#[cfg(test)]
mod tests;
