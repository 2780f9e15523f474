//! Layers on disk and snapshots over them, held against the model of what images mean.
#![expect(clippy::unwrap_used, reason = "a test")]

mod layers;
mod packing;
mod snapshots;
mod trees;
