//! One safe function per kernel operation that rustix does not offer safely; the only crate with `unsafe`.
#![expect(unsafe_code, reason = "this crate is where the unsafe code of ross is, so that no other has any")]
#![deny(missing_docs)]

pub mod bpf;
pub mod seccomp;
