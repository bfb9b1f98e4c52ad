//! The formats of C2SP: notes and their keys, checkpoints, cosignatures, policies, tiles, proofs.
//!
//! `published-…` are values that others have published: the notes and keys of the tests of golang.org/x/mod, sumdb/note
//! (BSD-3-Clause), and examples in the text of c2sp.org/tlog-tiles (CC BY 4.0).

use protocol_spec::{
    hash::sha256,
    log::{
        Checkpoint, KeyKind, NoteKey, SignatureLine, SignedCheckpoint, TlogProof, VerifiedCheckpoint, cosign,
        log_key,
    },
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex, hex},
    world::{OPERATOR, SECOND, SECOND_DEVICE, STRANGER, THIRD_DEVICE, checkpoint, hash, key},
};

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETERS: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCHS: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

/// Seeds of three witnesses.
const WITNESSES: [u8; 3] = [SECOND, SECOND_DEVICE, THIRD_DEVICE];
const TIME: u64 = 1_800_000_000;

pub(crate) fn cases() -> Vec<Case> {
    [
        keys(),
        notes(),
        checkpoints(),
        cosignatures(),
        policies(),
        tiles(),
        proofs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A value that is known from elsewhere.
fn published(rule: &str, name: &str, description: &str, gives: &str, check: Check) -> Case {
    Case {
        gives: Some(gives.to_owned()),
        ..good(rule, name, description, check)
    }
}

fn keys() -> Vec<Case> {
    let right = |name, description, gives, vkey: &str| {
        published(
            "LOG-6",
            name,
            description,
            gives,
            Check::NoteKey {
                vkey: vkey.to_owned(),
            },
        )
    };
    let wrong = |name, description, vkey: &str| {
        bad(
            "LOG-6",
            "malformed",
            name,
            description,
            Check::NoteKey {
                vkey: vkey.to_owned(),
            },
        )
    };
    vec![
        right(
            "published-key-peter",
            "a key of golang.org/x/mod, sumdb/note",
            "c74f20a3",
            PETER,
        ),
        right(
            "published-key-enoch",
            "a key of golang.org/x/mod, sumdb/note",
            "af0cfe78",
            ENOCH,
        ),
        wrong(
            "published-key-length",
            "a key that is too long, under its id",
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        ),
        wrong(
            "published-key-kind",
            "a key of an unknown kind, under its id",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ),
        wrong(
            "key-id",
            "the id of another name",
            &PETER.replace("Peter", "Paul"),
        ),
        wrong(
            "key-upper-case",
            "the id in upper case",
            &PETER.replace("c74f20a3", "C74F20A3"),
        ),
        wrong(
            "key-without-name",
            "no name",
            "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ),
    ]
}

fn notes() -> Vec<Case> {
    let check = |note: String, vkey: &str| Check::SignedNote {
        note,
        vkey: vkey.to_owned(),
    };
    let gives = hex(&sha256(&[TEXT.as_bytes()]));
    let right = |name, description, note: String, vkey| {
        published("LOG-6", name, description, &gives, check(note, vkey))
    };
    let malformed =
        |name, description, note: String| bad("LOG-6", "malformed", name, description, check(note, PETER));
    let unsigned = |name, description, note: String| {
        bad("LOG-6", "bad signature", name, description, check(note, PETER))
    };
    let signed = format!("{TEXT}\n{PETERS}");
    let renamed = PETERS.replace("Neumann", "Neuman");
    let other_id = PETERS.replace("x08g", "xxxx");
    vec![
        right(
            "published-note",
            "a note of golang.org/x/mod, sumdb/note",
            signed.clone(),
            PETER,
        ),
        right(
            "published-note-of-two",
            "the same with two signatures",
            format!("{TEXT}\n{PETERS}{ENOCHS}"),
            ENOCH,
        ),
        right(
            "note-unknown-key",
            "a line with the name and another id is passed over",
            format!("{TEXT}\n{other_id}{PETERS}"),
            PETER,
        ),
        right(
            "note-foreign-name",
            "a line with another name and the id is passed over",
            format!("{TEXT}\n{renamed}{PETERS}"),
            PETER,
        ),
        unsigned(
            "note-only-unknown",
            "no line of the key",
            format!("{TEXT}\n{ENOCHS}"),
        ),
        unsigned(
            "note-changed-text",
            "another text",
            signed.replace("answer", "question"),
        ),
        unsigned(
            "note-one-of-two",
            "a second line of the key does not verify",
            format!("{signed}{}", PETERS.replace("x08go/Z", "x08go/Y")),
        ),
        malformed("note-without-signature", "a text alone", TEXT.to_owned()),
        malformed("note-no-lines", "a text and an empty line", format!("{TEXT}\n")),
        malformed(
            "note-cut",
            "the last line does not end",
            signed.trim_end().to_owned(),
        ),
        malformed(
            "note-control-character",
            "a tab in the text",
            signed.replacen(' ', "\t", 1),
        ),
        malformed(
            "note-bad-name",
            "a name with a plus",
            format!("{signed}{}", ENOCHS.replace("EnochRoot", "Enoch+Root")),
        ),
        malformed(
            "note-unknown-line",
            "a line that is no signature",
            format!("{signed}Unexpected line.\n"),
        ),
        malformed(
            "note-bad-base64",
            "a signature that is no base64, of an unknown key",
            format!("{signed}— Enoch ABC\n"),
        ),
        malformed(
            "note-short-signature",
            "an id without a signature",
            format!("{signed}— Enoch rwz+eA==\n"),
        ),
        malformed(
            "note-many-lines",
            "65 signatures",
            format!("{TEXT}\n{}", PETERS.repeat(65)),
        ),
    ]
}

fn operator() -> NoteKey {
    log_key(&key(OPERATOR).public()).unwrap()
}

/// A checkpoint whose text is changed before it is signed.
fn odd(change: impl FnOnce(String) -> String) -> String {
    let text = change(checkpoint(OPERATOR, 7, [7; 32]).claimed().text());
    let line = operator().line(key(OPERATOR).sign(text.as_bytes()).to_vec());
    format!("{text}\n{line}")
}

fn checkpoints() -> Vec<Case> {
    let check = |note: String| Check::Checkpoint {
        note,
        vkey: operator().to_string(),
    };
    let malformed =
        |name, description, note: String| bad("LOG-2", "malformed", name, description, check(note));
    vec![
        good("LOG-2", "checkpoint", "size and root", check(odd(|text| text))),
        good(
            "LOG-2",
            "checkpoint-empty",
            "an empty log",
            check(odd(|text| text.replace("\n7\n", "\n0\n"))),
        ),
        good(
            "LOG-2",
            "checkpoint-extension",
            "a line more, which means nothing here",
            check(odd(|text| text + "more\n")),
        ),
        malformed(
            "checkpoint-leading-zero",
            "a size with a leading zero",
            odd(|text| text.replace("\n7\n", "\n07\n")),
        ),
        malformed(
            "checkpoint-sign",
            "a size with a sign",
            odd(|text| text.replace("\n7\n", "\n+7\n")),
        ),
        malformed(
            "checkpoint-two-lines",
            "no root",
            odd(|text| {
                text.splitn(3, '\n')
                    .take(2)
                    .map(|line| format!("{line}\n"))
                    .collect()
            }),
        ),
        malformed(
            "checkpoint-short-root",
            "a root of 31 bytes",
            odd(|text| text.replace("BwcHBwcHBwcHBwc=", "BwcHBwcHBwc=")),
        ),
        malformed(
            "checkpoint-empty-line",
            "an empty line at its end",
            odd(|text| text + "\n"),
        ),
        bad(
            "LOG-2",
            "bad signature",
            "checkpoint-foreign-signature",
            "the operator's origin, signed by another key under the operator's name and id",
            check({
                let text = checkpoint(OPERATOR, 7, [7; 32]).claimed().text();
                let line = operator().line(key(STRANGER).sign(text.as_bytes()).to_vec());
                format!("{text}\n{line}")
            }),
        ),
    ]
}

fn witness(seed: u8) -> NoteKey {
    let name = format!("witness.example/{seed}");
    NoteKey::new(&name, KeyKind::Cosignature, key(seed).public()).unwrap()
}

fn verified() -> VerifiedCheckpoint {
    checkpoint(OPERATOR, 7, [7; 32]).verify(&operator()).unwrap()
}

fn cosigned_by(seed: u8, time: u64) -> SignatureLine {
    cosign(&verified(), &witness(seed), time, |message| {
        key(seed).sign(message)
    })
    .unwrap()
}

/// The checkpoint with these lines under it.
fn with(lines: impl IntoIterator<Item = SignatureLine>) -> String {
    let checkpoint = lines.into_iter().fold(verified(), VerifiedCheckpoint::with);
    checkpoint.note().to_string()
}

fn cosignatures() -> Vec<Case> {
    let check = |note: String| Check::Cosignature {
        note,
        vkey: operator().to_string(),
        witness: witness(SECOND).to_string(),
    };
    let right = |name, description, note| good("LOG-8", name, description, check(note));
    let wrong = |name, description, note| bad("LOG-8", "bad signature", name, description, check(note));
    let plain = key(SECOND).sign(verified().text().as_bytes()).to_vec();
    let good_line = cosigned_by(SECOND, TIME);
    let backdated = {
        let signature =
            key(SECOND).sign(format!("cosignature/v1\ntime {TIME}\n{}", verified().text()).as_bytes());
        witness(SECOND).line([(TIME + 1).to_be_bytes().as_slice(), &signature].concat())
    };
    let elsewhere = {
        let other = checkpoint(OPERATOR, 8, [7; 32]).verify(&operator()).unwrap();
        cosign(&other, &witness(SECOND), TIME, |message| {
            key(SECOND).sign(message)
        })
        .unwrap()
    };
    vec![
        right("cosignature", "by the witness", with([good_line.clone()])),
        right(
            "cosignature-twice",
            "the newer of two counts",
            with([good_line.clone(), cosigned_by(SECOND, TIME + 9)]),
        ),
        right(
            "cosignature-none",
            "another witness's only",
            with([cosigned_by(STRANGER, TIME)]),
        ),
        wrong(
            "cosignature-time",
            "the time is not the one that was signed",
            with([backdated]),
        ),
        wrong(
            "cosignature-without-time",
            "a signature of the text itself",
            with([witness(SECOND).line(plain)]),
        ),
        wrong(
            "cosignature-of-another",
            "of another checkpoint",
            with([good_line, elsewhere]),
        ),
    ]
}

fn policies() -> Vec<Case> {
    let three: String = WITNESSES
        .map(|seed| format!("witness w{seed} {}\n", witness(seed)))
        .concat();
    let two_of_three = format!(
        "# two of three\nlog {}\n\n{three}group all-of-them 2 w{SECOND} w{SECOND_DEVICE} w{THIRD_DEVICE}\nquorum all-of-them\n",
        operator()
    );
    let check = |policy: &str, lines: &[(u8, u64)]| Check::WitnessPolicy {
        policy: policy.to_owned(),
        note: with(lines.iter().map(|(seed, time)| cosigned_by(*seed, *time))),
        vkey: operator().to_string(),
        since: TIME,
    };
    let right = |name, description, policy: &str, lines: &[(u8, u64)]| {
        good("LOG-8", name, description, check(policy, lines))
    };
    let few = |name, description, policy: &str, lines: &[(u8, u64)]| {
        bad(
            "LOG-8",
            "too few witnesses",
            name,
            description,
            check(policy, lines),
        )
    };
    let [a, b, c] = WITNESSES;
    let nested = format!(
        "{three}witness x {}\ngroup two any w{a} w{b}\ngroup both all two w{c}\nquorum both\n",
        witness(STRANGER)
    );
    let broken = |name, description, policy: String| {
        bad(
            "LOG-10",
            "malformed",
            name,
            description,
            check(&policy, &[(a, TIME), (b, TIME), (c, TIME)]),
        )
    };
    vec![
        right(
            "policy-two-of-three",
            "two have cosigned",
            &two_of_three,
            &[(a, TIME), (c, TIME + 1)],
        ),
        right(
            "policy-nested",
            "one of two, and the third",
            &nested,
            &[(b, TIME), (c, TIME)],
        ),
        right(
            "policy-one",
            "a quorum of one witness",
            &format!("{three}quorum w{b}\n"),
            &[(b, TIME)],
        ),
        right("policy-none", "no witness is asked for", "quorum none\n", &[]),
        few(
            "policy-one-of-three",
            "one has cosigned, twice",
            &two_of_three,
            &[(a, TIME), (a, TIME + 1)],
        ),
        few(
            "policy-unknown-witness",
            "one has cosigned, and a stranger",
            &two_of_three,
            &[(a, TIME), (STRANGER, TIME)],
        ),
        few(
            "policy-too-old",
            "one of the two has cosigned before that time",
            &two_of_three,
            &[(a, TIME), (b, TIME - 1)],
        ),
        few(
            "policy-nested-few",
            "two of the first group",
            &nested,
            &[(a, TIME), (b, TIME)],
        ),
        broken("policy-no-quorum", "no quorum", three.clone()),
        broken(
            "policy-two-quorums",
            "two quorums",
            format!("{three}quorum w{a}\nquorum w{b}\n"),
        ),
        broken(
            "policy-unknown-name",
            "a name that is defined below",
            format!("quorum w{a}\n{three}"),
        ),
        broken(
            "policy-twice-a-member",
            "a witness in two groups",
            format!("{three}group g any w{a}\ngroup h any w{a}\nquorum h\n"),
        ),
        broken(
            "policy-threshold-0",
            "a threshold of 0",
            format!("{three}group g 0 w{a}\nquorum g\n"),
        ),
        broken(
            "policy-threshold-high",
            "a threshold above the members",
            format!("{three}group g 3 w{a} w{b}\nquorum g\n"),
        ),
        broken(
            "policy-same-key",
            "one key as two witnesses",
            format!("witness v {}\n{three}quorum v\n", witness(a)),
        ),
        broken(
            "policy-log-key",
            "a log's key for a witness",
            format!("witness v {PETER}\nquorum v\n"),
        ),
        broken(
            "policy-none-defined",
            "a witness that is called none",
            format!("witness none {}\nquorum none\n", witness(a)),
        ),
        broken(
            "policy-unknown-line",
            "a line of another kind",
            format!("{three}quorum w{a}\nallow everybody\n"),
        ),
        broken(
            "policy-carriage-return",
            "lines that end in CR LF",
            "quorum none\r\n".to_owned(),
        ),
    ]
}

fn tiles() -> Vec<Case> {
    let path = |text: &str| Check::TilePath {
        text: text.to_owned(),
    };
    let right = |name, description, gives, text| published("LOG-9", name, description, gives, path(text));
    let wrong = |name, description, text| bad("LOG-9", "malformed", name, description, path(text));
    let bundle = |bundle: &[u8], width| Check::EntryBundle {
        bundle: Hex(bundle.to_vec()),
        width,
    };
    vec![
        right(
            "published-tile-path",
            "the example of c2sp.org/tlog-tiles",
            "hashes 0 1234067 256",
            "tile/0/x001/x234/067",
        ),
        right("tile-partial", "a partial tile", "hashes 2 0 1", "tile/2/000.p/1"),
        right(
            "tile-entries",
            "entries",
            "entries 273 112",
            "tile/entries/273.p/112",
        ),
        right(
            "tile-largest",
            "the largest number",
            "hashes 63 18446744073709551615 256",
            "tile/63/x018/x446/x744/x073/x709/x551/615",
        ),
        wrong("tile-leading-zeros", "a group too many", "tile/0/x000/067"),
        wrong("tile-no-x", "a group without its x", "tile/0/001/067"),
        wrong("tile-two-digits", "a group of two digits", "tile/0/67"),
        wrong("tile-level", "level 64", "tile/64/000"),
        wrong("tile-level-zero", "a level with a leading zero", "tile/00/000"),
        wrong("tile-width-0", "an empty tile", "tile/0/000.p/0"),
        wrong(
            "tile-width-256",
            "a full tile as a partial one",
            "tile/0/000.p/256",
        ),
        wrong(
            "tile-too-large",
            "a number beyond 64 bits",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ),
        good(
            "LOG-9",
            "bundle",
            "three entries",
            bundle(&[0, 1, 9, 0, 0, 0, 2, 8, 7], 3),
        ),
        bad(
            "LOG-9",
            "malformed",
            "bundle-cut",
            "the last entry is cut off",
            bundle(&[0, 1, 9, 0, 2, 8], 2),
        ),
        bad(
            "LOG-9",
            "malformed",
            "bundle-width",
            "an entry too few",
            bundle(&[0, 1, 9], 2),
        ),
        bad(
            "LOG-9",
            "malformed",
            "bundle-odd",
            "a byte too many",
            bundle(&[0, 1, 9, 0], 1),
        ),
        good(
            "LOG-1",
            "entry-salted",
            "a salted leaf",
            Check::LogEntry {
                entry: Hex(vec![0; 49]),
            },
        ),
        bad(
            "LOG-1",
            "malformed",
            "entry-salted-long",
            "a salted leaf of 50 bytes",
            Check::LogEntry {
                entry: Hex(vec![0; 50]),
            },
        ),
        bad(
            "LOG-1",
            "malformed",
            "entry-kind",
            "an entry of kind 3",
            Check::LogEntry {
                entry: Hex([vec![3], vec![0; 48]].concat()),
            },
        ),
        good(
            "LOG-1",
            "entry-retirement",
            "a statement in clear",
            Check::LogEntry {
                entry: Hex([vec![2, 0, 2, 1, 1], vec![7; 64]].concat()),
            },
        ),
        good(
            "LOG-1",
            "entry-withdrawal",
            "a withdrawal in clear",
            Check::LogEntry {
                entry: Hex([vec![3, 0, 2, 1, 1], vec![7; 64]].concat()),
            },
        ),
        good(
            "LOG-1",
            "entry-program",
            "a program in clear",
            Check::LogEntry {
                entry: Hex([vec![4, 0, 2, 1, 1], vec![7; 64]].concat()),
            },
        ),
        good(
            "LOG-1",
            "entry-restoration",
            "a restoration in clear, signed twice",
            Check::LogEntry {
                entry: Hex([vec![5, 0, 2, 1, 1], vec![7; 64], vec![0, 2, 1, 1], vec![8; 64]].concat()),
            },
        ),
        bad(
            "LOG-1",
            "malformed",
            "entry-kind-5",
            "an entry of kind 5",
            Check::LogEntry {
                entry: Hex([vec![5, 0, 2, 1, 1], vec![7; 64]].concat()),
            },
        ),
        bad(
            "LOG-1",
            "malformed",
            "entry-cut",
            "a statement that is cut off",
            Check::LogEntry {
                entry: Hex([vec![2, 0, 2, 1, 1], vec![7; 63]].concat()),
            },
        ),
    ]
}

fn proofs() -> Vec<Case> {
    let (leaf, sibling) = (b"a leaf".to_vec(), *hash("sibling").as_bytes());
    let root = sha256(&[&[1], &sha256(&[&[0], &leaf]), &sibling]);
    let log = operator();
    let signed = |size, root| -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: log.name().to_owned(),
            size,
            root: protocol_spec::hash::Sha256Digest::from_bytes(root),
            extensions: vec![],
        };
        SignedCheckpoint::sign(checkpoint, &log, |text| key(OPERATOR).sign(text)).unwrap()
    };
    let proof = TlogProof {
        extra: None,
        index: 0,
        path: vec![sibling],
        checkpoint: signed(2, root),
    };
    let text = proof.to_string();
    let check = |proof: String| Check::TlogProof {
        proof,
        leaf: Hex(leaf.clone()),
        vkey: operator().to_string(),
    };
    let malformed =
        |name, description, proof: String| bad("LOG-3", "malformed", name, description, check(proof));
    let extra = TlogProof {
        extra: Some(b"extra".to_vec()),
        ..proof.clone()
    };
    let alone = TlogProof {
        path: vec![],
        checkpoint: signed(1, sha256(&[&[0], &leaf])),
        ..proof
    };
    vec![
        good("LOG-3", "proof", "an offline proof", check(text.clone())),
        good(
            "LOG-3",
            "proof-extra",
            "with extra data, which nobody has signed",
            check(extra.to_string()),
        ),
        good(
            "LOG-3",
            "proof-alone",
            "of the only leaf",
            check(alone.to_string()),
        ),
        malformed("proof-version", "another version", text.replace("@v1", "@v2")),
        malformed(
            "proof-index",
            "an index with a leading zero",
            text.replace("index 0", "index 00"),
        ),
        malformed("proof-no-index", "no index", text.replace("index 0\n", "")),
        malformed(
            "proof-no-checkpoint",
            "no checkpoint",
            text.split("\n\n").next().unwrap().to_owned(),
        ),
        malformed(
            "proof-long-path",
            "a path of 64 hashes",
            text.replace(
                "index 0\n",
                &format!(
                    "index 0\n{}",
                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(63)
                ),
            ),
        ),
        malformed(
            "proof-bad-hash",
            "a hash that is no base64",
            text.replace("index 0\n", "index 0\n!\n"),
        ),
    ]
}
