//! One safe function per kernel operation that rustix and nix do not offer safely.
//!
//! The only crate of ross with `unsafe`. Functions return [`rustix::io::Errno`] and never allocate, lock or log
//! unless they say so: many of them run between clone and exec. [`SysError`] dresses an errno for people.
#![deny(missing_docs)]
#![expect(unsafe_code, reason = "this crate is where all of it lives")]

pub mod clone;
pub mod error;
pub mod exec;
pub mod fd;
pub mod heap;
pub mod inherit;
pub mod keyring;
pub mod memfd;
pub mod mount;
pub mod ns;
pub mod personality;
pub mod signal;

pub use error::SysError;
