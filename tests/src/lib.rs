//! Protocol tests across crates: what a security reviewer runs.
//!
//! * [`harness`] starts the real programs, each principal with a home of its own;
//! * [`raw`] speaks the protocol without the SDK, so that a test can replay, mutate and mix what it sends;
//! * [`attack`] plays an attack twice, and notes what came of it;
//! * [`demo_data`] makes DICOM and FHIR files to send.

pub mod attack;
pub mod demo_data;
pub mod harness;
pub mod raw;
