//! The running process: nobody gets its memory, and what it makes is its owner's.

use std::io;

use protocol_spec::defence::Defence;
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

/// To be called before anything secret is read (PRG-5). A core dump would hold passphrases and keys in clear, wherever the
/// system puts it, and who may trace a process reads them while it runs; both also come with the environment that it
/// was started with. If the system refuses, the program must not go on.
pub fn process() -> io::Result<()> {
    umask(Mode::RWXG | Mode::RWXO);
    if Defence::MemoryDumps.is_off() {
        return Ok(());
    }
    // The limit alone does not stop systems that hand dumps to a program; what is not dumpable is not handed over.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    not_dumpable()
}

#[cfg(target_os = "linux")]
fn not_dumpable() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Other systems have no such switch for a program that is not signed for it.
#[cfg(not(target_os = "linux"))]
fn not_dumpable() -> io::Result<()> {
    Ok(())
}
