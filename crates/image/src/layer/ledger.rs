//! What must be remembered to the end of a layer, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};

use rustix::fs::Timespec;

use super::fault::{Fault, Result};
use super::name;

/// Rough cost of a record beside its paths.
const RECORD: usize = 128;

/// Attributes of a directory that wait until nothing is made in it any more.
///
/// Entries change its time, its set-group-id bit would pass its group on to them, its default ACL its permissions.
#[derive(Debug, Clone, Default)]
pub(super) struct Late {
    /// Set when the mode has bits beyond rwx.
    pub(super) mode: Option<u32>,
    pub(super) mtime: Option<Timespec>,
    pub(super) default_acl: Option<Vec<u8>>,
}

/// The records of one layer; paths are free of links.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) directories: BTreeMap<Vec<u8>, Late>,
    /// Directories made without an entry of their own: owner and mode are for the layers below to say.
    pub(super) implicit: BTreeSet<Vec<u8>>,
    /// Hard links whose target is not in this layer: path to target.
    pub(super) links: BTreeMap<Vec<u8>, Vec<u8>>,
    memory: usize,
    limit: usize,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            directories: BTreeMap::new(),
            implicit: BTreeSet::new(),
            links: BTreeMap::new(),
            memory: 0,
            limit,
        }
    }

    /// Whether the layers below are needed to complete this one.
    pub(super) fn needs_parents(&self) -> bool {
        !self.implicit.is_empty() || !self.links.is_empty()
    }

    pub(super) fn directory(&mut self, path: &[u8], late: Late) -> Result<()> {
        self.charge(path.len() + late.default_acl.as_ref().map_or(0, Vec::len))?;
        self.implicit.remove(path);
        self.directories.insert(path.to_vec(), late);
        Ok(())
    }

    pub(super) fn made_implicitly(&mut self, path: &[u8]) -> Result<()> {
        self.charge(path.len())?;
        self.implicit.insert(path.to_vec());
        Ok(())
    }

    pub(super) fn foreign_link(&mut self, path: Vec<u8>, target: Vec<u8>) -> Result<()> {
        self.charge(path.len() + target.len())?;
        self.links.insert(path, target);
        Ok(())
    }

    /// Something was made at `path`: a link that was to come there is replaced by it.
    pub(super) fn made(&mut self, path: &[u8]) {
        if !self.links.is_empty() {
            self.links.remove(path);
        }
    }

    /// The directory at `path` was removed with all that was in it.
    pub(super) fn removed(&mut self, path: &[u8]) {
        let stays = |known: &[u8]| known != path && !name::is_below(known, path);
        self.directories.retain(|known, _| stays(known));
        self.implicit.retain(|known| stays(known));
        self.links.retain(|known, _| stays(known));
    }

    /// What was below `from` is below `to` now.
    pub(super) fn moved(&mut self, from: &[u8], to: &[u8]) {
        let renamed = |path: Vec<u8>| match name::is_below(&path, from) {
            true => name::join(to, &path[from.len() + 1..]),
            false => path,
        };
        let take = std::mem::take(&mut self.directories);
        self.directories = take.into_iter().map(|(path, late)| (renamed(path), late)).collect();
        let take = std::mem::take(&mut self.implicit);
        self.implicit = take.into_iter().map(renamed).collect();
        let take = std::mem::take(&mut self.links);
        self.links = take.into_iter().map(|(path, target)| (renamed(path), target)).collect();
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.memory += bytes + RECORD;
        if self.memory > self.limit {
            return Err(Fault::Limit {
                limit: self.limit as u64,
                of: "bytes of memory for directories and links",
            });
        }
        Ok(())
    }
}
