//! What is in a folder and is not sent, or not under its own name (CNT-21).

use std::{fmt, fs::Metadata, path::PathBuf};

/// Something in the folders that is not sent, or not under its own name (CNT-21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file or folder that it is about.
    pub path: PathBuf,
    /// Why it is not sent, or sent otherwise than it lies there.
    pub what: Remarked,
}

/// What became of something that is in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remarked {
    /// It is not sent, for this reason.
    LeftOut(LeftOut),
    /// It is sent under this name, since its own is not of text, or not of one form alone.
    Renamed(String),
    /// Of a folder that was named: its own name is not sent, since it would deceive whoever receives it.
    Unnamed,
}

/// Why something is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOut {
    /// It is a symbolic link, and those are not followed unless that is asked for.
    #[serde(rename = "symbolic-link")]
    Link,
    /// It is a symbolic link that leads nowhere.
    #[serde(rename = "dangling-link")]
    Dangling,
    /// It is a symbolic link to a folder that it lies in.
    #[serde(rename = "circular-link")]
    Circle,
    /// It is a FIFO (named pipe).
    Fifo,
    /// It is a socket in the file system.
    Socket,
    /// It is a block or character device.
    Device,
    /// A system has left it there, and it says nothing of anybody (CNT-22).
    #[serde(rename = "system-file")]
    System,
    /// It is a folder with nothing in it.
    #[serde(rename = "empty-folder")]
    Empty,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "a symbolic link: give --follow to send what it leads to",
            Self::Dangling => "a symbolic link that leads nowhere",
            Self::Circle => "a symbolic link to a folder that it lies in",
            Self::Fifo => "a FIFO, which has no content of its own",
            Self::Socket => "a socket, which has no content",
            Self::Device => "a device, which has no content of its own",
            Self::System => "made by the system that shows folders, not by a person",
            Self::Empty => "a folder with nothing in it",
        })
    }
}
impl LeftOut {
    /// Why something that is no folder cannot be sent.
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            let kind = metadata.file_type();
            if kind.is_fifo() {
                return Some(Self::Fifo);
            } else if kind.is_socket() {
                return Some(Self::Socket);
            }
        }
        (!metadata.is_file()).then_some(Self::Device)
    }
}
