//! Images that are made here: of a container's changes, or of one archive of a whole root.
//!
//! First the layer is staged, while whoever has its files keeps them still; then the image is put together like one
//! from an archive: what it brings is leased, its blob becomes visible, its layer is unpacked and compared, and the
//! record comes last.

mod config;
mod image;
mod stage;

pub use image::NewImage;
pub(crate) use image::commit;
pub use stage::StagedLayer;
