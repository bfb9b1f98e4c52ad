//! Proofs of the log's growth that come along with answers: structured fields (RFC 9651) in the header section, LOG-19.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, List, ListEntry, Parser};

use super::merkle::Hash;

/// How much of the log the client has seen, as a decimal number. No signature covers it: what comes of it proves itself.
pub const LOG_SIZE: HeaderName = HeaderName::from_static("medvault-log-size");
/// A consistency proof that leads from the size that the client has seen.
pub const LOG_GROWTH: HeaderName = HeaderName::from_static("medvault-log-growth");

/// That the log of one size continues that of another, unverified ([`super::verify_consistency`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Size of the older tree, in leaves.
    pub from: u64,
    /// Size of the newer tree, in leaves.
    pub to: u64,
    /// Nodes, as RFC 6962 §2.1.2 has them.
    pub path: Vec<Hash>,
}

impl Growth {
    /// The value of a field: a byte sequence with both sizes as parameters.
    pub fn field(&self) -> HeaderValue {
        let Self { from, to, path } = self;
        let path = data_encoding::BASE64.encode(&path.concat());
        HeaderValue::try_from(format!(":{path}:;from={from};to={to}"))
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// All that a header section has; what is none is passed over.
    pub fn read(headers: &HeaderMap) -> Vec<Self> {
        let values = headers.get_all(&LOG_GROWTH).iter();
        let lists = values.filter_map(|value| Parser::new(value.as_bytes()).parse::<List>().ok());
        lists.flatten().filter_map(|entry| growth(&entry)).collect()
    }
}

fn growth(entry: &ListEntry) -> Option<Growth> {
    let ListEntry::Item(item) = entry else {
        return None;
    };
    let BareItem::ByteSequence(bytes) = &item.bare_item else {
        return None;
    };
    let (path, []) = bytes.as_chunks::<32>() else {
        return None;
    };
    let size = |name: &str| match item.params.get(name)? {
        BareItem::Integer(size) => u64::try_from(i64::from(*size)).ok(),
        _ => None,
    };
    Some(Growth {
        from: size("from")?,
        to: size("to")?,
        path: path.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(to: u64) -> Growth {
        Growth {
            from: 3,
            to,
            path: vec![[1; 32], [2; 32]],
        }
    }

    /// LOG-19
    #[test]
    fn what_is_written_is_read() {
        let mut headers = HeaderMap::new();
        for to in [4, 5] {
            headers.append(LOG_GROWTH, growth(to).field());
        }
        assert_eq!(Growth::read(&headers), [growth(4), growth(5)]);
        let joined = format!(
            "{}, {}",
            growth(4).field().to_str().unwrap(),
            growth(5).field().to_str().unwrap()
        );
        headers.insert(LOG_GROWTH, joined.parse().unwrap());
        assert_eq!(Growth::read(&headers), [growth(4), growth(5)]);
    }

    /// LOG-19
    #[test]
    fn what_is_no_growth_is_passed_over() {
        for wrong in [
            "",
            "7",
            ":AAAA:;from=1;to=2",
            "::;from=1",
            "::;from=-1;to=2",
            "::;from=1.5;to=2",
            "(::);from=1;to=2",
            "::;from=\"1\";to=2",
            ":;from=1;to=2",
        ] {
            let mut headers = HeaderMap::new();
            headers.append(LOG_GROWTH, wrong.parse().unwrap());
            headers.append(LOG_GROWTH, growth(4).field());
            assert_eq!(Growth::read(&headers), [growth(4)], "{wrong}");
        }
    }
}
