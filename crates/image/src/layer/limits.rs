//! How much one layer may ask of this host.

/// Bounds on what unpacking one layer may write or remember.
///
/// The defaults are far above any image known to run, and far below what takes a host down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// File content written, in bytes; holes of sparse files are free.
    pub bytes: u64,
    /// Members of the archive.
    pub entries: u64,
    /// Components of a path, after links in it are resolved.
    pub depth: usize,
    /// Memory for what must be remembered to the end of the layer (directory times, open links), in bytes.
    pub memory: usize,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { bytes: 256 << 30, entries: 4_000_000, depth: 256, memory: 64 << 20 }
    }
}
