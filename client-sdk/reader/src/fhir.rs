//! FHIR resources in JSON, NDJSON and XML: their kind, and the day that is clinically theirs.
//!
//! [`CLINICAL`] says of each kind of resource which of its elements that is. A bundle is of all the days of its entries; one that is a
//! document is of its composition's. Only what was read to its end has days: of half a bundle nobody knows them all.

use std::io::{Read, Seek};

use crate::{
    bytes::Bytes,
    day::{Days, joined},
    description::Description,
    json::{self, Visit},
};

mod table;

use self::table::{CLINICAL, FIELDS};

/// A resource, or several one behind the other; none for an object that is none.
pub(crate) fn of_json(file: &mut (impl Read + Seek)) -> Option<Description> {
    let mut bytes = Bytes::new(file);
    if bytes.peek() == Some(0xef) {
        for _ in 0..3 {
            bytes.next();
        }
    }
    let mut all: Option<Description> = None;
    let mut media_type = JSON;
    loop {
        let mut one = Fhir::default();
        one.root(b"");
        let whole = json::object(&mut bytes, &mut one).is_ok();
        let kind = one.resource.kind.as_slice();
        let ends_well = whole || bytes.is_cut();
        if !ends_well || !is_kind(kind) {
            return None;
        }
        let one = one.described(JSON, whole);
        all = Some(match all {
            None => one,
            Some(before) => before.and(one),
        });
        match json::space(&mut bytes) {
            _ if !whole => break,
            None => break,
            Some(b'{') => media_type = NDJSON,
            Some(_) => return None,
        }
    }
    if bytes.is_cut() {
        all.iter_mut().for_each(|found| found.days = None);
    }
    all.map(|found| Description {
        media_type: media_type.into(),
        ..found
    })
}

/// What has been seen of a resource, and of those that are its entries.
#[derive(Default)]
pub(crate) struct Fhir {
    resource: Resource,
    /// Around the one that is being read, at most [`MOST_BUNDLES`].
    around: Vec<Resource>,
    /// Where it is, with a dot behind each name.
    path: Vec<u8>,
    /// How long the path was before each of its names.
    names: Vec<usize>,
    /// Elements and not members: the kind of a resource is a name.
    is_xml: bool,
}

struct Resource {
    kind: Vec<u8>,
    /// How long the path to it is.
    base: usize,
    days: [Option<Days>; FIELDS.len()],
    is_document: bool,
    /// Of the entries of a bundle.
    entries: Option<Days>,
    composition: Option<Days>,
}

impl Default for Resource {
    fn default() -> Self {
        Self {
            kind: Vec::new(),
            base: 0,
            days: [None; FIELDS.len()],
            is_document: false,
            entries: None,
            composition: None,
        }
    }
}

impl Fhir {
    /// Begins with the outermost resource, whose kind is known already if this is XML.
    pub(crate) fn root(&mut self, kind: &[u8]) {
        self.is_xml = !kind.is_empty();
        self.resource.kind = kind.to_vec();
    }

    /// Of a resource that was not read to its end only its kind.
    pub(crate) fn described(mut self, media_type: &str, whole: bool) -> Description {
        while let Some(around) = self.around.pop() {
            self.resource = around;
        }
        let kind = Some(&self.resource.kind).filter(|kind| is_kind(kind));
        Description {
            media_type: media_type.to_owned(),
            fhir_resource_type: kind
                .map(|kind| String::from_utf8_lossy(kind).into_owned())
                .unwrap_or_default(),
            days: self.resource.own_days().filter(|_| whole),
            ..Description::default()
        }
    }

    /// Where it is within the resource.
    fn within(&self) -> &[u8] {
        let path = self.path.get(self.resource.base..).unwrap_or_default();
        path.strip_suffix(b".").unwrap_or(path)
    }

    /// An entry of a bundle begins, whose path is this long.
    fn begin(&mut self, kind: &[u8]) {
        if self.around.len() < MOST_BUNDLES {
            let entry = Resource {
                kind: kind.to_vec(),
                base: self.path.len(),
                ..Resource::default()
            };
            self.around.push(std::mem::replace(&mut self.resource, entry));
        }
    }

    fn end(&mut self) {
        if let Some(around) = self.around.pop() {
            let entry = std::mem::replace(&mut self.resource, around);
            let days = entry.own_days();
            self.resource.entries = joined(self.resource.entries, days);
            if entry.kind == b"Composition" && self.resource.composition.is_none() {
                self.resource.composition = days;
            }
        }
    }
}

impl Visit for Fhir {
    fn enter(&mut self, name: &[u8]) {
        let in_entry = self.is_xml && self.within() == b"entry.resource";
        self.names.push(self.path.len());
        self.path.extend_from_slice(name);
        self.path.push(b'.');
        if in_entry {
            self.begin(name);
        } else if !self.is_xml && self.within() == b"entry.resource" {
            self.begin(b"");
        }
    }

    fn value(&mut self, value: &[u8]) {
        let within = self.within();
        if within == b"resourceType" && !self.is_xml {
            self.resource.kind = value.to_vec();
        } else if within == b"type" && value == b"document" {
            self.resource.is_document = true;
        } else if let Some(field) = field(within) {
            let days = Days::iso(value);
            if let Some(known) = self.resource.days.get_mut(field) {
                *known = joined(*known, days);
            }
        }
    }

    fn leave(&mut self) {
        if !self.around.is_empty() && self.path.len() == self.resource.base {
            self.end();
        }
        self.path.truncate(self.names.pop().unwrap_or_default());
    }
}

impl Resource {
    fn own_days(&self) -> Option<Days> {
        let own = || {
            let fields = CLINICAL.iter().find(|(kind, _)| kind.as_bytes() == self.kind)?.1;
            let days = |name: &&str| *self.days.get(field(name.as_bytes())?)?;
            fields.iter().find_map(days)
        };
        if self.kind != b"Bundle" {
            return own();
        }
        let document = self.composition.filter(|_| self.is_document);
        document.or(self.entries).or_else(own)
    }
}

/// Which of the elements that are looked for this is; both ends of a period are the period.
fn field(within: &[u8]) -> Option<usize> {
    let named = |name: &[u8]| FIELDS.binary_search_by(|field| field.as_bytes().cmp(name)).ok();
    let period = within
        .strip_suffix(b".start")
        .or_else(|| within.strip_suffix(b".end"));
    named(within).or_else(|| named(period?))
}

fn is_kind(kind: &[u8]) -> bool {
    (1..=json::LONGEST).contains(&kind.len()) && kind.iter().all(u8::is_ascii_alphabetic)
}

const JSON: &str = "application/fhir+json";
const NDJSON: &str = "application/fhir+ndjson";
/// Bundles may lie in one another; deeper than this their entries have no days.
const MOST_BUNDLES: usize = 4;

#[cfg(test)]
mod tests;
