//! A thread that writes and syncs, so that the disk works while later bytes are still being opened.
//!
//! Large files go past the page cache (`O_DIRECT`) in aligned blocks that are used again: nobody reads them soon,
//! and filling fresh pages costs more processor time than everything else about a download.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::SystemTime,
};

use crate::{Error, Result};

/// Files from this length on are written past the page cache.
pub(super) const LARGE: u64 = 8 << 20;

/// The thread and the way to it.
pub(super) struct Disk {
    jobs: SyncSender<Job>,
    /// Blocks that have been written.
    spare: Receiver<DiskBlock>,
    /// Blocks that exist; [`MAX_BLOCKS`] bound the memory.
    blocks: usize,
    thread: JoinHandle<Result<()>>,
}

struct Job {
    file: Arc<File>,
    path: PathBuf,
    work: Work,
}

enum Work {
    Sync,
    Write(DiskBlock),
    /// The last block, the length of the whole file, and when its sender changed it last.
    End(DiskBlock, u64, Option<SystemTime>),
}

/// A large file that is being written.
pub(super) struct LargeFile {
    file: Arc<File>,
    path: PathBuf,
    block: Option<DiskBlock>,
    written: u64,
    modified: Option<SystemTime>,
}

impl LargeFile {
    /// Makes a file of this length that [`Disk::write`] fills, and that was changed last at this time;
    /// one that is there is written again.
    pub(super) fn create(path: &Path, length: u64, modified: Option<SystemTime>) -> Result<Self> {
        let file = create_direct(path, length).map_err(Error::io("cannot write", path))?;
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            block: None,
            written: 0,
            modified,
        })
    }
}

impl Disk {
    pub(super) fn start() -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        let (used, spare) = sync_channel(MAX_BLOCKS);
        let thread = std::thread::spawn(move || run(&queue, &used));
        Self {
            jobs,
            spare,
            blocks: 0,
            thread,
        }
    }

    /// Makes a small file's content durable, some time before [`Self::finish`] returns.
    pub(super) fn sync(&self, file: File, path: PathBuf) -> Result<(), Failed> {
        self.send(Arc::new(file), path, Work::Sync)
    }

    pub(super) fn write(&mut self, large: &mut LargeFile, mut bytes: &[u8]) -> Result<(), Failed> {
        while !bytes.is_empty() {
            let mut block = large.block.take().map_or_else(|| self.block(), Ok)?;
            bytes = block.take(bytes);
            if block.is_full() {
                large.written += BLOCK as u64;
                self.send(large.file.clone(), large.path.clone(), Work::Write(block))?;
            } else {
                large.block = Some(block);
            }
        }
        Ok(())
    }

    /// Writes what is left of a file, and makes it durable.
    pub(super) fn end(&mut self, large: LargeFile) -> Result<(), Failed> {
        let LargeFile {
            file,
            path,
            block,
            written,
            modified,
        } = large;
        let block = block.map_or_else(|| self.block(), Ok)?;
        let length = written + block.filled as u64;
        self.send(file, path, Work::End(block, length, modified))
    }

    /// Waits until all is on the disk.
    pub(super) fn finish(self) -> Result<()> {
        drop((self.jobs, self.spare));
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::Usage("the writing thread failed: try again".into())))
    }

    fn block(&mut self) -> Result<DiskBlock, Failed> {
        if self.blocks < MAX_BLOCKS {
            self.blocks += 1;
            return Ok(DiskBlock::new());
        }
        self.spare.recv().map_err(|_| Failed)
    }

    fn send(&self, file: Arc<File>, path: PathBuf, work: Work) -> Result<(), Failed> {
        self.jobs.send(Job { file, path, work }).map_err(|_| Failed)
    }
}

/// The thread has stopped; [`Disk::finish`] tells why.
pub(super) struct Failed;

fn run(jobs: &Receiver<Job>, used: &SyncSender<DiskBlock>) -> Result<()> {
    for Job { file, path, work } in jobs {
        match work {
            Work::Sync => file.sync_data(),
            Work::Write(block) => {
                let written = (&*file).write_all(block.padded());
                // Nobody waits for it when the download has ended.
                drop(used.send(block.emptied()));
                written
            }
            Work::End(block, length, modified) => {
                let written = (&*file)
                    .write_all(block.padded())
                    .and_then(|()| file.set_len(length));
                drop(used.send(block.emptied()));
                if let Some(modified) = modified {
                    date(&file, modified);
                }
                written.and_then(|()| file.sync_data())
            }
        }
        .map_err(Error::io("cannot write", &path))?;
    }
    Ok(())
}

/// Gives a file the time at which its sender changed it last. A file system that does not hold it has the time of
/// now, and the manifest has the other.
pub(super) fn date(file: &File, modified: SystemTime) {
    drop(file.set_modified(modified));
}

/// Memory whose address and length are multiples of [`ALIGN`], as `O_DIRECT` wants it.
struct DiskBlock {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl DiskBlock {
    fn new() -> Self {
        let memory = vec![0; BLOCK + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self {
            memory,
            start,
            filled: 0,
        }
    }

    /// Takes what fits and returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (fits, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
        let at = self.start + self.filled;
        if let Some(room) = self.memory.get_mut(at..at + fits.len()) {
            room.copy_from_slice(fits);
        }
        self.filled += fits.len();
        rest
    }

    fn is_full(&self) -> bool {
        self.filled == BLOCK
    }

    /// What was taken, up to the next multiple; what follows it is cut off by `set_len`.
    fn padded(&self) -> &[u8] {
        let end = self.start + self.filled.next_multiple_of(ALIGN);
        self.memory.get(self.start..end).unwrap_or_default()
    }

    fn emptied(mut self) -> Self {
        self.filled = 0;
        self
    }
}

/// Without `O_DIRECT` where the file system has none.
fn create_direct(path: &Path, length: u64) -> io::Result<File> {
    let file = open_again(path, length)?;
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = File::options();
        options.write(true).custom_flags(libc::O_DIRECT);
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            opened => return opened,
        }
    }
    Ok(file)
}

/// Sectors and pages of all usual disks divide it.
const ALIGN: usize = 4096;
/// Large enough to keep several requests of a disk busy.
const BLOCK: usize = 4 << 20;
/// One is filled, one waits, one is written.
const MAX_BLOCKS: usize = 3;
/// Small files that may wait to be synced; bounds open files.
const QUEUE: usize = 64;

/// A file of an earlier run, as it is, or a new one: what is written to it is the same again as far as that goes.
pub(super) fn open_again(path: &Path, length: u64) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    if file.metadata()?.len() > length {
        file.set_len(length)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_of_any_length_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::start();
        let text: Vec<u8> = (0..3 * BLOCK + 5000)
            .map(|i| (i % 251).to_le_bytes()[0])
            .collect();
        let lengths = [0, 1, 4096, BLOCK, BLOCK + 1, text.len()];
        for length in lengths {
            let path = dir.path().join(length.to_string());
            let mut large = LargeFile::create(&path, length as u64, None).unwrap();
            for piece in text[..length].chunks(1_000_003) {
                assert!(disk.write(&mut large, piece).is_ok());
            }
            assert!(disk.end(large).is_ok());
        }
        disk.finish().unwrap();
        for length in lengths {
            assert!(
                std::fs::read(dir.path().join(length.to_string())).unwrap() == text[..length],
                "{length}"
            );
        }
    }

    #[test]
    fn what_stopped_the_thread_is_told_at_the_end() {
        let mut disk = Disk::start();
        // A device that takes no data, as a full disk.
        let file = Arc::new(File::options().write(true).open("/dev/full").unwrap());
        let mut large = LargeFile {
            file,
            path: "full".into(),
            block: None,
            written: 0,
            modified: None,
        };
        let failed = (0..10).any(|_| disk.write(&mut large, &vec![1; BLOCK]).is_err());
        assert!(failed);
        assert!(matches!(disk.finish(), Err(Error::Io { .. })));
    }
}
