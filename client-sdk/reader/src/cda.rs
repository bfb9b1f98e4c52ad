//! Clinical documents (HL7 CDA R2, and with it C-CDA): the time at which the document was made, `ClinicalDocument.effectiveTime`.

use crate::{
    day::{Days, joined},
    description::Description,
    json::Visit,
};

/// What has been seen of a document. Its outermost element has been entered already.
#[derive(Default)]
pub(crate) struct Cda {
    depth: usize,
    /// It is in the document's own `effectiveTime`, or in a bound of that.
    within: bool,
    days: Option<Days>,
}

impl Cda {
    /// Of a document that was not read to its end only what it is.
    pub(crate) fn described(self, whole: bool) -> Description {
        Description {
            // Registered with IANA by HL7 in 2021.
            media_type: "application/cda+xml".into(),
            days: self.days.filter(|_| whole),
            ..Description::default()
        }
    }
}

impl Visit for Cda {
    fn enter(&mut self, name: &[u8]) {
        self.depth += 1;
        match self.depth {
            1 => self.within = name == b"effectiveTime",
            2 => {}
            _ => self.within = false,
        }
    }

    fn value(&mut self, value: &[u8]) {
        if self.within && self.depth <= 2 {
            self.days = joined(self.days, Days::compact(value));
        }
    }

    fn leave(&mut self) {
        if self.depth == 1 {
            self.within = false;
        }
        self.depth = self.depth.saturating_sub(1);
    }
}
