//! What a verification is asked for, and what it tells.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ross_types::Digest;

use crate::image::ImageUse;
use crate::registry::Credentials;

/// Says which container uses an image. Called under the store's lock; it must not call the store.
pub type Users = Arc<dyn Fn(&Digest) -> Option<ImageUse> + Send + Sync>;

/// What to verify.
#[derive(Clone)]
pub struct VerifyOrder {
    /// Names or ids; all images when empty.
    pub images: Vec<String>,
    /// Whether what is wrong is fetched again.
    pub repair: bool,
    /// What to show to registries, by their names as in a reference.
    pub credentials: HashMap<String, Credentials>,
    /// Which container uses an image.
    pub in_use: Users,
}

impl fmt::Debug for VerifyOrder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("VerifyOrder")
            .field("images", &self.images)
            .field("repair", &self.repair)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The manifest.
    Manifest,
    /// The configuration.
    Config,
    /// A layer's blob, as transferred.
    Blob,
    /// A layer's files.
    Layer,
}

impl Subject {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Blob => "blob",
            Self::Layer => "layer",
        }
    }
}

/// What became of something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    /// It was only to be found.
    NotAsked,
    /// It is right now.
    Yes,
    /// It is as it was; this is why.
    No(String),
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The image, by its familiar name or, without one, its id. Of several that share what is wrong, the first.
    pub image: String,
    /// The image's id.
    pub id: Digest,
    /// What kind of thing is wrong.
    pub subject: Subject,
    /// The digest it should have; of a layer the diff id.
    pub digest: Digest,
    /// Where in a layer, made printable; empty for the whole.
    pub path: String,
    /// How it differs: a fragment without a full stop.
    pub what: String,
    /// What became of it.
    pub mended: Mended,
}

/// One step of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyEvent {
    /// This is being checked now.
    Checking {
        /// The image, as in [`Finding::image`].
        image: String,
        /// What of it.
        subject: Subject,
        /// Its digest.
        digest: Digest,
    },
    /// This is wrong.
    Found(Finding),
}

/// Takes the events of a verification; it must not block.
pub type VerifySink = Arc<dyn Fn(VerifyEvent) + Send + Sync>;

/// What a verification came to. Things that images share are checked and counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Images.
    pub images: u64,
    /// Manifests, configurations and blobs of layers.
    pub blobs: u64,
    /// Unpacked layers.
    pub layers: u64,
    /// Manifests, configurations, blobs and layers that were not as they should be.
    pub wrong: u64,
    /// Those of them that are right now.
    pub mended: u64,
}
