//! Placeholder.
pub mod layer;
pub mod snapshot;
