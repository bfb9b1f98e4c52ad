//! What cargo cannot bring along: RocksDB is C++ (a compiler), its bindings are generated (libclang), the
//! independent decryptor is Python, and drawings are rendered in a browser by what npm fetches.
//!
//! Missing packages are installed after saying so when that needs no question (root, or sudo without
//! password); otherwise the one line to run is printed. No environment variable is set here: a changed
//! `LIBCLANG_PATH` would make cargo compile RocksDB again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{in_path, step, succeeds};

/// Makes sure that a C++ compiler and libclang are there.
///
/// The error has the line that installs what is missing, where it could not be installed from here.
pub(crate) fn ensure() -> Result<()> {
    obtain("to compile RocksDB", missing, |manager| manager.compiler)
}

/// Makes sure that Python 3.10 or later is there, and can make environments.
pub(crate) fn ensure_python() -> Result<()> {
    obtain("to run the decryptor", missing_python, |manager| manager.python)
}

/// Makes sure that a browser is there, and says which program it is.
pub(crate) fn ensure_browser() -> Result<&'static str> {
    obtain("to render drawings", missing_browser, |manager| manager.browser)?;
    browser().context("no browser was found: install Chromium")
}

/// Makes sure that npm is there.
pub(crate) fn ensure_npm() -> Result<()> {
    obtain("to fetch Mermaid", missing_npm, |manager| manager.npm)
}

fn obtain(
    purpose: &str,
    missing: fn() -> Vec<&'static str>,
    packages: fn(&Manager) -> &'static str,
) -> Result<()> {
    let list = match missing().as_slice() {
        [] => return Ok(()),
        missing => missing.join(" and "),
    };
    let Some(manager) = MANAGERS.iter().find(|manager| in_path(manager.program)) else {
        bail!("{list} not found: install it with this system's package manager, then run this again");
    };
    let install = format!("{} {}", manager.install, packages(manager));
    let Some(prefix) = manager.privilege() else {
        bail!("{list} not found: run `sudo sh -c '{install}'`, then run this again");
    };
    println!("{list} not found, needed {purpose}; installing");
    step(
        "install",
        Command::new("sh").args(["-c", &format!("{prefix}sh -c '{install}'")]),
    )?;
    match missing().as_slice() {
        [] => Ok(()),
        still => bail!("{} still not found: install it by hand", still.join(" and ")),
    }
}

struct Manager {
    program: &'static str,
    install: &'static str,
    compiler: &'static str,
    python: &'static str,
    browser: &'static str,
    npm: &'static str,
    needs_root: bool,
}

impl Manager {
    /// What to put before a command so that it may install; `None` if that takes a password.
    fn privilege(&self) -> Option<&'static str> {
        if !self.needs_root || is_root() {
            Some("")
        } else if succeeds("sudo", &["-n", "true"]) {
            Some("sudo -n ")
        } else {
            None
        }
    }
}

const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        install: "apt-get update && apt-get install -y --no-install-recommends",
        compiler: "g++ libclang-dev",
        python: "python3 python3-venv",
        browser: "chromium",
        npm: "npm",
        needs_root: true,
    },
    Manager {
        program: "dnf",
        install: "dnf install -y",
        compiler: "gcc-c++ clang-devel",
        python: "python3",
        browser: "chromium",
        npm: "nodejs-npm",
        needs_root: true,
    },
    Manager {
        program: "pacman",
        install: "pacman -Sy --needed --noconfirm",
        compiler: "gcc clang",
        python: "python",
        browser: "chromium",
        npm: "npm",
        needs_root: true,
    },
    Manager {
        program: "zypper",
        install: "zypper --non-interactive install",
        compiler: "gcc-c++ clang-devel",
        python: "python3",
        browser: "chromium",
        npm: "npm",
        needs_root: true,
    },
    Manager {
        program: "apk",
        install: "apk add",
        compiler: "g++ clang-dev",
        python: "python3",
        browser: "chromium",
        npm: "npm",
        needs_root: true,
    },
    Manager {
        program: "brew",
        install: "brew install",
        compiler: "llvm",
        python: "python3",
        browser: "chromium",
        npm: "node",
        needs_root: false,
    },
];

fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if env::var_os("CXX").is_none() && !["c++", "g++", "clang++"].iter().any(|name| in_path(name)) {
        missing.push("a C++ compiler");
    }
    if !has_libclang() {
        missing.push("libclang");
    }
    missing
}

/// A Python without `ensurepip` (Debian's, without python3-venv) makes environments that cannot install anything.
fn missing_python() -> Vec<&'static str> {
    let test = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
    if succeeds("python3", &["-c", test]) {
        Vec::new()
    } else {
        vec!["Python 3.10 with venv"]
    }
}

fn missing_browser() -> Vec<&'static str> {
    if browser().is_some() {
        Vec::new()
    } else {
        vec!["Chromium"]
    }
}

/// The first that is there of those that can be started without a window.
fn browser() -> Option<&'static str> {
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .into_iter()
    .find(|name| in_path(name))
}

fn missing_npm() -> Vec<&'static str> {
    if in_path("npm") { Vec::new() } else { vec!["npm"] }
}

/// Looks where the binding generator looks: `LIBCLANG_PATH`, what `llvm-config` says, the usual folders.
fn has_libclang() -> bool {
    let named = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    if named.is_some_and(|path| is_libclang(&path) || holds_libclang(&path, 0)) {
        return true;
    }
    llvm_folder().is_some_and(|folder| holds_libclang(&folder, 0))
        || LIBRARY_FOLDERS
            .iter()
            .any(|(folder, depth)| holds_libclang(Path::new(folder), *depth))
}

fn llvm_folder() -> Option<PathBuf> {
    let program = env::var_os("LLVM_CONFIG_PATH").unwrap_or_else(|| "llvm-config".into());
    let output = Command::new(program).arg("--libdir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn holds_libclang(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .any(|path| is_libclang(&path) || (depth > 0 && path.is_dir() && holds_libclang(&path, depth - 1)))
}

/// `libclang.so`, `libclang-14.so`, `libclang.so.1`, `libclang.dylib`; not `libclang-cpp.so`.
fn is_libclang(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some(rest) = name.strip_prefix("libclang") else {
        return false;
    };
    let suffix = rest.trim_start_matches(|letter: char| "-.".contains(letter) || letter.is_ascii_digit());
    path.is_file() && (suffix.starts_with("so") || suffix == "dylib")
}

/// Folders and how deep to look below them.
const LIBRARY_FOLDERS: &[(&str, usize)] = &[
    ("/usr/lib", 2),
    ("/usr/lib64", 2),
    ("/usr/local/lib", 2),
    ("/usr/local/lib64", 2),
    ("/usr/local/opt/llvm/lib", 0),
    ("/opt/homebrew/opt/llvm/lib", 0),
    ("/Library/Developer/CommandLineTools/usr/lib", 0),
    (
        "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
        0,
    ),
];

pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
