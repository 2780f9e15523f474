//! System call filters: the OCI profile of a container becomes one classic BPF program.
//!
//! `rules` turns the profile into decisions per call, `emit` turns decisions into instructions with
//! `assembler`, `syscalls` has the numbers. Compiling needs no kernel and installs nothing: the runtime
//! loads [`Program::instructions`] through `ross_sys::seccomp` between clone and exec.

mod assembler;
mod compile;
mod emit;
mod error;
pub mod fuzz;
#[cfg(test)]
mod interpreter;
mod rules;
mod syscalls;
#[cfg(test)]
mod tests;

pub use compile::{Listener, Program, compile, compile_for};
pub use error::SeccompError;
pub use syscalls::{Abi, Multiplexed, X32_BIT, lookup as lookup_syscall, names as syscall_names};
