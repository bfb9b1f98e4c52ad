//! Messages as the JSON that Protocol Buffers define for them, for people who look at what travels. What is signed stays
//! bytes: a signature is over the encoding, not over what it means. See `spec/api.md` §1.

pub mod schema;
pub mod view;

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::Error;

/// The descriptors of the `.proto` files, compiled at build time.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let files = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    // The build has made them; without, no message has a descriptor, and each is refused.
    DescriptorPool::decode(files.as_slice()).unwrap_or_default()
});

/// Where our types stand; the files also hold those of the options.
const PACKAGE: &str = "medvault.v1";

/// What the `.proto` files say of a message.
fn descriptor<M: Name>() -> Result<MessageDescriptor, Error> {
    let found = POOL.get_message_by_name(&M::full_name());
    found.ok_or(Error::Decode { message: M::NAME })
}

/// The descriptors of all message types of the protocol.
pub fn descriptors() -> impl Iterator<Item = MessageDescriptor> {
    POOL.all_messages()
        .filter(|message| message.package_name() == PACKAGE)
}

/// A message as JSON: names in lower camel case, bytes in base64, numbers of 64 bits as strings, defaults left out.
/// Fails with [`Error::Decode`] for what is none of our messages.
pub fn encode<M: Message + Name>(message: &M) -> Result<Vec<u8>, Error> {
    let malformed = Error::Decode { message: M::NAME };
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic.transcode_from(message).map_err(|_| malformed.clone())?;
    serde_json::to_vec(&dynamic).map_err(|_| malformed)
}

/// A message from JSON; unknown names are refused.
pub fn decode<M: Message + Default + Name>(json: &[u8]) -> Result<M, Error> {
    let malformed = || Error::Decode { message: M::NAME };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let dynamic = DynamicMessage::deserialize(descriptor::<M>()?, &mut reader).map_err(|_| malformed())?;
    reader.end().map_err(|_| malformed())?;
    dynamic.transcode_to().map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages as pb;

    fn page() -> pb::WrapPage {
        pb::WrapPage {
            wraps: vec![pb::Wrap {
                number: u64::MAX,
                version_id: vec![0xff; 16].into(),
                data_key_wrap: vec![1; 3].into(),
                record_id: Vec::new().into(),
            }],
            next: 0,
        }
    }

    #[test]
    fn it_is_the_json_of_protocol_buffers() {
        let json = String::from_utf8(encode(&page()).unwrap()).unwrap();
        let expected = r#"{"wraps":[{"number":"18446744073709551615","versionId":"/////////////////////w==","dataKeyWrap":"AQEB"}]}"#;
        assert_eq!(json, expected);
        assert_eq!(decode::<pb::WrapPage>(json.as_bytes()).unwrap(), page());
        assert_eq!(encode(&pb::Accepted {}).unwrap(), b"{}");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for json in [
            "",
            "[]",
            "{}{}",
            r#"{"wraps": 1}"#,
            r#"{"other": 1}"#,
            r#"{"wraps":[{"versionId":"*"}]}"#,
        ] {
            assert_eq!(
                decode::<pb::WrapPage>(json.as_bytes()),
                Err(Error::Decode { message: "WrapPage" }),
                "{json}"
            );
        }
        let deep = format!("{}{}", r#"{"wraps":["#.repeat(10_000), "]}".repeat(10_000));
        assert!(decode::<pb::WrapPage>(deep.as_bytes()).is_err());
    }

    #[test]
    fn every_message_has_a_descriptor() {
        assert!(descriptors().count() > 100);
    }
}
