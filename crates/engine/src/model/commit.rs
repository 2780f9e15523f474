//! Requests for images that are made here.

use ross_types::{ImageRef, Platform};

/// How to make an image of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// The tag that leads to it.
    pub reference: Option<ImageRef>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub message: String,
    /// Instructions of a Dockerfile that change what the image says of its containers.
    pub changes: Vec<String>,
    /// Freeze a container that runs while its files are read.
    pub pause: bool,
}

/// How to make an image of an archive.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// The tag that leads to it.
    pub reference: Option<ImageRef>,
    /// Why.
    pub message: String,
    /// Instructions of a Dockerfile that change what the image says of its containers.
    pub changes: Vec<String>,
    /// What the image is for; this host when absent.
    pub platform: Option<Platform>,
}
