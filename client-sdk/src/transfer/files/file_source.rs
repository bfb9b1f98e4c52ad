//! Files and folders that are sent, each opened once.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use protocol_spec::hash::Sha256Digest;

use super::{
    file::{Look, SentFile},
    listing::Listing,
    remark::Remark,
};
use crate::{
    Error, Result,
    transfer::{Source, SourcePart},
};

/// Files and folders. Each is known by size, times and inode. Where size or times change its content decides whether it has changed;
/// another file under its name is not taken for it.
pub struct FileSource {
    listed: Listing,
    /// The file that is being read.
    reading: Option<Reading>,
}

/// A file that is being read.
struct Reading {
    index: usize,
    file: SentFile,
    /// How the file looked when it was listed.
    look: Look,
    /// It looked otherwise before, so that all of it is compared at the end.
    changed: bool,
    /// From so many bytes on it is compared again when it looks otherwise.
    compare: u64,
}

impl FileSource {
    /// Lists files, and folders recursively in the order of their names, each under its own name. Symbolic links are not followed: a
    /// link given by name is an error, one inside a folder is left out. What is left out, [`Self::remarks`] says.
    ///
    /// # Errors
    /// [`Error::Io`] for what is not there or cannot be read; [`Error::Usage`] for names that a record cannot hold or that should not be
    /// sent (CNT-17), two files of one name, or none at all.
    pub fn list(paths: &[PathBuf]) -> Result<Self> {
        Self::collect(paths, false)
    }

    /// As [`Self::list`], with whatever symbolic links lead to, under the names of the links.
    pub fn following(paths: &[PathBuf]) -> Result<Self> {
        Self::collect(paths, true)
    }

    /// What is not sent, or not under its own name.
    pub fn remarks(&self) -> &[Remark] {
        &self.listed.remarks
    }
    fn collect(paths: &[PathBuf], follow: bool) -> Result<Self> {
        Ok(Self {
            listed: Listing::of(paths, follow)?,
            reading: None,
        })
    }

    /// Opens a file again, if it is the one that was listed and has the length that was announced. Whether it has changed since
    /// only what it says of itself can tell.
    fn reopen(&self, index: usize) -> io::Result<Option<(SentFile, Look)>> {
        let (Some(path), Some(part), Some(listed)) = (
            self.listed.paths.get(index),
            self.listed.parts.get(index),
            self.listed.looks.get(index),
        ) else {
            return Ok(None);
        };
        let file = SentFile::open(path, self.listed.follow)?;
        let metadata = file.metadata()?;
        let look = Look::of(path, &metadata);
        let same = look.is_file_of(listed) && metadata.len() == part.length;
        let same =
            same && (look == *listed || file.describe()? == (part.media_type.clone(), part.clinical.clone()));
        Ok(same.then_some((file, look)))
    }
}

impl Source for FileSource {
    fn parts(&self) -> &[SourcePart] {
        &self.listed.parts
    }

    fn open(&mut self, index: usize) -> Result<Box<dyn Read + Send>> {
        let opened = self.reopen(index).ok().flatten();
        let opened = opened.and_then(|(file, look)| Some((file.content().ok()?, file, look)));
        let path = self.path(index);
        let (content, file, look) = opened.ok_or(Error::SourceChanged { path })?;
        self.reading = Some(Reading {
            index,
            file,
            look,
            changed: false,
            compare: 0,
        });
        Ok(Box::new(content))
    }

    fn look(&mut self, index: usize, read: u64, hash: &dyn Fn() -> Sha256Digest) -> Result<()> {
        let path = self.path(index);
        let changed = || Error::SourceChanged { path: path.clone() };
        let reading = self.reading.as_mut().filter(|reading| reading.index == index);
        let reading = reading.ok_or_else(changed)?;
        let length = self.listed.parts.get(index).map(|part| part.length);
        let metadata = reading.file.metadata().map_err(|_| changed())?;
        if Some(metadata.len()) != length {
            return Err(changed());
        }
        let whole = length == Some(read);
        let look = Look::of(&path, &metadata);
        let looks_other = reading.look != look;
        reading.changed |= looks_other;
        reading.look = look;
        // Soon when it looks otherwise, so that a change is named before all is sent, and all of it at the end. Ever further apart:
        // something that touches it all the time must not have it read again and again.
        if reading.changed && (whole || looks_other && read >= reading.compare) {
            reading.compare = read.saturating_mul(2);
            if reading.file.hash(read).map_err(|_| changed())? != hash() {
                return Err(changed());
            }
        }
        if whole {
            self.reading = None;
        }
        Ok(())
    }

    fn path(&self, index: usize) -> PathBuf {
        self.listed.paths.get(index).cloned().unwrap_or_default()
    }
}
#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        fs::File,
        path::Path,
        time::{SystemTime, UNIX_EPOCH},
    };

    use super::*;
    use crate::transfer::{
        AsyncPart,
        files::{LeftOut, Remarked},
    };

    /// A folder `study` with these files.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("study")).unwrap();
        for name in files {
            let path = dir.path().join("study").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        dir
    }

    fn study(dir: &tempfile::TempDir) -> [PathBuf; 1] {
        [dir.path().join("study")]
    }

    fn names(source: &FileSource) -> Vec<&str> {
        source.parts().iter().map(|part| part.name.as_str()).collect()
    }

    /// What is left out of the study, and why.
    fn left_out(source: &FileSource) -> Vec<(&str, LeftOut)> {
        let remarks = source.remarks().iter();
        let left = remarks.filter_map(|remark| match remark.what {
            Remarked::LeftOut(why) => Some((remark.path.file_name()?.to_str()?, why)),
            _ => None,
        });
        left.collect()
    }

    /// CNT-21: folders keep their own names.
    #[test]
    fn folders_are_listed_in_order_and_files_by_their_name() {
        let dir = tree(&["b/2.txt", "b/1.txt", "a.json", "z/deep/er.xml", "b/x/1.txt"]);
        let folder = FileSource::list(&study(&dir)).unwrap();
        let all = [
            "study/a.json",
            "study/b/1.txt",
            "study/b/2.txt",
            "study/b/x/1.txt",
            "study/z/deep/er.xml",
        ];
        assert_eq!(names(&folder), all);
        let at = |name: &str| dir.path().join("study").join(name);
        let chosen = FileSource::list(&[at("a.json"), at("b/x"), at("z/deep/.."), at("b/1.txt")]).unwrap();
        assert_eq!(names(&chosen), ["a.json", "x/1.txt", "z/deep/er.xml", "1.txt"]);
        assert_eq!(chosen.parts()[0].media_type, "application/json");
        assert!(folder.remarks().is_empty() && chosen.remarks().is_empty());
        let hidden = dir.path().join(".study");
        std::fs::rename(at(""), &hidden).unwrap();
        let unnamed = FileSource::list(std::slice::from_ref(&hidden)).unwrap();
        assert_eq!(names(&unnamed)[0], "a.json");
        let remark = Remark {
            path: hidden,
            what: Remarked::Unnamed,
        };
        assert_eq!(unnamed.remarks(), [remark]);
    }

    #[test]
    fn what_a_record_cannot_hold_is_refused() {
        let dir = tree(&["a/x", "b/x", "c/bad\nname"]);
        let list = |names: &[&str]| {
            let paths: Vec<_> = names
                .iter()
                .map(|name| dir.path().join("study").join(name))
                .collect();
            FileSource::list(&paths).err()
        };
        assert!(matches!(list(&["a/x", "b/x"]), Some(Error::Usage(_))));
        assert!(list(&["a", "b"]).is_none());
        assert!(matches!(list(&["c"]), Some(Error::Usage(_))));
        assert!(matches!(list(&[]), Some(Error::Usage(_))));
        assert!(matches!(list(&["missing"]), Some(Error::Io { .. })));
    }

    /// CNT-17, ATK-73; what the sender can put right by itself is, and is said (CNT-21).
    #[cfg(unix)]
    #[test]
    fn names_that_deceive_are_refused_with_what_to_do() {
        for bad in ["-rf", ".bashrc", "report\u{202e}fdp.exe"] {
            let dir = tree(&[bad]);
            let error = FileSource::list(&study(&dir)).err().unwrap().to_string();
            assert!(error.contains("rename it"), "{error}");
        }
        let dir = tree(&["u\u{308}bersicht\u{a0}1.txt"]);
        let source = FileSource::list(&study(&dir)).unwrap();
        assert_eq!(names(&source), ["study/übersicht 1.txt"]);
        let renamed = Remarked::Renamed("study/übersicht 1.txt".into());
        assert_eq!(source.remarks()[0].what, renamed);
    }

    /// CNT-17: names of zips that were made on Windows, names that differ in case alone, names that are no text.
    #[cfg(unix)]
    #[test]
    fn names_that_other_systems_do_not_hold_are_carried() {
        use std::os::unix::ffi::OsStrExt;
        let all = [
            "A.txt",
            "CON",
            "IM1",
            "a.txt",
            "c:x",
            "im1",
            "series\\IM1",
            "what?.txt",
            "x ",
        ];
        let dir = tree(&all);
        let deep = "folder-of-the-study/".repeat(60);
        let deepest = dir.path().join("study").join(&deep);
        std::fs::create_dir_all(&deepest).unwrap();
        std::fs::write(deepest.join("IM1"), "x").unwrap();
        std::fs::write(
            dir.path().join("study").join(OsStr::from_bytes(b"z-M\xfcller")),
            "x",
        )
        .unwrap();
        let source = FileSource::list(&study(&dir)).unwrap();
        let names = names(&source);
        let expected: Vec<_> = all.iter().map(|name| format!("study/{name}")).collect();
        assert!(
            expected.iter().all(|name| names.contains(&name.as_str())),
            "{names:?}"
        );
        assert!(names.contains(&format!("study/{deep}IM1").as_str()));
        assert!(names.contains(&"study/z-M%FCller"));
        assert_eq!(source.remarks().len(), 1);
    }

    /// CNT-21: not a word was said of any of them.
    #[cfg(unix)]
    #[test]
    fn what_is_left_out_is_said_and_links_are_followed_where_that_is_asked_for() {
        let dir = tree(&["IM1", "sub/IM2"]);
        let elsewhere = tree(&["IM3", "deep/IM4"]);
        let at = |name: &str| dir.path().join("study").join(name);
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
        link(&elsewhere.path().join("study/IM3"), "link");
        link(&elsewhere.path().join("study/deep"), "linked");
        link(&at("missing"), "lost");
        link(&at(""), "sub/round");
        std::fs::create_dir_all(at("nothing/at/all")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status()
            .unwrap();
        assert!(made.success());
        let socket = std::os::unix::net::UnixListener::bind(at("wire")).unwrap();

        let source = FileSource::list(&study(&dir)).unwrap();
        assert_eq!(names(&source), ["study/IM1", "study/sub/IM2"]);
        let mut left = left_out(&source);
        left.sort_unstable_by_key(|(name, _)| *name);
        let expected = [
            ("all", LeftOut::Empty),
            ("link", LeftOut::Link),
            ("linked", LeftOut::Link),
            ("lost", LeftOut::Dangling),
            ("pipe", LeftOut::Fifo),
            ("round", LeftOut::Link),
            ("wire", LeftOut::Socket),
        ];
        assert_eq!(left, expected);

        let source = FileSource::following(&study(&dir)).unwrap();
        let all = ["study/IM1", "study/link", "study/linked/IM4", "study/sub/IM2"];
        assert_eq!(names(&source), all);
        let mut left = left_out(&source);
        left.sort_unstable_by_key(|(name, _)| *name);
        let expected = [
            ("all", LeftOut::Empty),
            ("lost", LeftOut::Dangling),
            ("pipe", LeftOut::Fifo),
            ("round", LeftOut::Circle),
            ("wire", LeftOut::Socket),
        ];
        assert_eq!(left, expected);
        drop(socket);

        let alone = [at("link")];
        assert!(matches!(FileSource::list(&alone), Err(Error::Usage(_))));
        let mut alone = FileSource::following(&alone).unwrap();
        assert_eq!(names(&alone), ["link"]);
        let content = std::fs::read(at("link")).unwrap();
        let hash = || Sha256Digest::of(&content);
        assert!(alone.open(0).is_ok() && alone.look(0, content.len() as u64, &hash).is_ok());
        assert!(matches!(FileSource::list(&[at("pipe")]), Err(Error::Usage(_))));
    }

    /// CNT-22
    #[test]
    fn what_systems_leave_is_left_out_and_said() {
        let dir = tree(&[
            "IM1",
            ".DS_Store",
            "._IM1",
            "sub/Thumbs.db",
            "sub/desktop.ini",
            "__MACOSX/x/y",
            "autorun.inf",
        ]);
        let source = FileSource::list(&study(&dir)).unwrap();
        assert_eq!(names(&source), ["study/IM1", "study/autorun.inf"]);
        let left = left_out(&source);
        assert!(left.iter().all(|(_, why)| *why == LeftOut::System));
        let left: Vec<_> = left.into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            left,
            [".DS_Store", "._IM1", "__MACOSX", "Thumbs.db", "desktop.ini"]
        );
        // Who names it means it.
        let named = FileSource::list(&[dir.path().join("study/sub/Thumbs.db")]).unwrap();
        assert_eq!(names(&named), ["Thumbs.db"]);
    }

    /// CNT-21
    #[test]
    fn the_time_of_the_last_change_is_known() {
        let dir = tree(&["x"]);
        for nanoseconds in [1_779_955_200_123_456_700_i64, 0, -86_400_000_000_000] {
            let since = std::time::Duration::from_nanos(nanoseconds.unsigned_abs());
            let time = if nanoseconds < 0 {
                UNIX_EPOCH - since
            } else {
                UNIX_EPOCH + since
            };
            let file = File::options()
                .write(true)
                .open(dir.path().join("study/x"))
                .unwrap();
            file.set_modified(time).unwrap();
            let source = FileSource::list(&study(&dir)).unwrap();
            assert_eq!(source.parts()[0].modified, Some(nanoseconds));
        }
    }

    /// FLW-19: everything that can be looked at is looked at before a permission is presented.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let dir = tree(&["x"]);
        // Nobody can read it at its beginning, whoever he is.
        let path = dir.path().join("study/y");
        std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
        let error = FileSource::following(&study(&dir)).err().unwrap();
        assert!(matches!(error, Error::Io { path: named, .. } if named == path));
    }

    #[test]
    fn a_file_that_changes_or_vanishes_is_noticed() {
        let dir = tree(&["x", "y"]);
        let mut source = FileSource::list(&study(&dir)).unwrap();
        let hash = || Sha256Digest::of(b"x");
        assert!(source.open(0).is_ok() && source.look(0, 1, &hash).is_ok());
        source.open(0).unwrap();
        std::fs::write(dir.path().join("study/x"), "longer than before").unwrap();
        assert!(matches!(
            source.look(0, 1, &hash),
            Err(Error::SourceChanged { .. })
        ));
        std::fs::remove_file(dir.path().join("study/y")).unwrap();
        assert!(matches!(source.open(1), Err(Error::SourceChanged { .. })));
    }

    /// CNT-21: whoever may write into the folder cannot have another file sent, by a link in the place of one that was listed.
    #[cfg(unix)]
    #[test]
    fn a_link_that_takes_the_place_of_a_file_is_not_sent() {
        let dir = tree(&["note.txt", "folder/note.txt"]);
        let elsewhere = tree(&["note.txt"]);
        for name in ["note.txt", "folder/note.txt"] {
            let path = dir.path().join("study").join(name);
            std::fs::write(&path, "note.txt").unwrap();
            let list = |follow| FileSource::collect(std::slice::from_ref(&path), follow).unwrap();
            let (mut plain, mut following) = (list(false), list(true));
            assert!(plain.open(0).is_ok() && following.open(0).is_ok());
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(elsewhere.path().join("study/note.txt"), &path).unwrap();
            assert!(matches!(plain.open(0), Err(Error::SourceChanged { .. })));
            // Where links are followed, it is another file than the one that was listed all the same.
            assert!(matches!(following.open(0), Err(Error::SourceChanged { .. })));
        }
        // Nor does anybody wait for a FIFO in that place.
        let path = dir.path().join("study/pipe");
        std::fs::write(&path, "").unwrap();
        let mut source = FileSource::list(std::slice::from_ref(&path)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success() && matches!(source.open(0), Err(Error::SourceChanged { .. })));
    }

    /// FLW-19: what touches a file all the time does not have all of it read again each time.
    #[cfg(unix)]
    #[test]
    fn a_file_that_is_touched_all_the_time_is_compared_ever_less_often() {
        let dir = tree(&["x"]);
        let path = dir.path().join("study/x");
        let content = vec![7; 1000];
        std::fs::write(&path, &content).unwrap();
        let mut source = FileSource::list(std::slice::from_ref(&path)).unwrap();
        source.open(0).unwrap();
        let compared = std::cell::Cell::new(0);
        for read in 1..=1000_u64 {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(read))
                .unwrap();
            let hash = || {
                compared.set(compared.get() + 1);
                Sha256Digest::of(&content[..usize::try_from(read).unwrap()])
            };
            source.look(0, read, &hash).unwrap();
        }
        assert_eq!(compared.get(), 11);
    }

    /// FLW-19: contents decide, not times, modes or links.
    #[cfg(unix)]
    #[test]
    fn what_leaves_the_content_as_it_is_changes_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tree(&["abcdef"]);
        let path = dir.path().join("study/abcdef");
        let mut source = FileSource::list(std::slice::from_ref(&path)).unwrap();
        let after = |read: u64| move || Sha256Digest::of(&b"abcdef"[..usize::try_from(read).unwrap()]);
        let age = || {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        let changes: [&dyn Fn(); 4] = [
            &|| std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap(),
            &|| std::fs::hard_link(&path, dir.path().join("link")).unwrap(),
            &age,
            &|| {
                std::fs::write(dir.path().join("other"), "abcdef").unwrap();
                std::fs::rename(dir.path().join("other"), &path).unwrap();
            },
        ];
        source.open(0).unwrap();
        for (change, read) in changes.into_iter().zip(1..) {
            change();
            source.look(0, read, &after(read)).unwrap();
        }
        source.look(0, 6, &after(6)).unwrap();
        // Another file under its name is what it is, and is listed first.
        assert!(matches!(source.open(0), Err(Error::SourceChanged { .. })));
        let mut source = FileSource::list(std::slice::from_ref(&path)).unwrap();
        // Changed at the end while the beginning was read.
        age();
        source.open(0).unwrap();
        std::fs::write(&path, "abcdeX").unwrap();
        source.look(0, 2, &after(2)).unwrap();
        assert!(matches!(
            source.look(0, 6, &after(6)),
            Err(Error::SourceChanged { .. })
        ));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn asynchronous_readers_can_be_parts() {
        let mut part = AsyncPart::new(&b"from far away"[..]);
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            part.read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(text.await.unwrap().unwrap(), "from far away");
    }
}
