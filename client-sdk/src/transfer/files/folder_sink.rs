//! A folder into which received parts go. It appears under its final name only when everything in it is verified.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crypto::content::Header;
use protocol_spec::{file_names::FileNames, hash::LeafHash, ids::RecordId, manifest::Part};

use super::{
    disk::{Disk, Failed, LARGE, LargeFile, date, open_again},
    hidden::Hidden,
    text::Text,
};
use crate::{
    Error, Result,
    ground::native::disk::{make_folder, sync_all, sync_folder, sync_folders},
    transfer::{
        Sink,
        left::{LeftBehind, read_list},
    },
};

/// Writes to `out/<record id>/<part name>`, as far as that is a safe name, by way of a hidden folder in `out`. A transfer that
/// breaks off, or whose process is killed, leaves that folder, and goes on behind what is in it:
///
/// ```text
/// .medvault-<name>.partial/<record id>/…      its parts, as far as they came
///                          <record id>.leaves header of its stream ‖ hashes of the leaves that came
/// ```
pub struct FolderSink {
    out: PathBuf,
    hidden: Hidden,
    /// Whether `out` was made here, to be removed again if nothing comes of it.
    made_out: bool,
    records: Vec<RecordId>,
    /// More than one file is not taken.
    single: bool,
    /// Under which names the parts of each record go.
    names: HashMap<RecordId, FileNames>,
    current: Current,
    /// The list of leaves of the record that is being written.
    leaves: Option<(RecordId, File, PathBuf)>,
    /// Something is there with which a later run can go on.
    keep: bool,
    /// It is not what it should be.
    forgotten: bool,
    /// The first small file, finished but not durable: often it is the only one, and needs no thread.
    first: Option<(File, PathBuf)>,
    disk: Option<Disk>,
    /// The hidden folder, locked: a second transfer must not clear away or fill what this one will publish.
    _lock: File,
}

/// The part that is being written.
enum Current {
    None,
    /// And when its sender changed it last.
    Small(File, PathBuf, Option<SystemTime>),
    Large(LargeFile),
}

impl FolderSink {
    /// Prepares to write `records` below `out`; `name` tells hidden folders of different transfers apart.
    ///
    /// # Errors
    /// [`Error::Exists`] when a record's folder is there already,
    /// [`Error::HomeLocked`] while the same transfer runs elsewhere, [`Error::Io`].
    pub fn new(out: &Path, name: &str, records: &[RecordId]) -> Result<Self> {
        for record in records {
            free(&out.join(record.to_string()))?;
        }
        let made_out = !out.exists();
        make_folder(out).map_err(Error::io(MAKE, out))?;
        let hidden = Hidden::below(out, name);
        let (lock, keep) = hidden.claim()?;
        Ok(Self {
            out: out.to_owned(),
            hidden,
            made_out,
            records: records.to_vec(),
            single: false,
            names: HashMap::new(),
            current: Current::None,
            leaves: None,
            keep,
            forgotten: false,
            first: None,
            disk: None,
            _lock: lock,
        })
    }

    /// The same, if the volume has room for so many bytes, with what an earlier run has left of them.
    ///
    /// # Errors
    /// As [`Self::new`]; [`Error::Io`] of kind `StorageFull`.
    pub fn with_room(out: &Path, name: &str, records: &[RecordId], bytes: u64) -> Result<Self> {
        let sink = Self::new(out, name, records)?;
        let there = if sink.keep { sink.hidden.size() } else { 0 };
        match free_bytes(out) {
            Some(free) if free.saturating_add(there) < bytes => {
                let full = format!("{bytes} bytes are needed, {free} are free; nothing was charged");
                let full = io::Error::new(io::ErrorKind::StorageFull, full);
                Err(Error::io("there is no room in", out)(full))
            }
            _ => Ok(sink),
        }
    }

    /// For who wants one file: of more, none is received.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is more than one record.
    pub fn single(mut self) -> Result<Self> {
        self.single = true;
        match self.records.len() {
            1 => Ok(self),
            count => Err(Error::Usage(format!(
                "there are {count} records, and one file was asked for: {TO_FOLDER}"
            ))),
        }
    }

    /// Removes what a transfer of this name has left below `out`, unless it is going on.
    pub fn discard(out: &Path, name: &str) {
        Hidden::below(out, name).discard();
    }

    /// The hidden folder with what a transfer of this name has left below `out`, if it has left something.
    pub fn left_behind(out: &Path, name: &str) -> Option<PathBuf> {
        let hidden = Hidden::below(out, name);
        hidden.has_lists().then(|| hidden.path().to_owned())
    }

    /// Where a record lies until it is moved.
    pub(crate) fn unmoved(out: &Path, name: &str, record: &RecordId) -> PathBuf {
        Hidden::below(out, name).record(record)
    }

    /// Moves what an earlier run had finished, and not moved yet, to where it belongs.
    pub(crate) fn finish(out: &Path, name: &str, record: &RecordId) -> Result<()> {
        let (from, to) = (Self::unmoved(out, name, record), out.join(record.to_string()));
        free(&to)?;
        // Its hashes were taken of what lies in memory.
        sync_all(&from)?;
        fs::rename(&from, &to).map_err(Error::io("cannot make", &to))?;
        sync_folder(out).map_err(Error::io(SYNC, out))
    }

    /// Hands the finished file to the disk's thread.
    fn end_part(&mut self) -> Result<()> {
        let ended = match std::mem::replace(&mut self.current, Current::None) {
            Current::None => Ok(()),
            Current::Small(file, path, modified) => {
                if let Some(modified) = modified {
                    date(&file, modified);
                }
                if self.disk.is_none() && self.first.is_none() {
                    self.first = Some((file, path));
                    Ok(())
                } else {
                    self.disk().and_then(|disk| disk.sync(file, path))
                }
            }
            Current::Large(large) => self.disk().and_then(|disk| disk.end(large)),
        };
        ended.map_err(|failed| self.reason(failed))
    }

    /// The disk's thread, which starts with the first file that wants it.
    fn disk(&mut self) -> Result<&mut Disk, Failed> {
        let first = self.first.take();
        let disk = self.disk.get_or_insert_with(Disk::start);
        if let Some((file, path)) = first {
            disk.sync(file, path)?;
        }
        Ok(disk)
    }

    /// Why the disk's thread has stopped.
    fn reason(&mut self, _: Failed) -> Error {
        let finished = self.disk.take().map(Disk::finish);
        finished
            .and_then(Result::err)
            .unwrap_or_else(|| Error::Usage("writing has ended: fetch again".into()))
    }
}

impl Sink for FolderSink {
    fn begin(&mut self, record: &RecordId, part: &Part) -> Result<()> {
        self.end_part()?;
        // A part's place cannot leave its folder (CNT-12, CNT-18), so joining it cannot either.
        let place = self.names.entry(*record).or_default().place(&part.name);
        let path = self.hidden.record(record).join(place);
        let folder = path.parent().unwrap_or(self.hidden.path());
        make_folder(folder).map_err(Error::io(MAKE, folder))?;
        let modified = part.modified.map(time);
        self.current = if part.length < LARGE {
            let file = open_again(&path, part.length).map_err(Error::io("cannot write", &path))?;
            Current::Small(file, path, modified)
        } else {
            Current::Large(LargeFile::create(&path, part.length, modified)?)
        };
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match std::mem::replace(&mut self.current, Current::None) {
            Current::Small(mut file, path, modified) => {
                file.write_all(bytes).map_err(Error::io("cannot write", &path))?;
                self.current = Current::Small(file, path, modified);
            }
            Current::Large(mut large) => {
                let written = self.disk().and_then(|disk| disk.write(&mut large, bytes));
                written.map_err(|failed| self.reason(failed))?;
                self.current = Current::Large(large);
            }
            Current::None => return Err(Error::Usage("no part has begun: call begin first".into())),
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.end_part()?;
        if let Some((file, path)) = self.first.take() {
            file.sync_data().map_err(Error::io("cannot write", &path))?;
        }
        self.disk.take().map_or(Ok(()), Disk::finish)?;
        for record in &self.records {
            sync_folders(&self.hidden.record(record))?;
        }
        let mut moved = Vec::new();
        for record in &self.records {
            let target = self.out.join(record.to_string());
            let put = free(&target).and_then(|()| {
                fs::rename(self.hidden.record(record), &target).map_err(Error::io("cannot make", &target))
            });
            if let Err(error) = put {
                // All or none: what was moved already goes with the rest.
                moved.iter().for_each(|target| drop(fs::remove_dir_all(target)));
                return Err(error);
            }
            moved.push(target);
        }
        self.made_out = false;
        self.keep = false;
        sync_folder(&self.out).map_err(Error::io(SYNC, &self.out))
    }

    fn has_left(&self) -> bool {
        self.keep
    }

    fn left(&mut self, record: &RecordId, parts: &[Part]) -> Result<Option<LeftBehind>> {
        if self.single && parts.len() != 1 {
            let count = parts.len();
            return Err(Error::Usage(format!(
                "the record has {count} files, and one was asked for: {TO_FOLDER}"
            )));
        }
        let list = self.hidden.list(record);
        let bytes = match fs::read(&list) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read", &list)(error)),
        };
        let Some((header, hashes)) = read_list(&bytes) else {
            return Ok(None);
        };
        let mut names = FileNames::default();
        let folder = self.hidden.record(record);
        let files = parts
            .iter()
            .map(|part| (folder.join(names.place(&part.name)), part.length));
        Ok(Some(LeftBehind {
            header,
            hashes,
            text: Box::new(Text::of(files.collect())),
        }))
    }

    fn passed(&mut self, record: &RecordId, header: &Header, leaf: &LeafHash) -> Result<()> {
        let (file, path) = match self.leaves.take().filter(|(of, ..)| of == record) {
            Some((_, file, path)) => (file, path),
            None => {
                let path = self.hidden.list(record);
                let mut file = File::options()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(&path)
                    .map_err(Error::io("cannot write", &path))?;
                file.write_all(header).map_err(Error::io("cannot write", &path))?;
                (file, path)
            }
        };
        (&file)
            .write_all(leaf.as_bytes())
            .map_err(Error::io("cannot write", &path))?;
        self.leaves = Some((*record, file, path));
        self.keep = true;
        Ok(())
    }

    fn forget(&mut self) {
        self.keep = false;
        self.forgotten = true;
    }

    fn leave_out(&mut self, records: &[RecordId]) {
        self.records.retain(|record| !records.contains(record));
        for record in records {
            // What an earlier run has received of them.
            drop(fs::remove_dir_all(self.hidden.record(record)));
            drop(fs::remove_file(self.hidden.list(record)));
        }
    }
}

impl Drop for FolderSink {
    fn drop(&mut self) {
        if self.keep && !self.forgotten {
            // What is in memory belongs to leaves that are listed. If it fails, they are fetched again.
            drop(self.end_part());
        }
        // Some file systems do not remove what is open.
        self.current = Current::None;
        self.first = None;
        self.leaves = None;
        drop(self.disk.take().map(Disk::finish));
        if self.keep && !self.forgotten {
            return;
        }
        self.hidden.remove();
        if self.made_out {
            drop(fs::remove_dir(&self.out));
        }
    }
}

const MAKE: &str = "cannot make";
const SYNC: &str = "cannot sync";
const TO_FOLDER: &str = "nothing was received or charged; give a folder, --out DIR";

/// The time that a manifest has in nanoseconds since 1970.
fn time(modified: i64) -> SystemTime {
    let away = Duration::from_nanos(modified.unsigned_abs());
    let time = if modified < 0 {
        UNIX_EPOCH.checked_sub(away)
    } else {
        UNIX_EPOCH.checked_add(away)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// Bytes that are free on the volume of a folder; none where the system does not say.
fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let space = rustix::fs::statvfs(folder).ok()?;
        Some(space.f_bavail.saturating_mul(space.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

fn free(target: &Path) -> Result<()> {
    match target.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("cannot read", target)(error)),
        Ok(_) => Err(Error::Exists {
            path: target.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use protocol_spec::{
        hash::Sha256Digest,
        manifest::{Clinical, PartName},
    };

    use super::*;
    use crate::ground::native::disk::make_new_folder;

    const RECORD: RecordId = RecordId::from_bytes([1; 16]);

    fn part(name: &str) -> Part {
        Part {
            name: PartName::try_from(name.to_owned()).unwrap(),
            media_type: String::new(),
            offset: 0,
            length: 5,
            sha256: Sha256Digest::of(b""),
            clinical: Clinical::default(),
            modified: None,
        }
    }

    fn sink(out: &Path) -> FolderSink {
        FolderSink::new(out, "test", &[RECORD]).unwrap()
    }

    fn write(sink: &mut FolderSink) {
        sink.begin(&RECORD, &part("series/a.dcm")).unwrap();
        sink.write(b"he").unwrap();
        sink.write(b"llo").unwrap();
        sink.begin(&RECORD, &part("empty")).unwrap();
    }

    #[test]
    fn files_appear_all_at_once_at_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut sink = sink(&out);
        write(&mut sink);
        let record = out.join(RECORD.to_string());
        assert!(!record.exists());
        sink.commit().unwrap();
        drop(sink);
        assert_eq!(fs::read(record.join("series/a.dcm")).unwrap(), b"hello");
        assert_eq!(fs::read(record.join("empty")).unwrap(), b"");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    }

    /// CNT-18, ATK-73: whatever a sender calls its files, they lie there under names that deceive nobody, none over another.
    #[test]
    fn deceiving_names_become_safe_ones() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = sink(dir.path());
        let names = [
            "report\u{202e}fdp.exe",
            "-rf",
            ".bashrc",
            "CON",
            "x ",
            "y.",
            "A.txt",
            "a.txt",
        ];
        for name in names {
            sink.begin(&RECORD, &part(name)).unwrap();
            sink.write(name.as_bytes()).unwrap();
        }
        sink.commit().unwrap();
        let record = dir.path().join(RECORD.to_string());
        let safe = [
            "report_fdp.exe",
            "_rf",
            "_bashrc",
            "_ON",
            "x_",
            "y_",
            "A.txt",
            "a~2.txt",
        ];
        for (name, safe) in names.iter().zip(safe) {
            assert_eq!(fs::read_to_string(record.join(safe)).unwrap(), *name);
        }
        assert_eq!(fs::read_dir(&record).unwrap().count(), names.len());
    }

    /// CNT-21: small files and large ones, before and after 1970.
    #[test]
    fn files_keep_the_time_of_their_last_change() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = sink(dir.path());
        let large = vec![1; usize::try_from(LARGE).unwrap()];
        let times = [1_779_955_200_123_456_700, 0, -86_400_000_000_000];
        for (number, modified) in times.into_iter().enumerate() {
            for text in [&b"small"[..], &large] {
                let named = Part {
                    modified: Some(modified),
                    length: text.len() as u64,
                    ..part(&format!("{number}-{}", text.len()))
                };
                sink.begin(&RECORD, &named).unwrap();
                sink.write(text).unwrap();
            }
        }
        sink.commit().unwrap();
        for entry in fs::read_dir(dir.path().join(RECORD.to_string())).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let number: usize = name.split('-').next().unwrap().parse().unwrap();
            assert_eq!(
                entry.metadata().unwrap().modified().unwrap(),
                time(times[number]),
                "{name}"
            );
        }
    }

    #[test]
    fn without_the_commit_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("deep/out");
        let mut sink = sink(&out);
        write(&mut sink);
        drop(sink);
        assert!(!out.exists());
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("mine"), "kept").unwrap();
        drop(self::sink(&out));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join(RECORD.to_string());
        let mut early = sink(dir.path());
        write(&mut early);
        fs::create_dir(&target).unwrap();
        assert!(matches!(early.commit(), Err(Error::Exists { .. })));
        drop(early);
        assert!(matches!(
            FolderSink::new(dir.path(), "test", &[RECORD]),
            Err(Error::Exists { .. })
        ));
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(".medvault-test.partial/rec");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("a.dcm"), "half").unwrap();
        drop(sink(dir.path()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_second_transfer_does_not_touch_what_the_first_is_writing() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = sink(dir.path());
        write(&mut first);
        assert!(matches!(
            FolderSink::new(dir.path(), "test", &[RECORD]),
            Err(Error::HomeLocked { .. })
        ));
        first.commit().unwrap();
        let file = dir.path().join(RECORD.to_string()).join("series/a.dcm");
        assert_eq!(fs::read(file).unwrap(), b"hello");
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_in_the_place_of_the_hidden_folder_is_not_followed() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hidden = dir.path().join(".medvault-test.partial");
        fs::write(elsewhere.path().join("mine"), "kept").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &hidden).unwrap();
        assert!(make_new_folder(&hidden).is_err());
        write(&mut sink(dir.path()));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    }
}
