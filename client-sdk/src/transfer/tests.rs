use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use crypto::{
    DataKey, OperatingSystem,
    content::{RecordContext, Sealer, StreamLengths},
};
use protocol_spec::{
    content::LEAF_LEN,
    ids::{PatientId, PermissionId, RecordId, VersionId},
    manifest::{Clinical, Part},
};
use tokio::sync::mpsc;

use super::{
    journal::Journal,
    opening::{Expected, open},
    sealing::{SealedStream, seal},
    *,
};
use crate::{Error, Result, home::Home};

const CONTEXT: RecordContext = RecordContext {
    patient: PatientId::from_bytes([1; 32]),
    record: RecordId::from_bytes([2; 16]),
    version: VersionId::from_bytes([3; 16]),
};

fn key() -> DataKey {
    DataKey::from_bytes(&[9; 32])
}

/// A folder of files of these lengths, with contents that differ.
fn folder(lengths: &[usize]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    for (index, length) in lengths.iter().enumerate() {
        let text: Vec<u8> = (0..*length)
            .map(|i| (i * 31 % 251 + index).to_le_bytes()[0])
            .collect();
        fs::write(dir.path().join(format!("in/{index:03}.bin")), text).unwrap();
    }
    dir
}

struct Sealed {
    stream: SealedStream,
    leaves: Vec<Bytes>,
    lengths: StreamLengths,
}

fn seal_folder(dir: &Path) -> Result<Sealed> {
    let source = FileSource::list(&[dir.join("in")])?;
    let plaintext = source.parts().iter().map(|part| part.length).sum();
    let journal = Journal::open(
        &Home::at(&dir.join("home")),
        &PermissionId::from_bytes([4; 16]),
        source.parts(),
    )?;
    let sealer = match journal.header() {
        Some(header) => Sealer::resume(&key(), &CONTEXT, plaintext, &header, 0)?,
        None => Sealer::new(&OperatingSystem, &key(), &CONTEXT, plaintext)?,
    };
    let mut journal = journal;
    journal.begin(
        &protocol_spec::ids::UploadId::from_bytes([5; 16]),
        sealer.header(),
    )?;
    let lengths = StreamLengths {
        stream: sealer.stream_len(),
        plaintext,
    };
    let (sender, mut batches) = mpsc::channel(1000);
    let stream = seal(source, sealer, Some(journal.leaf_log()?), &sender)?;
    drop(sender);
    let mut leaves: Vec<Bytes> = stream.single.iter().cloned().collect();
    while let Some(batch) = batches.blocking_recv() {
        assert_eq!(batch.first, leaves.len() as u64);
        leaves.extend(batch.leaves);
    }
    Ok(Sealed {
        stream,
        leaves,
        lengths,
    })
}

fn open_into(dir: &Path, sealed: &Sealed, leaves: &[Bytes], parts: &[Part]) -> Result<()> {
    let (sender, received) = mpsc::channel(1000);
    leaves
        .iter()
        .for_each(|leaf| sender.blocking_send(leaf.clone()).unwrap());
    drop(sender);
    let expected = Expected {
        key: key(),
        context: CONTEXT,
        lengths: sealed.lengths,
        root: sealed.stream.root,
        parts: parts.to_vec(),
    };
    let sink = FolderSink::new(&dir.join("out"), "test", &[CONTEXT.record])?;
    open(received, expected, sink)?.commit()
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap());
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            (
                entry.path().strip_prefix(folder).unwrap().to_owned(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn what_was_sealed_opens_byte_for_byte() {
    let leaf = usize::try_from(LEAF_LEN).unwrap();
    for lengths in [
        &[0][..],
        &[5],
        &[0, 0, 16_384, 0],
        &[leaf],
        &[1, 3 * leaf + 77, 0, 200],
        &[100; 300],
    ] {
        let dir = folder(lengths);
        let sealed = seal_folder(dir.path()).unwrap();
        open_into(dir.path(), &sealed, &sealed.leaves, &sealed.stream.parts).unwrap();
        let out = dir.path().join("out").join(CONTEXT.record.to_string()).join("in");
        assert!(contents(&dir.path().join("in")) == contents(&out), "{lengths:?}");
    }
}

/// CNT-15, ATK-17.
#[test]
fn wrong_leaves_and_wrong_parts_leave_nothing() {
    let dir = folder(&[100, 3_000_000]);
    let sealed = seal_folder(dir.path()).unwrap();
    let (leaves, parts) = (&sealed.leaves, &sealed.stream.parts);
    let mut flipped = leaves.clone();
    let mut bytes = flipped[1].to_vec();
    bytes[70_000] ^= 1;
    flipped[1] = bytes.into();
    let swapped = [leaves[1].clone(), leaves[0].clone(), leaves[2].clone()];
    let mut other_hash = parts.clone();
    other_hash[0].sha256 = other_hash[1].sha256;
    let mut shorter = parts.clone();
    shorter[1].length -= 1;
    let mut longer = parts.clone();
    longer[1].length += 1;
    let cases: [(&[Bytes], &[Part]); 7] = [
        (&flipped, parts),
        (&swapped, parts),
        (&[], parts),
        (leaves, &other_hash),
        (leaves, &shorter),
        (leaves, &longer),
        (leaves, &parts[..1]),
    ];
    for (index, (leaves, parts)) in cases.into_iter().enumerate() {
        let opened = open_into(dir.path(), &sealed, leaves, parts);
        assert!(
            matches!(opened, Err(Error::Tampered { .. })),
            "case {index}: {opened:?}"
        );
        assert!(!dir.path().join("out").exists(), "case {index}");
    }
    let mut other_root = sealed;
    other_root.stream.root = protocol_spec::hash::ContentRoot::from_bytes([0; 32]);
    let (leaves, parts) = (other_root.leaves.clone(), other_root.stream.parts.clone());
    assert!(matches!(
        open_into(dir.path(), &other_root, &leaves, &parts),
        Err(Error::Tampered { .. })
    ));
}

#[test]
fn sealing_again_gives_the_same_leaves_only_for_the_same_source() {
    let dir = folder(&[2_500_000]);
    let first = seal_folder(dir.path()).unwrap();
    let again = seal_folder(dir.path()).unwrap();
    assert!(first.leaves == again.leaves);
    // Another content of the same length: no leaf of it is handed on under this key stream.
    fs::write(dir.path().join("in/000.bin"), vec![7; 2_500_000]).unwrap();
    assert!(matches!(
        seal_folder(dir.path()),
        Err(Error::SourceChanged { .. })
    ));
    // Another length: the journal no longer fits, and the key stream is another.
    fs::write(dir.path().join("in/000.bin"), vec![7; 2_500_001]).unwrap();
    let other = seal_folder(dir.path()).unwrap();
    assert!(other.leaves[0][..56] != first.leaves[0][..56]);
}

/// CNT-15, FLW-19: nothing of it has its final name, and a run that goes on needs the rest alone.
#[test]
fn what_breaks_off_stays_hidden_and_goes_on() {
    let dir = folder(&[100, 3_000_000]);
    let sealed = seal_folder(dir.path()).unwrap();
    let parts = &sealed.stream.parts;
    let out = dir.path().join("out");
    let opened = open_into(dir.path(), &sealed, &sealed.leaves[..2], parts);
    assert!(matches!(opened, Err(Error::Tampered { .. })), "{opened:?}");
    let names = || -> Vec<_> {
        let entries = fs::read_dir(&out).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names(), [".medvault-test.partial"]);
    let mut sink = FolderSink::new(&out, "test", &[CONTEXT.record]).unwrap();
    let left = sink.left(&CONTEXT.record, parts).unwrap().unwrap();
    let sealer = left.sealer(&key(), &CONTEXT, sealed.lengths).unwrap();
    let (sender, mut received) = mpsc::channel(1000);
    // The second ends within a chunk, which is opened with the third.
    assert_eq!(left::send_left(left, sealer, &sender), 1);
    drop(sender);
    assert!(received.blocking_recv() == Some(sealed.leaves[0].clone()));
    drop(sink);
    open_into(dir.path(), &sealed, &sealed.leaves, parts).unwrap();
    assert_eq!(names(), [CONTEXT.record.to_string().as_str()]);
}

/// A source that claims to be what it was, and is not.
struct Liar {
    parts: Vec<SourcePart>,
    text: Vec<u8>,
}

impl Source for Liar {
    fn parts(&self) -> &[SourcePart] {
        &self.parts
    }

    fn open(&mut self, _: usize) -> Result<Box<dyn std::io::Read + Send>> {
        Ok(Box::new(std::io::Cursor::new(self.text.clone())))
    }
}

/// ATK-20
#[test]
fn two_plaintexts_never_leave_under_one_key_stream() {
    let dir = tempfile::tempdir().unwrap();
    let part = SourcePart {
        name: protocol_spec::manifest::PartName::try_from("a".to_owned()).unwrap(),
        media_type: String::new(),
        length: 2_000_000,
        clinical: Clinical::default(),
        modified: None,
        identity: Some("same".into()),
    };
    let run = |text: Vec<u8>| {
        let source = Liar {
            parts: vec![part.clone()],
            text,
        };
        let home = Home::at(&dir.path().join("home"));
        let mut journal = Journal::open(&home, &PermissionId::from_bytes([4; 16]), source.parts())?;
        let sealer = match journal.header() {
            Some(header) => Sealer::resume(&key(), &CONTEXT, 2_000_000, &header, 0)?,
            None => Sealer::new(&OperatingSystem, &key(), &CONTEXT, 2_000_000)?,
        };
        journal.begin(
            &protocol_spec::ids::UploadId::from_bytes([5; 16]),
            sealer.header(),
        )?;
        let (sender, mut batches) = mpsc::channel(10);
        let sealed = seal(source, sealer, Some(journal.leaf_log()?), &sender);
        drop(sender);
        let mut count = 0;
        while batches.blocking_recv().is_some() {
            count += 1;
        }
        sealed.map(|_| count)
    };
    assert_eq!(run(vec![1; 2_000_000]).unwrap(), 1);
    assert!(matches!(
        run(vec![2; 2_000_000]),
        Err(Error::SourceChanged { .. })
    ));
    assert!(matches!(
        run(vec![1; 1_999_999]),
        Err(Error::SourceChanged { .. })
    ));
    assert_eq!(run(vec![1; 2_000_000]).unwrap(), 1);
}

#[test]
fn a_file_that_vanishes_while_it_is_read_ends_the_upload() {
    let dir = folder(&[2_000_000, 3_000_000]);
    let mut source = FileSource::list(&[dir.path().join("in")]).unwrap();
    let plaintext = 5_000_000;
    let journal = Journal::open(
        &Home::at(&dir.path().join("home")),
        &PermissionId::from_bytes([4; 16]),
        source.parts(),
    )
    .unwrap();
    let sealer = Sealer::new(&OperatingSystem, &key(), &CONTEXT, plaintext).unwrap();
    let (sender, _batches) = mpsc::channel(100);
    source.open(0).unwrap();
    fs::remove_file(dir.path().join("in/001.bin")).unwrap();
    let sealed = seal(source, sealer, Some(journal.leaf_log().unwrap()), &sender);
    let Err(Error::SourceChanged { path }) = sealed else {
        panic!("must fail")
    };
    assert!(path.ends_with("in/001.bin"));
}
