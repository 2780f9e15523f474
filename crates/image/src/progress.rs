//! What a pull or a load tells its caller while it works.

use std::sync::Arc;

use ross_types::Digest;

/// One step of a pull or load. Events of different layers interleave; those of one layer are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// The reference is being looked up.
    Resolving,
    /// The image's manifest is known; its layers follow as [`LayerState::Waiting`], lowest first.
    Manifest {
        /// What the reference resolved to: the digest of a manifest or an index.
        digest: Digest,
    },
    /// A layer has come to a new state, or moved on within one.
    Layer {
        /// The digest of the layer's blob.
        digest: Digest,
        /// Where it stands.
        state: LayerState,
    },
    /// Everything is on disk and recorded.
    Done,
}

/// Where a layer of a pull or load stands. Counts are bytes of the blob as transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState {
    /// It waits for its turn. While another pull fetches the same layer, its progress follows.
    Waiting,
    /// Bytes arrive and are unpacked as they come.
    Downloading {
        /// Bytes received, those of an earlier attempt included.
        done: u64,
        /// The size of the blob.
        total: u64,
    },
    /// All bytes are here; the digest is compared and the blob made durable.
    Verifying,
    /// The rest of the blob is being unpacked.
    Extracting {
        /// Bytes unpacked.
        done: u64,
        /// The size of the blob.
        total: u64,
    },
    /// It was here already.
    Exists,
    /// It is unpacked and durable.
    Done,
}

/// One step of a push. Events of different layers interleave; those of one layer are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushEvent {
    /// The digest of the layer's blob.
    pub digest: Digest,
    /// Where it stands.
    pub state: PushState,
}

/// Where a layer of a push stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushState {
    /// It waits for its turn.
    Waiting,
    /// Its blob is not here, and is fetched from where the image came from.
    Fetching,
    /// Bytes are sent; counts are bytes of the blob, and may fall when something has to be sent once more.
    Pushing {
        /// Bytes sent.
        done: u64,
        /// The size of the blob.
        total: u64,
    },
    /// The repository has it already.
    Exists,
    /// The registry took it from this other repository.
    Mounted(String),
    /// It may not be distributed: whoever pulls gets it from where the manifest says.
    Foreign,
    /// It is there.
    Pushed,
}

/// Takes the events of one push, from several threads; it must not block.
pub type PushSink = Arc<dyn Fn(PushEvent) + Send + Sync>;

/// Takes the events of one pull or load, from several threads; it must not block, nor call the store.
pub type ProgressSink = Arc<dyn Fn(PullEvent) + Send + Sync>;
