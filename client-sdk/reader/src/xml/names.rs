//! Namespaces of XML: which one a name is of, by the declarations that are in force where it stands.

use crate::json::{Ended, LONGEST};

/// The declarations in force, the innermost last. At most [`MOST_DECLARED`].
#[derive(Default)]
pub(super) struct Names {
    declared: Vec<Declared>,
}

struct Declared {
    /// Of the element that has it: how many are around that one.
    depth: usize,
    /// Empty where it is for names without one.
    prefix: Vec<u8>,
    uri: Vec<u8>,
}

impl Names {
    /// Takes an attribute of an element that has so many around it; those that declare nothing count for nothing.
    pub(super) fn attribute(&mut self, depth: usize, name: &[u8], value: &[u8]) -> Result<(), Ended> {
        let prefix = match split(name) {
            Some((b"", b"xmlns")) => b"",
            Some((b"xmlns", prefix)) => prefix,
            _ => return Ok(()),
        };
        if self.declared.len() == MOST_DECLARED {
            return Err(Ended);
        }
        self.declared.push(Declared {
            depth,
            prefix: prefix.to_vec(),
            uri: value.to_vec(),
        });
        Ok(())
    }

    /// The namespace of an element and its name there, once all attributes of its start tag have been taken.
    pub(super) fn resolve<'a>(&self, name: &'a [u8]) -> (&[u8], &'a [u8]) {
        let Some((prefix, local)) = split(name) else {
            return (b"", b"");
        };
        let declared = self.declared.iter().rfind(|one| one.prefix == prefix);
        (declared.map_or(b"", |one| &one.uri), local)
    }

    /// An element that has so many around it has ended, and what it declared.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.declared.pop_if(|one| one.depth >= depth).is_some() {}
    }
}

/// Prefix and name; none of a name that is longer than those that are looked for, of which the rest is not known.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() > LONGEST {
        return None;
    }
    let mut parts = name.splitn(2, |&byte| byte == b':');
    let first = parts.next()?;
    Some(parts.next().map_or((&b""[..], first), |local| (first, local)))
}

/// Clinical documents with many extensions declare some ten.
const MOST_DECLARED: usize = 64;
