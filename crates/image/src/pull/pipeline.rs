//! One layer's pipeline: bytes in, a directory out.
//!
//! Three stages, each with a task or thread of its own and a short queue before it: the network (`download`) → hash
//! and append to the staged blob (`bring_in`) → decompress, hash again and make files (`unpack`). The last stage learns
//! that the blob is at its end only after its digest was found right, so no layer comes to be from bytes that are wrong.
//! Whoever stops, for whatever reason, closes its queues, and the others end.

use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::assemble::Assembly;
use super::layer::{Job, Rights};
use super::stream::{DEPTH, PieceSender, Proportionate, pieces, unpacked};
use crate::content::{ContentError, Hasher};
use crate::error::Error;
use crate::layer::{Applied, LayerError};
use crate::progress::LayerState;
use crate::registry::BlobStream;
use crate::store::blocking;

/// Bytes read from disk at once.
const DISK_PIECE: usize = 128 * 1024;

/// Why a layer could not be made.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The blob's bytes are not what its digest says, and some of them may not be the registry's.
    pub(super) doubtful: Option<Provenance>,
}

/// Where bytes came from that the registry itself may have otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Provenance {
    /// Some were left by an earlier attempt.
    staged: bool,
    /// Some were sent by a mirror.
    pub(super) mirrored: bool,
}

impl Failed {
    fn with(error: Error) -> Self {
        Self { error, doubtful: None }
    }
}

/// What arrives from the network.
enum Feed {
    Bytes(Bytes),
    End,
}

/// What the second stage found on disk.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// Bytes of the blob that are here.
    staged: u64,
    /// Whether the rest is to be fetched.
    wanted: bool,
}

/// What the stages share. Kept while any of them runs, also one whose pull was given up.
struct Shared {
    assembly: Arc<Assembly>,
    job: Job,
    #[expect(dead_code, reason = "held for what its drop does")]
    rights: Arc<Rights>,
    /// Packed bytes the last stage has read.
    consumed: Arc<AtomicU64>,
    /// The last stage has failed in a way that makes the rest of the blob pointless.
    hopeless: AtomicBool,
    /// Everything has arrived.
    arrived: AtomicBool,
}

/// Makes the layer, from the blob on disk, from what is staged of it, from the registry.
pub(super) async fn make(
    assembly: &Arc<Assembly>,
    job: &Job,
    rights: &Arc<Rights>,
) -> Result<Applied, Failed> {
    let shared = Arc::new(Shared {
        assembly: assembly.clone(),
        job: job.clone(),
        rights: rights.clone(),
        consumed: Arc::default(),
        hopeless: AtomicBool::new(false),
        arrived: AtomicBool::new(false),
    });
    let (piece_sender, piece_reader) = pieces(shared.consumed.clone());
    let (start_sender, start) = oneshot::channel();
    let (feed, fed) = mpsc::channel(DEPTH);
    let bring = {
        let shared = shared.clone();
        blocking(move || Ok(bring_in(&shared, start_sender, fed, piece_sender)?))
    };
    let unpack = {
        let shared = shared.clone();
        blocking(move || {
            let diff_id = &shared.job.diff_id;
            let result = unpacked(piece_reader)
                .map_err(|source| LayerError::Read { layer: diff_id.clone(), source })
                .and_then(|(_, reader)| unpack(&shared, reader));
            if let Err(error) = &result {
                // Broken content may be the registry's doing, which its digest will show; a refused entry is not.
                shared.hopeless.store(!is_broken(error), Ordering::Relaxed);
            }
            Ok(result?)
        })
    };
    let downloaded = download(&shared, start, feed).await;
    verdict(downloaded, bring.await, unpack.await)
}

fn is_broken(error: &LayerError) -> bool {
    matches!(error, LayerError::Read { .. } | LayerError::Archive { .. } | LayerError::DiffId { .. })
}

/// The first stage that failed knows why; those after it only that it stopped.
fn verdict(
    downloaded: Result<Provenance, Error>,
    brought: Result<(), Error>,
    applied: Result<Applied, Error>,
) -> Result<Applied, Failed> {
    let provenance = downloaded.map_err(Failed::with)?;
    match brought {
        // Stopped for the sake of the last stage.
        Ok(()) | Err(Error::Content(ContentError::Stopped(_))) => {}
        Err(error) => {
            let corrupt = matches!(&error, Error::Content(error) if error.is_corruption());
            let doubtful = Some(provenance).filter(|from| corrupt && (from.staged || from.mirrored));
            return Err(Failed { error, doubtful });
        }
    }
    applied.map_err(Failed::with)
}

/// The first stage: the bytes that are not here yet. Says where all of them came from.
async fn download(
    shared: &Shared,
    start: oneshot::Receiver<Start>,
    feed: mpsc::Sender<Feed>,
) -> Result<Provenance, Error> {
    let (assembly, blob) = (&shared.assembly, &shared.job.blob);
    // The next stage fails by itself when it cannot begin.
    let Ok(start) = start.await else { return Ok(Provenance::default()) };
    let staged = start.staged > 0;
    let report = |state| assembly.report(&blob.digest, state);
    let total = blob.size;
    if !start.wanted {
        shared.arrived.store(true, Ordering::Relaxed);
        return Ok(Provenance { staged, mirrored: false });
    }
    let Some(repository) = &assembly.repository else {
        return Err(ContentError::Missing(blob.digest.clone()).into());
    };
    let mut stream = BlobStream::new(repository.clone(), &blob.digest, total, start.staged);
    let (mut done, mut reported) = (start.staged, start.staged);
    report(LayerState::Downloading { done, total });
    while let Some(bytes) = stream.next().await? {
        done += bytes.len() as u64;
        if feed.send(Feed::Bytes(bytes)).await.is_err() {
            return Ok(Provenance { staged, mirrored: stream.is_mirrored() });
        }
        if done - reported >= report_step(total) {
            reported = done;
            report(LayerState::Downloading { done, total });
        }
    }
    if reported < done {
        report(LayerState::Downloading { done, total });
    }
    report(LayerState::Verifying);
    shared.arrived.store(true, Ordering::Relaxed);
    // Gone only if that stage failed, and then it says so.
    let _ = feed.send(Feed::End).await;
    Ok(Provenance { staged, mirrored: stream.is_mirrored() })
}

/// Progress is reported in steps of a hundredth, but of no less than 256 KiB.
fn report_step(total: u64) -> u64 {
    (total / 100).max(256 * 1024)
}

/// The second stage: hash what arrives, keep it, pass it on; at the end compare, and make the blob durable.
fn bring_in(
    shared: &Shared,
    start: oneshot::Sender<Start>,
    mut fed: mpsc::Receiver<Feed>,
    pieces: PieceSender,
) -> Result<(), ContentError> {
    let (digest, size) = (&shared.job.blob.digest, shared.job.blob.size);
    let blobs = &shared.assembly.inner.blobs;
    let mut forward = Forward { shared, pieces: Some(pieces) };
    // Whoever asked may be gone; then the next stage is as well, and this one ends there.
    if blobs.has(digest, size) {
        let _ = start.send(Start { staged: size, wanted: false });
        return read_again(shared, forward);
    }
    let mut ingest = blobs.ingest(digest, size)?;
    let _ = start.send(Start { staged: ingest.staged(), wanted: true });
    if ingest.staged() > 0 {
        let mut buffer = vec![0; DISK_PIECE];
        loop {
            let read = ingest.replay(&mut buffer)?;
            if read == 0 {
                break;
            }
            forward.send(Bytes::copy_from_slice(&buffer[..read]))?;
        }
    }
    loop {
        match fed.blocking_recv() {
            Some(Feed::Bytes(bytes)) => {
                ingest.append(&bytes)?;
                forward.send(bytes)?;
            }
            Some(Feed::End) => break,
            None => return Err(ContentError::Stopped(digest.clone())),
        }
    }
    let verified = ingest.verify()?;
    forward.end();
    verified.publish()
}

/// The second stage for a blob that is here: read it, and compare all the same.
fn read_again(shared: &Shared, mut forward: Forward<'_>) -> Result<(), ContentError> {
    let digest = &shared.job.blob.digest;
    let blobs = &shared.assembly.inner.blobs;
    let (mut file, _) = blobs.reader(digest)?;
    let mut hasher = Hasher::new(digest.algorithm());
    let mut buffer = vec![0; DISK_PIECE];
    loop {
        let read = file.read(&mut buffer).map_err(ContentError::file("read", &blobs.path(digest)))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        forward.send(Bytes::copy_from_slice(&buffer[..read]))?;
    }
    let actual = hasher.finish();
    if actual != *digest {
        return Err(ContentError::Digest { expected: digest.clone(), actual });
    }
    forward.end();
    Ok(())
}

/// The way to the third stage, which may have failed while the digest is still to be known.
struct Forward<'a> {
    shared: &'a Shared,
    pieces: Option<PieceSender>,
}

impl Forward<'_> {
    fn send(&mut self, bytes: Bytes) -> Result<(), ContentError> {
        let sent = self.pieces.as_ref().is_some_and(|pieces| pieces.send(bytes).is_ok());
        if !sent {
            self.pieces = None;
            if self.shared.hopeless.load(Ordering::Relaxed) {
                return Err(ContentError::Stopped(self.shared.job.blob.digest.clone()));
            }
        }
        Ok(())
    }

    fn end(self) {
        if let Some(pieces) = self.pieces {
            pieces.end();
        }
    }
}

/// The third stage: files from the unpacked stream.
fn unpack(shared: &Shared, reader: impl Read) -> Result<Applied, LayerError> {
    let (assembly, job) = (&shared.assembly, &shared.job);
    let total = job.blob.size;
    let reported = Cell::new(0);
    let progress = |_unpacked: u64| {
        let done = shared.consumed.load(Ordering::Relaxed);
        if shared.arrived.load(Ordering::Relaxed) && done - reported.get() >= report_step(total) {
            reported.set(done);
            assembly.report(&job.blob.digest, LayerState::Extracting { done, total });
        }
    };
    let reader = Proportionate::new(reader, shared.consumed.clone());
    assembly.inner.layers.apply(reader, &job.diff_id, &assembly.inner.limits, &progress)
}
