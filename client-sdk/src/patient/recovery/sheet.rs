//! A recovery kit on paper: the words, also as a QR code.

use crypto::RecoveryWords;
use protocol_spec::{ids::PatientId, link::ServerLink};
use zeroize::Zeroizing;

use crate::{
    Result,
    paper::{BOLD, LEFT, MONO, PdfPage, REGULAR, WIDTH},
};

/// What stands on the page.
pub(crate) struct Sheet<'a> {
    pub(crate) words: &'a RecoveryWords,
    pub(crate) patient: PatientId,
    pub(crate) link: &'a ServerLink,
    /// The day it was made, such as `2026-11-25`.
    pub(crate) date: &'a str,
}

impl Sheet<'_> {
    /// Draws the sheet as a PDF file.
    pub(crate) fn to_pdf(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut page = PdfPage::new();
        page.text(BOLD, 20.0, LEFT, 780.0, "Medvault recovery kit");
        page.text(REGULAR, 10.0, LEFT, 762.0, &format!("made {}", self.date));
        let keep = "Keep this page as you keep the key of your home.";
        page.text(BOLD, 11.0, LEFT, 730.0, keep);
        page.lines(&WARNING, 714.0);
        page.frame(
            LEFT - 8.0,
            WORDS_TOP - 6.0 * ROW + 8.0,
            WIDTH - 2.0 * LEFT + 16.0,
            6.0 * ROW + 14.0,
        );
        for (index, word) in (0_u8..).zip(self.words.iter()) {
            let (column, row) = (f32::from(index / 6), f32::from(index % 6));
            let line = Zeroizing::new(format!("{}. {word}", index + 1));
            page.text(MONO, 13.0, LEFT + column * COLUMN, WORDS_TOP - row * ROW, &line);
        }
        page.text(BOLD, 11.0, LEFT, 452.0, "When all devices are lost");
        let y = page.lines(&STEPS, 434.0);
        let command = "medvault recover --home vault --server LINK";
        page.text(MONO, 9.0, LEFT, y - 6.0, command);
        let y = page.labelled("Server link", &self.link.to_string(), y - 34.0);
        page.labelled("Patient id", &self.patient.to_string(), y);
        page.text(REGULAR, 10.0, LEFT, 236.0, "The 24 words as a QR code:");
        // In capitals, which QR codes hold in 5.5 bits a letter.
        let mut phrase = self.words.phrase();
        phrase.make_ascii_uppercase();
        page.qr(phrase.as_bytes(), LEFT, 60.0, 165.0)?;
        Ok(page.into_pdf("Medvault recovery kit"))
    }
}

const WORDS_TOP: f32 = 622.0;
const ROW: f32 = 24.0;
const COLUMN: f32 = 124.0;

/// At most 92 letters a line.
const WARNING: [&str; 5] = [
    "Whoever has these 24 words, or a picture of them, can read your whole vault. Nobody else",
    "can: the server cannot, and nobody can give them to you again. Print this page, keep it away",
    "from your devices, and delete the file. Take no photograph of it, and type the words into",
    "nothing but the medvault program. A newer kit replaces this one: then destroy it. Try it",
    "once a year: medvault recovery drill",
];
const STEPS: [&str; 3] = [
    "On a machine that you trust, install medvault and run the command below with the server",
    "link; it asks for the words. Afterwards remove the devices that you lost (medvault device",
    "remove), and make a new kit (medvault recovery kit).",
];

#[cfg(test)]
mod tests;
