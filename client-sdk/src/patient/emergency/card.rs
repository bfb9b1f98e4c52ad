//! The card: one page to print and cut, with a code that people can type and machines can scan.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::fmt;

use crypto::CardHalf;
use protocol_spec::{
    ids::{PatientId, PermissionId},
    link::ServerLink,
};
use zeroize::Zeroizing;

use crate::{
    Patient, Progress, Result,
    paper::{BOLD, LEFT, MONO, PdfPage, REGULAR, WIDTH},
    patient::{
        emergency::{self, EmergencyLimits, guardians},
        revoking,
        vault::Vault,
    },
};

/// A card that was made on this machine and is kept nowhere. It opens nothing before [`crate::Patient::use_card`].
pub struct EmergencyCard {
    half: CardHalf,
}

impl EmergencyCard {
    /// Makes a card with a new half, for this patient.
    /// Errors: when the system has no random bytes.
    pub fn generate(patient: &Patient) -> Result<Self> {
        Ok(Self {
            half: CardHalf::generate(patient.vault.session().system())?,
        })
    }

    /// What stands on it, to be typed.
    pub fn code(&self, patient: &PatientId) -> Zeroizing<String> {
        self.half.code(patient)
    }
}

impl fmt::Debug for EmergencyCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { half: _ } = self;
        f.write_str("EmergencyCard(..)")
    }
}

/// A card that is in force.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MadeCard {
    /// The permission that the card opens.
    pub permission_id: PermissionId,
    /// Those of the cards before it, which still open until [`crate::Patient::close_cards_before`].
    #[serde(rename = "replaced")]
    pub before: Vec<PermissionId>,
}

pub(in crate::patient) fn card_sheet(vault: &Vault, card: &EmergencyCard) -> Result<Zeroizing<Vec<u8>>> {
    let principal = vault.home().principal()?;
    Sheet {
        code: &card.code(&vault.id()),
        patient: vault.id(),
        link: &vault.home().pins(&principal)?.link,
        date: &crate::patient::recovery::day(vault.session.system().now_ms()),
    }
    .to_pdf()
}

pub(in crate::patient) async fn use_card(
    vault: &Vault,
    card: &EmergencyCard,
    limits: &EmergencyLimits,
    progress: &dyn Progress,
) -> Result<MadeCard> {
    let mut before = guardians::emergency_permissions(vault, None).await?;
    before.sort_by_key(|(_, permission)| permission.created);
    while before.len() > 1 {
        let (older, _) = before.remove(0);
        revoking::revoke(vault, older, progress).await?;
    }
    let permission_id = emergency::put_emergency(vault, &card.half, None, limits).await?;
    let before = if before.is_empty() {
        Vec::new()
    } else {
        // Closing one has given the permission of the other anew.
        cards_but(vault, &card.half).await?
    };
    Ok(MadeCard {
        permission_id,
        before,
    })
}

pub(in crate::patient) async fn close_cards_before(
    vault: &Vault,
    made: &MadeCard,
    progress: &dyn Progress,
) -> Result<()> {
    for id in &made.before {
        revoking::revoke(vault, *id, progress).await?;
    }
    Ok(())
}

/// The permissions of all cards but this one.
async fn cards_but(vault: &Vault, half: &CardHalf) -> Result<Vec<PermissionId>> {
    let ours = half.key(&vault.id())?.public();
    let mut others = guardians::emergency_permissions(vault, None).await?;
    others.retain(|(_, permission)| permission.emergency.is_none_or(|terms| terms.card_key != ours));
    Ok(others.into_iter().map(|(id, _)| id).collect())
}

/// What stands on the page.
struct Sheet<'a> {
    code: &'a str,
    patient: PatientId,
    link: &'a ServerLink,
    /// The day it was made, such as `2026-11-25`.
    date: &'a str,
}

impl Sheet<'_> {
    /// Draws the card as a PDF file.
    fn to_pdf(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut page = PdfPage::new();
        page.text(BOLD, 20.0, LEFT, 780.0, "Medvault emergency card");
        page.text(REGULAR, 10.0, LEFT, 762.0, &format!("made {}", self.date));
        page.lines(&CARRY, 734.0);
        page.frame(LEFT - 8.0, 352.0, WIDTH - 2.0 * LEFT + 16.0, 316.0);
        page.text(BOLD, 14.0, LEFT, 644.0, "IN AN EMERGENCY");
        page.lines(&HELPERS, 624.0);
        page.text(
            MONO,
            9.0,
            LEFT,
            574.0,
            "medvault emergency open --patient ID --card - --out DIR   (it asks for the code)",
        );
        let y = page.labelled("Patient id", &self.patient.to_string(), 552.0);
        let y = page.labelled("Server link", &self.link.to_string(), y);
        page.text(BOLD, 10.0, LEFT, y, "Card code");
        for (row, line) in (1_u8..).zip(self.code.as_bytes().chunks(40)) {
            page.line(MONO, 12.0, LEFT, y - 16.0 * f32::from(row), line);
        }
        // Both in one code: whoever scans it needs nothing else of the page.
        let both = Zeroizing::new(format!("{} {}", self.patient, self.code));
        page.qr(both.as_bytes(), LEFT + 300.0, 362.0, 130.0)?;
        page.text(BOLD, 11.0, LEFT, 322.0, "When the card is lost, or has been used");
        page.lines(&LOST, 304.0);
        Ok(page.into_pdf("Medvault emergency card"))
    }
}

/// At most 92 letters a line.
const CARRY: [&str; 4] = [
    "Cut out the frame and carry it with you, or keep a picture of its code on the lock screen of",
    "your phone. Alone it opens nothing: the server gives the other half of the key to hospitals and",
    "ambulances that are accredited for emergencies, and to nobody else. Each use is written down",
    "before anything is read, and you and your guardians are told at once.",
];
const HELPERS: [&str; 3] = [
    "This person keeps medical information for you. With your institution's Medvault terminal run",
    "the command below, or scan the code. Only institutions that are accredited for emergencies get",
    "an answer; what you open is recorded.",
];
const LOST: [&str; 2] = [
    "Make a new one: medvault emergency card --pdf FILE. The old one then opens nothing any more,",
    "and what it could open is brought under a new key. Delete this file once it is printed.",
];

#[cfg(test)]
mod tests {
    use lopdf::Document;

    use super::*;
    use crate::paper::tests::{nothing_leaves, scanned};

    const PATIENT: PatientId = PatientId::from_bytes([7; 32]);
    const LINK: &str = "https://vault.example:8443/#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn pdf(card: &EmergencyCard) -> Document {
        let sheet = Sheet {
            code: &card.code(&PATIENT),
            patient: PATIENT,
            link: &LINK.parse().unwrap(),
            date: "2026-11-25",
        };
        Document::load_mem(&sheet.to_pdf().unwrap()).unwrap()
    }

    fn cards() -> impl Iterator<Item = EmergencyCard> {
        let fixed = [[0; 32], [0xff; 32], [0x5a; 32]].map(|bytes| EmergencyCard {
            half: CardHalf::from_bytes(&bytes),
        });
        fixed.into_iter().chain((0..5).map(|_| EmergencyCard {
            half: CardHalf::generate(&crypto::OperatingSystem).unwrap(),
        }))
    }

    /// EMG-3
    #[test]
    fn a_scanner_reads_the_card_from_the_page() {
        for card in cards() {
            let text = scanned(&pdf(&card));
            assert_eq!(
                CardHalf::from_code(&text, &PATIENT).as_ref(),
                Ok(&card.half),
                "{text}"
            );
        }
    }

    /// EMG-3: what is selected and copied is what stands there.
    #[test]
    fn the_text_of_the_one_page_holds_code_id_and_link() {
        for card in cards() {
            let document = pdf(&card);
            assert_eq!(document.get_pages().len(), 1);
            let text = document.extract_text(&[1]).unwrap();
            let flat: String = text.split_whitespace().collect();
            assert!(flat.contains(LINK) && flat.contains(&PATIENT.to_string()));
            assert!(flat.contains(card.code(&PATIENT).as_str()), "{text}");
            assert!(nothing_leaves(&document) > 15);
        }
    }
}
