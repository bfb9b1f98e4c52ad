//! Pages to print: one page A4, its text selectable, with a QR code.
//!
//! A page names standard fonts, which every reader of PDF has, and holds nothing but text and filled squares. It
//! is written uncompressed: a printer's spooler or an editor can be searched for what it kept.

use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str, TextStr, types::TextRenderingMode};
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// A page that is being written.
pub(crate) struct PdfPage(Content);

impl PdfPage {
    pub(crate) fn new() -> Self {
        Self(Content::new())
    }

    pub(crate) fn text(&mut self, font: Font, size: f32, x: f32, y: f32, text: &str) {
        self.line(font, size, x, y, text.as_bytes());
    }

    pub(crate) fn line(&mut self, font: Font, size: f32, x: f32, y: f32, ascii: &[u8]) {
        self.0
            .begin_text()
            .set_text_rendering_mode(TextRenderingMode::Fill)
            .set_font(font.0, size)
            .next_line(x, y)
            .show(Str(ascii))
            .end_text();
    }

    /// Lines one below the other, the first at `y`; gives where the next would stand.
    pub(crate) fn lines(&mut self, lines: &[&str], mut y: f32) -> f32 {
        for line in lines {
            self.text(REGULAR, 10.0, LEFT, y, line);
            y -= 14.0;
        }
        y
    }

    /// A heading, and below it a long word in as many lines as it takes; gives where the next heading stands.
    pub(crate) fn labelled(&mut self, heading: &str, text: &str, mut y: f32) -> f32 {
        self.text(BOLD, 10.0, LEFT, y, heading);
        // A host's name may have 253 letters.
        for line in text.as_bytes().chunks(100) {
            y -= 12.0;
            self.line(MONO, 7.5, LEFT, y, line);
        }
        y - 20.0
    }

    pub(crate) fn frame(&mut self, x: f32, y: f32, width: f32, height: f32) {
        self.0.set_line_width(0.8).rect(x, y, width, height).stroke();
    }

    /// A text as a QR code: one filled square for each dark module, the lower left corner at (x, y).
    pub(crate) fn qr(&mut self, text: &[u8], x: f32, y: f32, side: f32) -> Result<()> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M)
            .map_err(|_| Error::Usage("the text does not fit a QR code: report it".into()))?;
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
        Ok(())
    }

    pub(crate) fn into_pdf(self, title: &str) -> Zeroizing<Vec<u8>> {
        let content = Zeroizing::new(self.0.finish().to_vec());
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
        pdf.document_info(info).title(TextStr(title));
        Zeroizing::new(pdf.finish())
    }
}

/// A number of modules: 177 at most.
fn length(modules: usize) -> f32 {
    f32::from(u8::try_from(modules).unwrap_or(u8::MAX))
}

/// How the page calls it, and how readers of PDF do.
#[derive(Clone, Copy)]
pub(crate) struct Font(Name<'static>, &'static [u8]);

pub(crate) const REGULAR: Font = Font(Name(b"F1"), b"Helvetica");
pub(crate) const BOLD: Font = Font(Name(b"F2"), b"Helvetica-Bold");
pub(crate) const MONO: Font = Font(Name(b"F3"), b"Courier");
/// The width of an A4 page, in points.
pub(crate) const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
pub(crate) const LEFT: f32 = 56.0;

/// Pages as other programs read them.
#[cfg(test)]
pub(crate) mod tests {
    use lopdf::{Document, content::Content as Operations};

    pub(crate) fn number(object: &lopdf::Object) -> f64 {
        f64::from(object.as_float().unwrap())
    }

    /// The page as a camera sees it: 4 pixels a point, row by row from the top, dark where a rectangle is filled.
    fn painted(document: &Document) -> Vec<bool> {
        const SCALE: f64 = 4.0;
        let page = document.get_pages()[&1];
        let content = Operations::decode(&document.get_page_content(page)).unwrap();
        let (mut path, mut filled) = (Vec::new(), Vec::new());
        for operation in &content.operations {
            match operation.operator.as_str() {
                "re" => path.push([0, 1, 2, 3].map(|at| number(&operation.operands[at]))),
                "f" => filled.append(&mut path),
                "S" => path.clear(),
                _ => (),
            }
        }
        let mut dark = vec![false; PIXELS.0 * PIXELS.1];
        for [x, y, w, h] in filled {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "pixels of one page"
            )]
            let pixel = |points: f64| (points * SCALE).round() as usize;
            for row in pixel(y)..pixel(y + h) {
                for column in pixel(x)..pixel(x + w) {
                    dark[(PIXELS.1 - 1 - row) * PIXELS.0 + column] = true;
                }
            }
        }
        dark
    }

    const PIXELS: (usize, usize) = (2400, 3400);

    /// The one code on a page, read from the page itself by a program that looks for codes in pictures.
    pub(crate) fn scanned(document: &Document) -> String {
        let dark = painted(document);
        let light = |x, y| if dark[y * PIXELS.0 + x] { 20 } else { 235 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(PIXELS.0, PIXELS.1, light);
        let codes = image.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().unwrap().1
    }

    /// Helvetica's letters are at most as wide as high on average half of that; Courier's are 0.6 of their size.
    pub(crate) fn nothing_leaves(document: &Document) -> usize {
        let page = document.get_pages()[&1];
        let content = Operations::decode(&document.get_page_content(page)).unwrap();
        let (mut size, mut width, mut x) = (0.0, 0.0, 0.0);
        let mut lines = 0;
        for operation in &content.operations {
            match operation.operator.as_str() {
                "Tf" => {
                    size = number(&operation.operands[1]);
                    width = if operation.operands[0].as_name().unwrap() == b"F3" {
                        0.6
                    } else {
                        0.5
                    };
                }
                "Td" => {
                    x = number(&operation.operands[0]);
                    assert!((40.0..800.0).contains(&number(&operation.operands[1])));
                }
                "Tj" => {
                    let length = operation.operands[0].as_str().unwrap().len() as f64;
                    assert!(x + length * size * width < 575.0, "{:?}", operation.operands);
                    lines += 1;
                }
                _ => (),
            }
        }
        lines
    }
}
