//! The user's own files and folders: what is sent, and where what was received is written. With `ground::native` the only modules
//! that touch a file system; all else of the SDK works without them.
//!
//! | module | does |
//! |---|---|
//! | `listing`, `remark` | what is found in files and folders, and what of it is not sent |
//! | `file_source`, `file`, `describe` | what was found as one [`super::Source`]: each file opened once, what it says of itself |
//! | `folder_sink`, `hidden`, `text`, `disk` | a [`super::Sink`] that is a folder, which appears only when all is verified |
//! | `whole` | whether a file is what it should be |

mod describe;
mod disk;
mod file;
mod file_source;
mod folder_sink;
mod hidden;
mod listing;
mod remark;
mod text;
mod whole;

pub(crate) use self::whole::{absolute, file_hash, is_there, is_whole};
pub use self::{
    file_source::FileSource,
    folder_sink::FolderSink,
    remark::{LeftOut, Remark, Remarked},
};
