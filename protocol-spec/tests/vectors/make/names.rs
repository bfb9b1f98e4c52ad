//! Names that people decide by, and names of files.

use super::{bad, good};
use crate::case::{Case, Check};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(looks());
    cases.extend(files());
    cases
}

fn names() -> Vec<Case> {
    let check = |text: &str| Check::Name {
        text: text.to_owned(),
    };
    let right = |file, text: &str| good("STM-8", file, "a name", check(text));
    let wrong = |file, description, text: &str| bad("STM-8", "malformed", file, description, check(text));
    vec![
        right("latin", "Krankenhaus München-Süd (Haus 3)"),
        right("vietnamese", "Bệnh viện Chợ Rẫy"),
        right("cyrillic", "Городская больница 1"),
        right("arabic", "مستشفى الملك"),
        right("devanagari", "सफदरजंग अस्पताल"),
        right("japanese-and-latin", "聖路加国際病院 A棟"),
        right("longest", &"n".repeat(200)),
        wrong("empty", "no character", ""),
        wrong("too-long", "201 bytes", &"n".repeat(201)),
        wrong("space-at-the-end", "a space at the end", "St. Anna "),
        wrong("two-spaces", "two spaces in a row", "St.  Anna"),
        wrong("no-break-space", "U+00A0 for a space", "St.\u{a0}Anna"),
        wrong("zero-width-space", "U+200B inside", "St.\u{200b} Anna"),
        wrong("word-joiner", "U+2060 at the end", "St. Anna\u{2060}"),
        wrong("grapheme-joiner", "U+034F inside", "St. An\u{34f}na"),
        wrong("right-to-left", "U+202E inside", "City\u{202e}Hospital"),
        wrong("full-width", "a full-width letter", "St. Ａnna"),
        wrong("dash", "U+2013", "St. Anna – Haus 3"),
        wrong(
            "latin-and-cyrillic",
            "a Cyrillic letter among Latin ones",
            "St. \u{410}nna",
        ),
        wrong("latin-and-arabic", "two scripts", "Klinik عربي"),
        wrong("decomposed", "a letter and its accent apart", "A\u{308}rztehaus"),
        wrong("mark-first", "an accent without a letter", "\u{301}Anna"),
        wrong(
            "five-marks",
            "five accents on a letter",
            "Ann\u{316}\u{317}\u{318}\u{319}\u{31a}",
        ),
    ]
}

fn looks() -> Vec<Case> {
    let pair = |file, description, first: &str, second: &str| {
        let check = Check::Alike {
            first: first.to_owned(),
            second: second.to_owned(),
        };
        good("INS-17", file, description, check)
    };
    vec![
        pair("alike-case", "upper and lower case", "St. Anna", "ST. ANNA"),
        pair("alike-punctuation", "other punctuation", "St. Anna", "St-Anna"),
        pair("alike-capital-i", "capital i and small l", "Illinois", "lllinois"),
        pair("alike-rn", "r and n, and m", "Modern", "Modem"),
        pair("alike-scripts", "Cyrillic and Latin letters", "сосо", "coco"),
        pair(
            "alike-ignorable",
            "a character that is not seen",
            "St. Anna",
            "St. An\u{34f}na",
        ),
        pair("apart-letter", "another letter", "St. Anna", "St. Anne"),
        pair("apart-accent", "another letter", "St. Anna", "St. Änna"),
        pair("apart-number", "a number more", "St. Anna", "St. Anna 2"),
    ]
}

fn files() -> Vec<Case> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let sent = |names: &[&str]| Check::SentNames { names: owned(names) };
    let right = |file, names: &[&str]| good("CNT-17", file, "names that may be sent", sent(names));
    let wrong =
        |file, description, names: &[&str]| bad("CNT-17", "malformed", file, description, sent(names));
    let written = |file, description, names: &[&str]| {
        good(
            "CNT-18",
            file,
            description,
            Check::FileNames { names: owned(names) },
        )
    };
    let deep = "folder-of-the-study/".repeat(60);
    vec![
        right(
            "sent-dicom",
            &["series 1/IM_0001.dcm", "series 1/IM_0002.dcm", "1.2.840.10008"],
        ),
        right(
            "sent-scripts",
            &["Анализ крови.pdf", "Łódź ☕/a..b", "می‌خواهم.txt"],
        ),
        right("sent-nearly-devices", &["console.log", "com10", "con-1"]),
        wrong("sent-bidi", "U+202E", &["report\u{202e}fdp.exe"]),
        wrong("sent-option", "begins with a hyphen", &["-rf"]),
        wrong("sent-hidden", "begins with a dot", &["a/.bashrc"]),
        wrong("sent-ignorable", "U+00AD", &["a\u{ad}b"]),
        wrong("sent-decomposed", "not NFC", &["u\u{308}ber"]),
        right(
            "sent-unheld",
            &[
                "CON",
                "aux.tar.gz",
                "LPT²",
                "x ",
                "y.",
                "a?b",
                "series\\IM1",
                "c:x",
            ],
        ),
        right(
            "sent-alike",
            &[
                "A.txt", "a.txt", "STRASSE", "straße", "ﬁle", "file", "dir/a", "DIR/b",
            ],
        ),
        written("written-as-sent", "safe names", &["a", "b/c", "Анализ крови.pdf"]),
        written(
            "written-safely",
            "each fault",
            &[
                "report\u{202e}fdp.exe",
                "-rf",
                ".bashrc",
                "CON",
                "x ",
                "y.",
                "a?b",
            ],
        ),
        written(
            "written-apart",
            "names that some file systems take for one",
            &["A.txt", "a.txt", "dir/x", "DIR/x", "a~2.txt"],
        ),
        written(
            "written-of-other-systems",
            "names of zips that were made on Windows",
            &["series\\IM1", "series_IM1", "c:x"],
        ),
        written(
            "written-shorter",
            "paths that are longer than systems hold",
            &[
                &format!("{deep}IM1"),
                &format!("{deep}deeper/im1"),
                &"n".repeat(300),
            ],
        ),
    ]
}
