//! What to do: requests to the daemon, made from what was typed and from where it was typed.
//!
//! Nothing here talks to the daemon. What is read from the surroundings (variables, files, the directory) comes
//! through [`Surroundings`], so that the rest is pure.

mod create;
mod exec;
mod image;
mod surroundings;

pub use create::create;
pub use exec::exec;
pub use image::{build, image_name, list, pull_reference};
pub use surroundings::Surroundings;
