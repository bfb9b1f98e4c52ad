//! What is found in files and folders before any of it is sent.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    io,
    path::{Component, Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use protocol_spec::{
    file_names::{deceives, tidied},
    litter::is_left_by_a_system,
    manifest::{MAX_PARTS, PartName},
};
use walkdir::{DirEntry, WalkDir};

use super::{
    file::{Look, SentFile},
    remark::{LeftOut, Remark, Remarked},
};
use crate::{
    Error, Result,
    transfer::{SourcePart, check_names},
};

/// The files that were found, in the order in which they are sent.
#[derive(Default)]
pub(super) struct Listing {
    /// Whether what symbolic links lead to is sent.
    pub(super) follow: bool,
    pub(super) paths: Vec<PathBuf>,
    pub(super) parts: Vec<SourcePart>,
    /// How each looked when it was listed.
    pub(super) looks: Vec<Look>,
    pub(super) remarks: Vec<Remark>,
}

impl Listing {
    /// Lists files, and folders recursively in the order of their names.
    pub(super) fn of(paths: &[PathBuf], follow: bool) -> Result<Self> {
        let mut listing = Self {
            follow,
            ..Self::default()
        };
        for path in paths {
            listing.add(path)?;
        }
        let mut names = HashSet::new();
        if let Some(twice) = listing
            .parts
            .iter()
            .find(|part| !names.insert(part.name.as_str()))
        {
            let name = twice.name.as_str();
            return Err(Error::Usage(format!(
                "two files are called {name}: send them in a folder each"
            )));
        }
        if !(1..=MAX_PARTS).contains(&listing.parts.len()) {
            let found = listing.parts.len();
            return Err(Error::Usage(format!(
                "a record has 1 to {MAX_PARTS} files, here are {found}: choose others"
            )));
        }
        check_names(&listing.parts)?;
        Ok(listing)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let metadata = path.symlink_metadata().map_err(Error::io("cannot read", path))?;
        if metadata.is_symlink() && !self.follow {
            return Err(Error::Usage(format!(
                "{} is a symbolic link: name the file itself, or give --follow",
                path.display()
            )));
        }
        let metadata = path.metadata().map_err(Error::io("cannot read", path))?;
        if metadata.is_dir() {
            return self.add_folder(path);
        }
        if let Some(why) = LeftOut::of(&metadata) {
            return Err(Error::Usage(format!("{} is {why}: leave it out", path.display())));
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        self.add_file(path, Path::new(name))
    }

    /// What lies in a folder, under the folder's own name as far as that can be sent.
    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let own = own_name(folder).filter(|own| deceives(&named(own)).is_none());
        if own.is_none() {
            self.remark(folder, Remarked::Unnamed);
        }
        let own = PathBuf::from(own.unwrap_or_default());
        let mut entries = WalkDir::new(folder)
            .follow_links(self.follow)
            .sort_by_file_name()
            .into_iter();
        // A folder that nothing was found in so far.
        let mut empty: Option<PathBuf> = None;
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.add_broken(folder, error)?;
                    empty = None;
                    continue;
                }
            };
            let lies_in = |folder: &PathBuf| entry.path().parent() == Some(folder.as_path());
            if let Some(empty) = empty.take().filter(|empty| !lies_in(empty)) {
                self.leave_out(&empty, LeftOut::Empty);
            }
            let is_folder = entry.file_type().is_dir();
            if entry.depth() > 0 && is_left_by_a_system(&entry.file_name().to_string_lossy()) {
                self.leave_out(entry.path(), LeftOut::System);
                if is_folder {
                    entries.skip_current_dir();
                }
            } else if is_folder {
                empty = Some(entry.into_path());
            } else {
                let within = entry.path().strip_prefix(folder).unwrap_or(entry.path());
                self.add_entry(&entry, &own.join(within))?;
            }
        }
        if let Some(empty) = empty.filter(|empty| empty != folder) {
            self.leave_out(&empty, LeftOut::Empty);
        }
        Ok(())
    }

    /// Something in a folder that is no folder, under this name if it can be sent.
    fn add_entry(&mut self, entry: &DirEntry, name: &Path) -> Result<()> {
        let path = entry.path();
        if entry.path_is_symlink() && !self.follow {
            let why = if path.exists() {
                LeftOut::Link
            } else {
                LeftOut::Dangling
            };
            self.leave_out(path, why);
            return Ok(());
        }
        let metadata = entry.metadata().map_err(|error| broken(path, error))?;
        if let Some(why) = LeftOut::of(&metadata) {
            self.leave_out(path, why);
            return Ok(());
        }
        self.add_file(path, name)
    }

    /// A link that leads nowhere or into itself is left out; what cannot be read must be put right.
    fn add_broken(&mut self, folder: &Path, error: walkdir::Error) -> Result<()> {
        let path = error.path().unwrap_or(folder).to_owned();
        let dangling = path.is_symlink()
            && error
                .io_error()
                .is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        let why = match error.loop_ancestor() {
            Some(_) => LeftOut::Circle,
            None if dangling => LeftOut::Dangling,
            None => return Err(broken(&path, error)),
        };
        self.leave_out(&path, why);
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &Path) -> Result<()> {
        let unfit = |_| {
            Error::Usage(format!(
                "{} has a name that a record cannot hold: rename it",
                path.display()
            ))
        };
        let components: Vec<_> = name.components().map(|part| named(part.as_os_str())).collect();
        let sent = components.join("/");
        if Path::new(&sent) != name {
            self.remark(path, Remarked::Renamed(sent.clone()));
        }
        // What cannot be read is named before anything is presented (FLW-19).
        let unreadable = || Error::io("cannot read", path);
        let file = SentFile::open(path, self.follow).map_err(unreadable())?;
        let metadata = file.metadata().map_err(unreadable())?;
        let (media_type, clinical) = file.describe().map_err(unreadable())?;
        let look = Look::of(path, &metadata);
        self.parts.push(SourcePart {
            name: PartName::try_from(sent).map_err(unfit)?,
            media_type,
            length: metadata.len(),
            clinical,
            modified: metadata.modified().ok().and_then(nanoseconds),
            identity: Some(look.text().to_owned()),
        });
        self.looks.push(look);
        self.paths.push(path.to_owned());
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, why: LeftOut) {
        self.remark(path, Remarked::LeftOut(why));
    }

    fn remark(&mut self, path: &Path, what: Remarked) {
        let path = path.to_owned();
        self.remarks.push(Remark { path, what });
    }
}

/// A folder's name, also where it was called `.` or `..`; none for the outermost one.
fn own_name(folder: &Path) -> Option<OsString> {
    match folder.components().next_back() {
        Some(Component::Normal(name)) => Some(name.to_owned()),
        _ => folder.canonicalize().ok()?.file_name().map(OsStr::to_owned),
    }
}

/// A component as text: what is none is written as `%FC`, and letters have their accents in one.
fn named(component: &OsStr) -> String {
    let text: String = component
        .as_encoded_bytes()
        .utf8_chunks()
        .map(|chunk| {
            let invalid: String = chunk
                .invalid()
                .iter()
                .map(|byte| format!("%{byte:02X}"))
                .collect();
            format!("{}{invalid}", chunk.valid())
        })
        .collect();
    tidied(&text)
}
fn broken(path: &Path, error: walkdir::Error) -> Error {
    Error::io("cannot read", path)(error.into())
}

/// Since 1970; none for what is further away than 292 years.
fn nanoseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos())
            .ok()
            .map(i64::saturating_neg),
    }
}
