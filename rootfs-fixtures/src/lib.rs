//! Recipes of test images, made when they are needed and the same every time; nothing is stored.
//!
//! [`Entry`] is a tar member, [`Layer`] an archive with its blob, [`Image`] layers with configuration and manifest,
//! which can be written as an OCI layout, an OCI or docker archive, or [`push()`]ed to a loopback registry. The
//! recipes ([`busybox()`], [`many_layers()`], [`many_small_files`], [`debian_like`], [`hostile()`]) are made of these.
//! The crate shares no code with ross: what it writes is what ross is tested with.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bulk;
mod busybox;
mod entry;
mod hostile;
mod image;
mod layer;
mod many_layers;
mod model;
mod push;
mod registry;
mod server;

pub use bulk::{content, debian_like, layers_of_small_files, many_small_files, small_files};
pub use busybox::{INDEX_HTML, busybox, busybox_with};
pub use entry::{Entry, MTIME, checksummed, special};
pub use hostile::{Hostile, bomb, endless_entries, hostile, wrong_diff_id};
pub use image::{Blob, Flavour, Image, host_architecture, index};
pub use layer::{Compression, Layer, archive, sha256};
pub use many_layers::{CAPABILITY, many_layers, many_layers_entries};
pub use model::Model;
pub use push::{is_registry, push, push_blob, push_index, push_manifest};
pub use registry::{Registry, USER, User, free_port};
pub use server::Server;
