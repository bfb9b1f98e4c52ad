//! A recovery kit on paper: one page A4, its text selectable, the words also as a QR code.
//!
//! The page names standard fonts, which every reader of PDF has, and holds nothing but text and filled squares. It
//! is written uncompressed: a printer's spooler or an editor can be searched for what it kept.

use crypto::RecoveryWords;
use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str, TextStr, types::TextRenderingMode};
use protocol_spec::{ids::PatientId, link::ServerLink};
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// What stands on the page.
pub(crate) struct Sheet<'a> {
    pub(crate) words: &'a RecoveryWords,
    pub(crate) patient: PatientId,
    pub(crate) link: &'a ServerLink,
    /// `2026-11-25`.
    pub(crate) date: &'a str,
}

impl Sheet<'_> {
    /// The PDF file.
    pub(crate) fn to_pdf(&self) -> Result<Zeroizing<Vec<u8>>> {
        let content = Zeroizing::new(self.content()?.to_vec());
        let [catalog, pages, page, regular, bold, mono, stream, info] =
            [1, 2, 3, 4, 5, 6, 7, 8].map(Ref::new);
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages).lang(TextStr("en"));
        pdf.pages(pages).kids([page]).count(1);
        let mut sheet = pdf.page(page);
        sheet
            .parent(pages)
            .media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT))
            .contents(stream);
        let mut resources = sheet.resources();
        let mut fonts = resources.fonts();
        fonts
            .pair(REGULAR.0, regular)
            .pair(BOLD.0, bold)
            .pair(MONO.0, mono);
        drop(fonts);
        drop(resources);
        drop(sheet);
        for (id, font) in [(regular, REGULAR), (bold, BOLD), (mono, MONO)] {
            pdf.type1_font(id)
                .base_font(Name(font.1))
                .encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        pdf.stream(stream, &content);
        pdf.document_info(info).title(TextStr("Medvault recovery kit"));
        Ok(Zeroizing::new(pdf.finish()))
    }

    fn content(&self) -> Result<pdf_writer::Buf> {
        let mut page = Page(Content::new());
        page.text(BOLD, 20.0, LEFT, 780.0, "Medvault recovery kit");
        page.text(REGULAR, 10.0, LEFT, 762.0, &format!("made {}", self.date));
        page.text(
            BOLD,
            11.0,
            LEFT,
            730.0,
            "Keep this page as you keep the key of your home.",
        );
        let mut y = 714.0;
        for line in WARNING {
            page.text(REGULAR, 10.0, LEFT, y, line);
            y -= 14.0;
        }
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
        let mut y = 434.0;
        for line in STEPS {
            page.text(REGULAR, 10.0, LEFT, y, line);
            y -= 14.0;
        }
        page.text(
            MONO,
            9.0,
            LEFT,
            y - 6.0,
            "medvault recover --home vault --server LINK",
        );
        y -= 34.0;
        for (heading, text) in [
            ("Server link", self.link.to_string()),
            ("Patient id", self.patient.to_string()),
        ] {
            page.text(BOLD, 10.0, LEFT, y, heading);
            // A host's name may have 253 letters.
            for line in text.as_bytes().chunks(100) {
                y -= 12.0;
                page.line(MONO, 7.5, LEFT, y, line);
            }
            y -= 20.0;
        }
        page.text(REGULAR, 10.0, LEFT, 236.0, "The 24 words as a QR code:");
        page.qr(&code(self.words)?, LEFT, 60.0, 165.0);
        Ok(page.0.finish())
    }
}

/// The words in capitals, which QR codes hold in 5.5 bits a letter.
fn code(words: &RecoveryWords) -> Result<QrCode> {
    let mut phrase = words.phrase();
    phrase.make_ascii_uppercase();
    QrCode::with_error_correction_level(phrase.as_bytes(), EcLevel::M)
        .map_err(|_| Error::Usage("the words do not fit a QR code: report it".into()))
}

struct Page(Content);

impl Page {
    fn text(&mut self, font: Font, size: f32, x: f32, y: f32, text: &str) {
        self.line(font, size, x, y, text.as_bytes());
    }

    fn line(&mut self, font: Font, size: f32, x: f32, y: f32, ascii: &[u8]) {
        self.0
            .begin_text()
            .set_text_rendering_mode(TextRenderingMode::Fill)
            .set_font(font.0, size)
            .next_line(x, y)
            .show(Str(ascii))
            .end_text();
    }

    fn frame(&mut self, x: f32, y: f32, width: f32, height: f32) {
        self.0.set_line_width(0.8).rect(x, y, width, height).stroke();
    }

    /// One filled square for each dark module, the lower left corner at (x, y).
    fn qr(&mut self, code: &QrCode, x: f32, y: f32, side: f32) {
        let modules = code.width();
        let module = side / length(modules);
        for (index, _) in code
            .to_colors()
            .into_iter()
            .enumerate()
            .filter(|(_, color)| *color == Color::Dark)
        {
            let (row, column) = (index / modules, index % modules);
            let from_top = length(modules - 1 - row);
            self.0
                .rect(x + length(column) * module, y + from_top * module, module, module);
        }
        self.0.fill_nonzero();
    }
}

/// A number of modules: 177 at most.
fn length(modules: usize) -> f32 {
    f32::from(u8::try_from(modules).unwrap_or(u8::MAX))
}

/// How the page calls it, and how readers of PDF do.
#[derive(Clone, Copy)]
struct Font(Name<'static>, &'static [u8]);

const REGULAR: Font = Font(Name(b"F1"), b"Helvetica");
const BOLD: Font = Font(Name(b"F2"), b"Helvetica-Bold");
const MONO: Font = Font(Name(b"F3"), b"Courier");

/// A4, in points.
const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
const LEFT: f32 = 56.0;
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
