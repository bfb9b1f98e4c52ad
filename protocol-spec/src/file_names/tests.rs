use proptest::prelude::*;

use super::*;

fn name(text: &str) -> PartName {
    PartName::try_from(text.to_owned()).unwrap()
}

fn places(names: &[&str]) -> Vec<String> {
    let mut files = FileNames::default();
    names.iter().map(|text| files.place(&name(text))).collect()
}

fn sent(names: &[&str]) -> Result<(), String> {
    let names: Vec<PartName> = names.iter().map(|text| name(text)).collect();
    check_sent(names.iter()).map_err(|(name, _)| name.as_str().to_owned())
}

/// What the review of this protocol had sent and written, and its kind.
const DECEIVING: &[(&str, &str)] = &[
    ("report\u{202e}fdp.exe", "report_fdp.exe"),
    ("-rf", "_rf"),
    (".bashrc", "_bashrc"),
    ("a\u{200b}b", "a_b"),
    ("a\u{ad}b", "a_b"),
];

/// What other systems than the sender's do not hold.
const UNHELD: &[(&str, &str)] = &[
    ("CON", "_ON"),
    ("aux.tar.gz", "_ux.tar.gz"),
    ("com1", "_om1"),
    ("lpt².txt", "_pt².txt"),
    ("x ", "x_"),
    ("y.", "y_"),
    (" z", "_z"),
    ("what?.txt", "what_.txt"),
    ("series\\IM1", "series_IM1"),
    ("..\\IM1", "_._IM1"),
    ("C:IM1", "C_IM1"),
];

/// CNT-17, ATK-73
#[test]
fn names_that_deceive_are_not_sent() {
    for (bad, _) in DECEIVING {
        assert_eq!(sent(&["good", bad]), Err((*bad).to_owned()));
        let nested = format!("folder/{bad}/file");
        assert_eq!(sent(&[&nested]), Err(nested.clone()));
    }
    for bad in ["u\u{308}bersicht", "a\u{a0}b", "at 3.45\u{202f}PM.png"] {
        assert_eq!(sent(&[bad]), Err(bad.to_owned()));
        assert_eq!(sent(&[&tidied(bad)]), Ok(()), "{bad:?}");
    }
    let good = [
        "IM_0001.dcm",
        "series 1/Łódź ☕/a..b",
        "Анализ крови.pdf",
        "رپورٹ.pdf",
        "می‌خواهم.txt",
        "👩‍⚕️.txt",
        "console.log",
        "com10",
        "1.2.840.10008",
    ];
    assert_eq!(sent(&good), Ok(()));
}

/// CNT-17, CNT-18, ATK-73: names of other systems, of many letters, and of which some system takes two for one: carried, and told apart on receipt.
#[test]
fn names_that_some_file_system_does_not_hold_are_carried() {
    for (unheld, safe) in UNHELD {
        if !unheld.starts_with('.') {
            assert_eq!(sent(&[unheld]), Ok(()));
        }
        assert_eq!(places(&[unheld]), [*safe]);
    }
    for (first, second) in [
        ("A.txt", "a.txt"),
        ("im1", "IM1"),
        ("STRASSE", "straße"),
        ("ﬁle", "file"),
        ("Ärzte", "ärzte"),
        ("dir/a", "DIR/b"),
        ("a/b", "A"),
        ("می‌خواهم", "میخواهم"),
    ] {
        assert_eq!(sent(&[first, second]), Ok(()), "{first} {second}");
        let [first, second] = places(&[first, second]).try_into().unwrap();
        let top = |path: &str| folded(path.split('/').next().unwrap());
        assert_ne!(top(&first), top(&second));
    }
    let long = "n".repeat(1020);
    assert_eq!(sent(&[&long]), Ok(()));
    assert_eq!(places(&[&long])[0].len(), MAX_COMPONENT);
}

/// CNT-18: a path that is longer than systems hold loses folders, and no file its own place.
#[test]
fn long_paths_become_shorter_ones() {
    let folder = "folder-of-the-study/".repeat(100);
    let names = [
        format!("{folder}IM1"),
        format!("{folder}IM2"),
        format!("{folder}deeper/IM1"),
        format!("{folder}deeper/im1"),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(names.iter().all(|name| name.len() > 1024) && sent(&names).is_ok());
    let places = places(&names);
    let ends: Vec<_> = places
        .iter()
        .map(|place| place.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(ends, ["IM1", "IM2", "IM1~2", "im1~3"]);
    assert!(
        places
            .iter()
            .all(|place| place.len() <= 1024 && place.starts_with("folder-of-the-study/"))
    );
}

/// CNT-18, ATK-73
#[test]
fn what_was_sent_all_the_same_gets_safe_names() {
    for (bad, safe) in DECEIVING {
        assert_eq!(places(&[bad]), [*safe]);
    }
    let many = [
        "A.txt",
        "a.txt",
        "a\u{200b}.txt",
        "A_.TXT",
        "dir/x",
        "DIR/x",
        "dir/y",
    ];
    assert_eq!(
        places(&many),
        [
            "A.txt", "a~2.txt", "a_.txt", "A_~2.TXT", "dir/x", "DIR~2/x", "dir/y"
        ]
    );
    assert_eq!(
        places(&["a~2.txt", "a.txt", "A.txt"]),
        ["a~2.txt", "a.txt", "A~3.txt"]
    );
}

/// CNT-18: what names every file system holds apart stays as it is.
#[test]
fn safe_names_stay() {
    let good = [
        "IM_0001.dcm",
        "series 1/Łódź ☕/a..b",
        "Анализ крови.pdf",
        "a",
        "b",
    ];
    assert_eq!(places(&good), good);
}

/// CNT-18: many names that come to one take no more than a little for each.
#[test]
fn many_names_that_come_to_one_are_numbered() {
    let mut files = FileNames::default();
    let mut seen = HashSet::new();
    for number in 1..=20_000_u32 {
        let hidden: String = (0..15)
            .map(|bit| {
                if number >> bit & 1 == 1 {
                    '\u{200b}'
                } else {
                    '\u{ad}'
                }
            })
            .collect();
        assert!(seen.insert(files.place(&name(&hidden))));
    }
    assert!(seen.contains("_______________") && seen.contains("_______________~20000"));
}

proptest! {
    /// CNT-18: every name gets a place of its own, which a sender could have chosen, of a length that fits.
    #[test]
    fn places_are_apart_and_could_have_been_sent(names in prop::collection::hash_set("[-a-cA-C ._~\u{200b}\u{e4}\u{308}?]{1,6}", 1..12)) {
        let fit = |text: &&String| PartName::try_from((*text).clone()).is_ok();
        let names: Vec<&str> = names.iter().filter(fit).map(String::as_str).collect();
        let places = places(&names);
        let apart: HashSet<String> = places.iter().map(|place| folded(place)).collect();
        prop_assert_eq!(apart.len(), names.len());
        let again: Vec<&str> = places.iter().map(String::as_str).collect();
        prop_assert_eq!(sent(&again), Ok(()));
        prop_assert!(places.iter().all(|place| safe(place) == *place));
    }

    #[test]
    fn long_names_stay_within_what_file_systems_hold(stem in "[ä?\\\\:]{100,500}", ending in "[a-z]{0,20}") {
        let text = format!("{stem}.{ending}");
        if PartName::try_from(text.clone()).is_ok() {
            let upper = text.to_uppercase();
            for place in places(&[&text, &upper]) {
                prop_assert!(place.len() <= MAX_COMPONENT, "{place}");
            }
        }
    }
}
