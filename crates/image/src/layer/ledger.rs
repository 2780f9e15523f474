//! What must be remembered to the end of a layer, in bounded memory.

use std::collections::BTreeMap;
use std::ops::Bound;

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
    pub(super) implicit: BTreeMap<Vec<u8>, ()>,
    /// Hard links whose target is not in this layer: path to target.
    pub(super) links: BTreeMap<Vec<u8>, Vec<u8>>,
    memory: usize,
    limit: usize,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            directories: BTreeMap::new(),
            implicit: BTreeMap::new(),
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
        self.implicit.insert(path.to_vec(), ());
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

    /// What stood at `path` was removed, and if it was a directory, all that was in it.
    pub(super) fn removed(&mut self, path: &[u8]) {
        self.directories.remove(path);
        self.implicit.remove(path);
        self.links.remove(path);
        take_below(&mut self.directories, path);
        take_below(&mut self.implicit, path);
        take_below(&mut self.links, path);
    }

    /// What was below `from` is below `to` now.
    pub(super) fn moved(&mut self, from: &[u8], to: &[u8]) {
        let renamed = |path: Vec<u8>| name::join(to, &path[from.len() + 1..]);
        let below = take_below(&mut self.directories, from);
        self.directories.extend(below.into_iter().map(|(path, late)| (renamed(path), late)));
        let below = take_below(&mut self.implicit, from);
        self.implicit.extend(below.into_iter().map(|(path, ())| (renamed(path), ())));
        let below = take_below(&mut self.links, from);
        self.links.extend(below.into_iter().map(|(path, target)| (renamed(path), target)));
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

/// Takes out what lies strictly below `path`. It stands together in the order of the keys, so the cost is that of what
/// is taken: an archive that replaces things over and over makes nobody look at all the rest each time.
fn take_below<V>(map: &mut BTreeMap<Vec<u8>, V>, path: &[u8]) -> Vec<(Vec<u8>, V)> {
    let slash = |after: u8| [path, &[after]].concat();
    let range = (Bound::Excluded(slash(b'/')), Bound::Excluded(slash(b'/' + 1)));
    let keys: Vec<Vec<u8>> = map.range(range).map(|(key, _)| key.clone()).collect();
    keys.into_iter().filter_map(|key| map.remove_entry(&key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below() {
        let all = [&b"a"[..], b"a!", b"a.b", b"a/b", b"a/b/c", b"a/\xff", b"a0", b"ab/c", b"b"];
        let mut map: BTreeMap<Vec<u8>, ()> = all.iter().map(|path| (path.to_vec(), ())).collect();
        let taken: Vec<Vec<u8>> = take_below(&mut map, b"a").into_iter().map(|(path, ())| path).collect();
        assert_eq!(taken, [&b"a/b"[..], b"a/b/c", b"a/\xff"]);
        assert_eq!(map.len(), all.len() - 3);
    }

    #[test]
    fn moving_and_removing() {
        let mut ledger = Ledger::new(1 << 20);
        for path in [&b"lib"[..], b"lib/x", b"lib/x/y", b"libs"] {
            ledger.directory(path, Late::default()).unwrap();
        }
        ledger.made_implicitly(b"lib/z").unwrap();
        ledger.foreign_link(b"lib/x/link".to_vec(), b"bin/sh".to_vec()).unwrap();
        ledger.moved(b"lib", b"usr/lib");
        let paths: Vec<_> = ledger.directories.keys().map(Vec::as_slice).collect();
        assert_eq!(paths, [&b"lib"[..], b"libs", b"usr/lib/x", b"usr/lib/x/y"]);
        assert!(ledger.implicit.contains_key(&b"usr/lib/z"[..]));
        ledger.removed(b"usr/lib/x");
        assert_eq!(ledger.directories.len(), 2);
        assert!(ledger.links.is_empty());
    }
}
