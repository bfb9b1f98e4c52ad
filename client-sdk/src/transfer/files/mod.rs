//! The user's own files and folders: what is sent, and where what was received is written. With `ground::native` the only modules
//! that touch a file system; all else of the SDK works without them.
//!
//! | module | does |
//! |---|---|
//! | `file_source`, `file`, `describe` | files and folders as one [`super::Source`], each opened once, what they say of themselves |
//! | `folder_sink`, `disk` | a [`super::Sink`] that is a folder, which appears only when all is verified |
//! | `whole` | whether a file is what it should be |

mod describe;
mod disk;
mod file;
mod file_source;
mod folder_sink;
mod whole;

pub(crate) use self::whole::{absolute, file_hash, is_there, is_whole};
pub use self::{
    file_source::{FileSource, LeftOut, Remark, Remarked},
    folder_sink::FolderSink,
};
