//! Where the fields of an encoded body lie, and one bit of it changed.

use bytes::Bytes;

/// The leaf fields of a canonical protobuf body: path of field numbers, and the offset of the byte whose
/// lowest bit is changed, the first of a number and the last of everything else.
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper on bytes the test itself encoded"
)]
pub(super) fn fields(bytes: &[u8], path: &str, nested: &[&str], base: usize, out: &mut Vec<(String, usize)>) {
    let mut at = 0;
    while at < bytes.len() {
        let (key, after_key) = varint(bytes, at);
        let name = format!("{path}{}", key >> 3);
        let (value_at, end) = match key & 7 {
            0 => (after_key, varint(bytes, after_key).1),
            2 => {
                let (length, start) = varint(bytes, after_key);
                (start, start + usize::try_from(length).unwrap())
            }
            other => panic!("wire type {other}"),
        };
        if nested.contains(&name.as_str()) {
            let inner = &bytes[value_at..end];
            fields(inner, &format!("{name}."), nested, base + value_at, out);
        } else {
            out.push((name, base + if key & 7 == 0 { value_at } else { end - 1 }));
        }
        at = end;
    }
}

fn varint(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[at];
        value |= u64::from(byte & 0x7f) << shift;
        at += 1;
        shift += 7;
        if byte & 0x80 == 0 {
            return (value, at);
        }
    }
}

pub(super) fn flip(bytes: &Bytes, at: usize) -> Bytes {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed.into()
}
