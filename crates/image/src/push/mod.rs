//! Pushing: the blobs of an image that a repository lacks, several at a time, then its manifest.
//!
//! Invariants: what is sent are the bytes that were pulled or loaded, manifest and configuration included; the manifest
//! goes last, when all it names is there; the image's blobs stay on disk while they are needed. Nothing changes here.

mod blob;
mod request;
mod subject;

pub(crate) use request::{push, tags_of};
