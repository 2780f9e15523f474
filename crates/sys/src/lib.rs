//! One safe function per kernel operation that rustix does not offer safely. The only crate with `unsafe`.
#![deny(missing_docs)]

pub mod netns;
