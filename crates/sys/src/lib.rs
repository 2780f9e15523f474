//! Placeholder.

pub mod bpf;
pub mod seccomp;
