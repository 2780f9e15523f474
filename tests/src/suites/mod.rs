//! The cases, by what they are about.

mod api;
mod bad_input;
mod callers;
mod conformance;
mod images;
mod lifecycle;
mod limits;
mod list;
mod making;
mod network;
mod registries;
mod run;
mod runtime;
mod terminal;
mod transfer;
mod unpack;

pub use conformance::compare;
pub use list::all;
