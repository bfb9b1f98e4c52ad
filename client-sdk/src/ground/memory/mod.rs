//! All of it in this process's memory: for tests that decide what time it is and what a server answers, and
//! for homes that are to leave nothing behind.

mod files;
mod system;
mod transport;

pub use self::{files::MemoryFiles, system::StillSystem, transport::MemoryServer};
