//! Reading logs back: Docker's json-file, through rotation, to the end or for as long as the container runs.

mod entry;
mod files;
mod stream;

pub use stream::LogStream;
