//! Values of flags, from text to what they mean.
//!
//! Each parser is a pure function from text; its error is the reason alone, and [`flag`] adds the flag and the value.

pub mod csv;
pub mod device;
pub mod duration;
pub mod env;
pub mod mount;
pub mod number;
pub mod pair;
pub mod port;
pub mod restart;
pub mod security;
pub mod time;
mod typed;
pub mod ulimit;

pub use typed::{BadValue, Parsed, each, flag, optional};
