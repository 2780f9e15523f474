//! A bundle for the suites that run the command line.

mod container;

pub use container::Bundle;
