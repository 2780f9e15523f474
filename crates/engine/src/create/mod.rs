//! Making containers: checked, merged with what the image says, and then made.

mod make;
mod merge;
mod validate;

pub(crate) use make::{create, resolve_image};
pub(crate) use merge::merge_env;
