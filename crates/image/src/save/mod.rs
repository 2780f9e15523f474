//! Saving images to an archive that is an OCI layout and a docker archive at once, as docker writes it since version 25.
//!
//! Invariants: the archive is written as a stream, no blob is in memory and nothing on disk; every blob is compared with
//! its digest on the way, and the archive ends early when one is wrong; the same images give the same bytes.

mod archive;
mod choose;
mod documents;
mod prepare;

pub use prepare::Saving;
pub(crate) use prepare::prepare;
