//! One safe function per kernel operation that rustix does not offer safely; the only crate with unsafe code.

#![allow(unsafe_code, reason = "the one crate for it")]
#![deny(missing_docs)]

pub mod bpf;
pub mod memfd;
pub mod seccomp;
