//! One safe function per kernel operation that rustix and nix do not offer safely.
//!
//! The only crate of ross with `unsafe`. Functions return [`rustix::io::Errno`] and never allocate, lock or log
//! unless they say so: many of them run between clone and exec. [`SysError`] dresses an errno for people.
#![expect(unsafe_code, reason = "this crate is where the unsafe code of ross is, so that no other has any")]
#![deny(missing_docs)]

pub mod bpf;
pub mod clone;
pub mod cwd;
pub mod entry;
pub mod error;
pub mod exec;
pub mod fd;
pub mod heap;
pub mod inherit;
pub mod inode;
pub mod keyring;
pub mod memfd;
pub mod mount;
pub mod netns;
pub mod ns;
pub mod personality;
pub mod pidfd;
pub mod sched;
pub mod seccomp;
pub mod signalfd;

pub use error::SysError;
