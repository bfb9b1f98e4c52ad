//! Where the files of one home are kept: what whoever keeps them owes.

use std::{fmt, io, path::PathBuf};

use crate::{Error, Result};

/// The files of one home: small ones, each under a name like `uploads/perm_…/leaves`; `""` is the home itself.
///
/// Several processes, and threads of each, read and write the same home at once. Each method is one step for all of them: nobody
/// reads half of a replaced file. Order between steps is made by [`Self::try_lock`] alone. What is written may be read back at once,
/// by everybody. After a power cut, what was `durable` is there; of the rest each file is as one of its earlier or its last state, but
/// for what [`Self::put_after`] says. That nothing was changed, set back or taken away by others is not owed: whoever reads checks it.
///
/// A file or folder that is not there is no error for what reads, and [`io::ErrorKind::NotFound`] for what writes in it. Everything
/// else that fails is an error, after which the file is as before or as it was to be.
pub trait HomeFiles: fmt::Debug + Send + Sync {
    /// Where a file is, for people: it stands in error texts.
    fn place(&self, name: &str) -> PathBuf;

    /// Refuses a home that others than its owner can enter, with [`Error::Exposed`] (PRG-6); one that is not there is nobody's.
    fn check_private(&self) -> Result<()>;

    /// Makes a folder and those above it, open to their owner alone; one that is there stays as it is.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// The whole content of a file.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// The last `length` bytes of a file, or all of it if it has not as many.
    fn read_end(&self, name: &str, length: usize) -> io::Result<Option<Vec<u8>>>;

    /// The first `length` bytes of a file, and those from a place on that lies behind them; each fewer where it ends before. In one
    /// step: a file that is replaced meanwhile gives no bytes of both.
    fn read_behind(&self, name: &str, length: usize, from: u64) -> io::Result<Option<Behind>>;

    /// Replaces a file as a whole, readable by its owner alone: the old content or the new, never something between, also after a
    /// power cut. Which of them that leaves is owed only if `durable`, or once [`Self::sync_folder`] has returned.
    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()>;

    /// Puts bytes behind the first `before` of a file, in the place of whatever stood there; it is made if it is not there, readable
    /// by its owner alone. Unless `durable`, or before [`Self::sync`], a power cut may leave anything behind the first `before`: fewer
    /// bytes, or others. So may whoever reads meanwhile find it, without the lock under which this is called.
    fn put_after(&self, name: &str, before: u64, bytes: &[u8], durable: bool) -> io::Result<()>;

    /// Makes durable what was put into a file.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files a folder has, and what they were replaced by.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Names of what lies in a folder, in no order, without the folder's own; those that a writer has left who died are among them.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Removes a file. A power cut may bring it back.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Removes a folder, if `whole` with all that is in it; else it fails where anything is.
    fn remove_folder(&self, folder: &str, whole: bool) -> io::Result<()>;

    /// Takes the file of this name as a lock until what is given back is dropped, or its process ends; the file is made if it is not
    /// there. None while somebody has it, in this process or another. It keeps nobody from reading or writing the file.
    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn Held>>>;
}

/// A lock that is released when it is dropped.
pub trait Held: fmt::Debug + Send + Sync {}

/// Two pieces of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// The first bytes of the file.
    pub first: Vec<u8>,
    /// Those from the place on that was asked for.
    pub rest: Vec<u8>,
    /// How many it has in all.
    pub length: u64,
}

impl dyn HomeFiles + '_ {
    /// An error of one of them, with what was done to which file.
    pub(crate) fn failed(&self, doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = self.place(name);
        move |source| Error::Io { doing, path, source }
    }
}
