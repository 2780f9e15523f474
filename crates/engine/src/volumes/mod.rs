//! Volumes of containers, and what they begin with.

mod copy;
mod volume;

pub(crate) use volume::{Made, anonymous, check_name, directories, fill, prepare, remove_unused, unmake};
