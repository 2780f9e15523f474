//! The way back from files to an archive: an upper directory becomes a layer, a root becomes a tar of it.
//!
//! What is read may be written to meanwhile, by a container that means harm: every object is opened without following
//! a link and without leaving the mount, and looked at on the descriptor; a header's size is fixed before the content
//! is read, and what is missing then is made up by zeros. The same files give the same bytes: names are sorted, and
//! nothing of the host (names of users, labels, the time of packing) goes in.

mod content;
mod error;
mod header;
mod links;
mod walk;

pub use error::PackError;
pub(crate) use walk::{Below, pack_changes, pack_root};
