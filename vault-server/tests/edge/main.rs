//! The server's edge, seen from outside: a limit counts only when an attack shows it, and when the same
//! attack goes through with the limit off. What the vault decides is tested elsewhere.

mod client;
mod http2;
mod limits;
mod program;
mod tls;
