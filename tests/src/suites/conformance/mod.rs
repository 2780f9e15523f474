//! Conformance to the OCI runtime specification, for any runtime: the same cases on ross-runtime and its peers.
//!
//! A case is data ([`case::Case`]): what it changes in one default configuration, and what a small static program, the
//! probe, must report from within. What takes several commands is a function on a [`stage::Stage`]. In a normal run
//! the cases are `conformance/…` on ross-runtime; `ross-tests --conformance` makes a table of several runtimes.

mod apparmor;
mod case;
mod config;
mod contender;
mod errors;
mod exec;
mod hooks;
mod lifecycle;
mod linux;
mod list;
mod mounts;
mod namespaces;
mod process;
mod report;
mod resources;
mod seccomp;
mod stage;
mod terminal;

pub use list::tests;
pub use report::compare;
