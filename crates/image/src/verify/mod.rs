//! Verify: every document, blob and layer on disk held against its digest, and what is wrong fetched again.
//!
//! Invariants: a check changes nothing; what is mended is put in place by one rename, after it was found right and is
//! on disk; a layer that a running container has below it is left alone; credentials go to the registry they are for.

mod blobs;
mod fetch;
mod finding;
mod images;
mod layers;

pub use finding::{Finding, Mended, Subject, Verified, VerifyEvent, VerifyOrder, VerifySink};
pub(crate) use images::verify;
