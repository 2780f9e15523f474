//! A layer in place, held against its archive unpacked anew.
//!
//! Nothing is kept of an unpack that its files could be compared with later: that would cost every pull. The archive
//! is here, so it is unpacked once more beside the layer, by the same code. The layer it gives is what the one in
//! place should be, and can take its place.

use std::io::Read;
use std::os::fd::OwnedFd;

use ross_sys::error::with_sources;
use ross_types::{ChainId, DiffId};
use rustix::fs::{Mode, OFlags};

use super::compare::{Difference, compare};
use super::store::{GoneLayer, Pending};
use super::{LayerError, LayerKey, LayerStore, UnpackLimits};

/// Differences told of one layer; the others are counted.
const TOLD: usize = 100;

/// The layer to be checked.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) key: LayerKey,
    pub(crate) diff_id: DiffId,
    pub(crate) chain_id: ChainId,
    /// The keys of all layers below it, lowest first.
    pub(crate) parents: Vec<LayerKey>,
}

/// What a check found, and the layer as it should be, in staging.
#[derive(Debug)]
pub(crate) struct Checked {
    fresh: Pending,
    key: LayerKey,
    pub(crate) differences: Vec<Difference>,
    /// Differences beyond those.
    pub(crate) more: u64,
}

impl LayerStore {
    /// Compares the layer `subject.key` with the uncompressed tar stream it was made from. Blocking; needs as much disk
    /// as the layer, for as long as the answer is kept.
    ///
    /// # Errors
    /// When the archive cannot be unpacked, or what it gives not be read.
    pub(crate) fn check(
        &self,
        reader: impl Read,
        subject: Subject,
        limits: &UnpackLimits,
    ) -> Result<Checked, LayerError> {
        let Subject { key, diff_id, chain_id, parents } = subject;
        let mut fresh = self.unpack(reader, &diff_id, limits, &|_| {})?;
        if fresh.unpacked.ledger.needs_parents() {
            fresh.complete(&chain_id, &parents)?;
        }
        fresh.seal()?;
        let (mut differences, mut more) = (Vec::new(), 0);
        let mut report = |difference| {
            if differences.len() < TOLD {
                differences.push(difference);
            } else {
                more += 1;
            }
        };
        self.compare(&fresh, &key, &mut report)?;
        Ok(Checked { fresh, key, differences, more })
    }

    fn compare(
        &self,
        fresh: &Pending,
        key: &LayerKey,
        report: &mut dyn FnMut(Difference),
    ) -> Result<(), LayerError> {
        let mut tell = |path: &str, what: String| report(Difference { path: path.to_owned(), what });
        match self.record(key) {
            Ok(Some(record)) if record == fresh.record => {}
            Ok(Some(_)) => tell("layer.json", "does not describe the layer".to_owned()),
            Ok(None) => {
                tell("", "is missing".to_owned());
                return Ok(());
            }
            Err(error) => tell("layer.json", format!("cannot be used: {}", with_sources(&error))),
        }
        let path = self.tree(key);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found: OwnedFd = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(found) => found,
            Err(errno) => {
                tell("", format!("cannot be read: {}", std::io::Error::from(errno)));
                return Ok(());
            }
        };
        compare(&fresh.unpacked.tree, &found, report).map_err(|errno| LayerError::Store {
            action: "compare with what it should be",
            path,
            source: errno.into(),
        })
    }
}

impl Checked {
    /// Makes the layer as it should be durable, where it is.
    pub(crate) fn sync(&self) -> Result<(), LayerError> {
        self.fresh.staging.sync(&self.key)
    }

    /// Puts it, once synced, in the place of the one that was compared, which comes back to be deleted: nobody may have
    /// that one mounted. Durable when it returns.
    pub(crate) fn put_in_place(self) -> Result<GoneLayer, LayerError> {
        let Pending { store, staging, .. } = self.fresh;
        let gone = staging.replace(&self.key)?;
        store.sync_names()?;
        Ok(GoneLayer(gone))
    }
}
