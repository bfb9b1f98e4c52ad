//! Purposes of use: the codes of HL7's value set PurposeOfUse. See `spec/conditions.md` §1.

use std::{fmt, str::FromStr};

use crate::{Error, field::Field};

/// Why health information is used, as HL7 codes it (CND-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Purpose {
    code: &'static str,
    title: &'static str,
}

impl Purpose {
    /// The code system, as the URN of its OID.
    pub const SYSTEM: &str = "urn:oid:2.16.840.1.113883.5.8";
    /// Purpose of health care, outside of emergencies.
    pub const TREAT: Self = Self {
        code: "TREAT",
        title: "treatment",
    };
    /// Health care in an emergency.
    pub const ETREAT: Self = Self {
        code: "ETREAT",
        title: "emergency treatment",
    };

    /// The code, as it travels.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// HL7's name of it, for people.
    pub const fn title(self) -> &'static str {
        self.title
    }

    /// All purposes of the code system.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.iter().map(|&(code, title)| Self { code, title })
    }
}

impl FromStr for Purpose {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self, Error> {
        Self::all()
            .find(|purpose| purpose.code == code)
            .ok_or(Error::Field { field: "purpose" })
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Purpose({})", self.code)
    }
}

/// A purpose may be absent; the field is then empty.
impl Field<String> for Option<Purpose> {
    fn read(wire: String, _: &'static str) -> Result<Self, Error> {
        if wire.is_empty() {
            return Ok(None);
        }
        wire.parse().map(Some)
    }

    fn write(&self) -> String {
        self.map(Purpose::code).unwrap_or_default().to_owned()
    }
}

impl Purpose {
    /// Reads a field of a message that is not signed. Fails with [`Error::Field`] for a code that is none.
    pub fn read(wire: String) -> Result<Option<Self>, Error> {
        Field::read(wire, "purpose")
    }
}

/// HL7 v3 ValueSet PurposeOfUse (2.16.840.1.113883.1.11.20448), without the abstract concept that it is named after.
const CODES: &[(&str, &str)] = &[
    ("HMARKT", "healthcare marketing"),
    ("HOPERAT", "healthcare operations"),
    ("CAREMGT", "care management"),
    ("DONAT", "donation"),
    ("FRAUD", "fraud"),
    ("GOV", "government"),
    ("HACCRED", "health accreditation"),
    ("HCOMPL", "health compliance"),
    ("HDECD", "decedent"),
    ("HDIRECT", "directory"),
    ("HDM", "healthcare delivery management"),
    ("HLEGAL", "legal"),
    ("HOUTCOMS", "health outcome measure"),
    ("HPRGRP", "health program reporting"),
    ("HQUALIMP", "health quality improvement"),
    ("HSYSADMIN", "health system administration"),
    ("LABELING", "labeling"),
    ("METAMGT", "metadata management"),
    ("MEMADMIN", "member administration"),
    ("MILCDM", "military command"),
    ("PATADMIN", "patient administration"),
    ("PATSFTY", "patient safety"),
    ("PERFMSR", "performance measure"),
    ("RECORDMGT", "records management"),
    ("SYSDEV", "system development"),
    ("HTEST", "test health data"),
    ("TRAIN", "training"),
    ("HPAYMT", "healthcare payment"),
    ("CLMATTCH", "claim attachment"),
    ("COVAUTH", "coverage authorization"),
    ("COVERAGE", "coverage under policy or program"),
    ("ELIGDTRM", "eligibility determination"),
    ("ELIGVER", "eligibility verification"),
    ("ENROLLM", "enrollment"),
    ("MILDCRG", "military discharge"),
    ("REMITADV", "remittance advice"),
    ("HRESCH", "healthcare research"),
    ("BIORCH", "biomedical research"),
    ("CLINTRCH", "clinical trial research"),
    ("CLINTRCHNPC", "clinical trial research without patient care"),
    ("CLINTRCHPC", "clinical trial research with patient care"),
    ("PRECLINTRCH", "preclinical trial research"),
    ("DSRCH", "disease specific healthcare research"),
    ("POARCH", "population origins or ancestry healthcare research"),
    ("TRANSRCH", "translational healthcare research"),
    ("PATRQT", "patient requested"),
    ("FAMRQT", "family requested"),
    ("PWATRNY", "power of attorney"),
    ("SUPNWK", "support network"),
    ("PUBHLTH", "public health"),
    ("DISASTER", "disaster"),
    ("THREAT", "threat"),
    ("TREAT", "treatment"),
    ("CLINTRL", "clinical trial"),
    ("COC", "coordination of care"),
    ("ETREAT", "emergency treatment"),
    ("BTG", "break the glass"),
    ("ERTREAT", "emergency room treatment"),
    ("POPHLTH", "population health"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// CND-1
    #[test]
    fn codes_are_distinct_and_nothing_else_is_one() {
        let distinct: HashSet<_> = Purpose::all().map(Purpose::code).collect();
        assert_eq!((distinct.len(), CODES.len()), (59, 59));
        assert_eq!("TREAT".parse(), Ok(Purpose::TREAT));
        for bad in ["", "treat", "PurposeOfUse", "TREAT ", "CURE"] {
            assert!(bad.parse::<Purpose>().is_err(), "{bad}");
        }
        assert_eq!(Purpose::read(String::new()), Ok(None));
        assert!(Purpose::read("CURE".into()).is_err());
    }
}
