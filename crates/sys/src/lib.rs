//! Placeholder.
pub mod inode;
