//! What a program owes the secrets that it is about to hold, on the machine where it runs. See `spec/programs.md` §4.
//!
//! | function | keeps out |
//! |---|---|
//! | [`process`] | who reads its memory, from a core dump or through the system, and new files that others can read |
//! | [`folder`], [`secret`], [`server_key`], [`settings`] | keys and whatever decides about keys, where others may read or change them |
//! | [`write_private`], [`read_if_there`] | halves of files after a crash, and others from reading what was written |
//!
//! Neither is a defence against who runs the same program as the same user, or is root: those have the machine.

mod files;
mod private_file;
mod process;

pub use self::{
    files::{Exposed, folder, secret, server_key, settings},
    private_file::{read_if_there, write_private},
    process::process,
};
