//! Whose files these are, and who else may touch them (PRG-6).

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use protocol_spec::defence::Defence;
use rustix::process::geteuid;

/// Why a file or folder is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Exposed {
    /// Others may read, enter or change it.
    #[error("{} is open to other users (mode {mode:03o}): `chmod {want}` it, and make new keys if others can have read these", .path.display())]
    Mode {
        /// The file or folder that others can use.
        path: PathBuf,
        /// The permission bits that it has.
        mode: u32,
        /// The permission bits that it should have.
        want: &'static str,
    },
    /// It is somebody else's, who can change it and open it at any time.
    #[error("{} belongs to another user: chown it to the one who runs this program, or run it as that user", .0.display())]
    Owner(PathBuf),
    /// The system does not tell.
    #[error("{} cannot be looked at, or closed to others: {source}", .path.display())]
    Io {
        /// The file or folder that could not be looked at.
        path: PathBuf,
        /// Why the system refused that.
        source: io::Error,
    },
}

/// Refuses a folder that holds keys, or what decides about them, if others may enter it or it is not this user's.
/// Folders above it are not looked at: who can rename this one can put only his own in its place, and that is refused.
///
/// An empty folder of this user's, as `mkdir` makes it, is closed to others here: nobody can have read anything in it.
pub fn folder(path: &Path) -> Result<(), Exposed> {
    match look(path, 0o077, "700", false) {
        Err(Exposed::Mode { .. }) if is_empty(path)? => close(path),
        looked => looked,
    }
}

fn is_empty(path: &Path) -> Result<bool, Exposed> {
    let mut entries = fs::read_dir(path).map_err(unseen(path))?;
    Ok(entries.next().is_none())
}

fn close(path: &Path) -> Result<(), Exposed> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unseen(path))
}

/// Refuses a file with a secret that others may read or write, or that is not this user's.
pub fn secret(path: &Path) -> Result<(), Exposed> {
    look(path, 0o077, "600", false)
}

/// The same for the key of a server's certificate, which systems keep as root's and readable to one group.
pub fn server_key(path: &Path) -> Result<(), Exposed> {
    look(path, 0o037, "640", true)
}

/// Refuses a file that decides about keys, such as settings, if everybody may write it or it is neither this user's nor root's.
pub fn settings(path: &Path) -> Result<(), Exposed> {
    look(path, 0o002, "o-w", true)
}

fn look(path: &Path, closed: u32, want: &'static str, roots_too: bool) -> Result<(), Exposed> {
    let found = fs::metadata(path).map_err(unseen(path))?;
    let ours = found.uid() == geteuid().as_raw() || (roots_too && found.uid() == 0);
    if !Defence::FileModes.holds(ours) {
        return Err(Exposed::Owner(path.to_owned()));
    }
    let mode = found.mode() & 0o777;
    if !Defence::FileModes.holds(mode & closed == 0) {
        return Err(Exposed::Mode {
            path: path.to_owned(),
            mode,
            want,
        });
    }
    Ok(())
}

fn unseen(path: &Path) -> impl Fn(io::Error) -> Exposed {
    move |source| Exposed::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// PRG-6: each bit by itself.
    #[test]
    fn every_bit_that_lets_others_in_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, b"").unwrap();
        for bit in [0o001, 0o002, 0o004, 0o010, 0o020, 0o040] {
            set(dir.path(), 0o700 | bit);
            assert!(matches!(folder(dir.path()), Err(Exposed::Mode { .. })), "{bit:o}");
            set(&file, 0o600 | bit);
            assert!(matches!(secret(&file), Err(Exposed::Mode { .. })), "{bit:o}");
            assert_eq!(server_key(&file).is_ok(), bit == 0o040, "{bit:o}");
            assert_eq!(settings(&file).is_err(), bit == 0o002, "{bit:o}");
        }
        for mode in [0o600, 0o400] {
            set(&file, mode);
            assert!(secret(&file).is_ok() && server_key(&file).is_ok());
        }
        set(dir.path(), 0o700);
        assert!(folder(dir.path()).is_ok());
        assert!(matches!(
            folder(&dir.path().join("none")),
            Err(Exposed::Io { .. })
        ));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), b"").unwrap();
        set(dir.path(), 0o755);
        let text = folder(dir.path()).unwrap_err().to_string();
        assert!(text.contains("(mode 755): `chmod 700` it"), "{text}");
    }

    /// PRG-6: what `mkdir` has made under the usual umask is closed, not refused.
    #[test]
    fn an_empty_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        set(dir.path(), 0o755);
        folder(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
    }

    /// Of files that are surely there; where the tests run as root, everything of the system is its own.
    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            std::os::unix::fs::chown(dir.path(), Some(65534), None).unwrap();
            assert!(matches!(folder(dir.path()), Err(Exposed::Owner(_))));
        } else {
            assert!(matches!(folder(Path::new("/")), Err(Exposed::Owner(_))));
        }
    }
}
