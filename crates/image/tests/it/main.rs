//! The image store against registries and archives, good and bad.
//!
//! Unpacking makes files of any owner: these tests run as root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archives;
mod faults;
mod fixture;
mod good;
mod making;
mod peer;
mod records;
mod registry;
mod removal;
