//! The gRPC services: each call is checked, translated, handed to the engine, and its answer translated back.

mod containers;
mod images;
mod ross;
mod streams;

pub use containers::Containers;
pub use images::Images;
pub use ross::Daemon;
