//! Layers: archives, and the blobs they are shipped as.

use std::io::Write;

use sha2::{Digest, Sha256};

use crate::Entry;

/// How a layer's blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// One gzip member.
    Gzip,
    /// Gzip in many members, as parallel compressors write it.
    MultiGzip,
    /// Zstandard.
    Zstd,
}

/// A layer: the archive and the blob made of it.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The uncompressed archive.
    pub tar: Vec<u8>,
    /// What a registry serves.
    pub blob: Vec<u8>,
    /// How `blob` was made of `tar`.
    pub compression: Compression,
    /// `sha256:…` of `tar`.
    pub diff_id: String,
    /// `sha256:…` of `blob`.
    pub digest: String,
}

/// `sha256:…` of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// An archive of these entries, with its end marker.
#[must_use]
pub fn archive<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<u8> {
    let mut tar: Vec<u8> = entries.into_iter().flat_map(Entry::bytes).collect();
    tar.resize(tar.len() + 1024, 0);
    tar
}

impl Layer {
    /// A layer of these entries.
    #[must_use]
    pub fn new(entries: &[Entry], compression: Compression) -> Self {
        Self::of_tar(archive(entries), compression)
    }

    /// A layer of this archive, which may be anything.
    #[must_use]
    pub fn of_tar(tar: Vec<u8>, compression: Compression) -> Self {
        let blob = compress(&tar, compression).expect("compressing into memory");
        Self { diff_id: sha256(&tar), digest: sha256(&blob), tar, blob, compression }
    }
}

fn compress(tar: &[u8], compression: Compression) -> std::io::Result<Vec<u8>> {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes)?;
        encoder.finish()
    };
    match compression {
        Compression::None => Ok(tar.to_vec()),
        Compression::Gzip => gzip(tar),
        Compression::MultiGzip => {
            let members: Result<Vec<_>, _> = tar.chunks(64 << 10).map(gzip).collect();
            members.map(|members| members.concat())
        }
        Compression::Zstd => zstd::encode_all(tar, 3),
    }
}
