//! Layers: tar streams turned into directories that overlay can stack.

mod error;
mod key;
mod limits;
mod store;

pub(crate) use error::kind_of_io;
pub use error::{ArchiveFlaw, EntryFlaw, LayerError};
pub use key::{InvalidLayerKey, LayerKey};
pub use limits::UnpackLimits;
pub use store::{Applied, Layer, LayerStore, Pending};
