//! Texts as QR codes, for a camera.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// On a dark terminal; nothing where the text is too long for one.
pub(crate) fn draw(text: &str) -> String {
    let Ok(qr) = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::L) else {
        return String::new();
    };
    qr.render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build()
}
