//! The cases, by what they are about.

mod api;
mod bad_input;
mod callers;
mod images;
mod lifecycle;
mod limits;
mod list;
mod network;
mod run;
mod runtime;
mod terminal;

pub use list::all;
