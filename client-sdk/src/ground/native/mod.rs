//! On a machine with an operating system: the modules of this folder, with those of `transfer::disk`, are the only ones that touch
//! its file system, sockets and clocks.
//!
//! | module | does |
//! |---|---|
//! | `folder` | a home in a folder |
//! | `disk`, `key_file` | folders; files with keys |
//! | `system` | its clocks and its chance |
//! | `http` | requests through its sockets |
//! | `tls` | TLS 1.3 with X25519MLKEM768; which certificates are accepted |
//! | [`proxy`] | the way to a server: straight, or through a proxy |
//! | `failure`, `fault` | why a request got no answer, and what is wrong with a certificate, in our words |

pub(crate) mod disk;
mod failure;
mod fault;
mod folder;
mod http;
pub(crate) mod key_file;
pub mod proxy;
mod system;
mod tls;

pub(crate) use self::{folder::HomeFolder, http::Sockets, system::Native};
