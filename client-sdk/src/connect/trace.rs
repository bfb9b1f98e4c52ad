//! What a client sends and gets, for a user who asks to see it: each attempt of each request, decoded, without secrets.
//!
//! It is apart from a log, which holds nothing of this (LKG-2), and comes to be only where somebody asks for it (LKG-3).
//!
//! | module | does |
//! |---|---|
//! | `step` | what is told |
//! | `tracer` | who is told it, and how much of each body |
//! | `exchange` | one request and its answer, told as they travel |

mod exchange;
mod step;
mod tracer;

pub(crate) use self::exchange::{Exchange, Names};
pub use self::{
    step::{Carried, Raw, Step},
    tracer::{Detail, Tracer},
};
