//! What a stack of layers means, worked out in memory: the oracle that unpackers are compared with.
//!
//! It follows the OCI image specification (`layer.md`) in the plainest way there is, and shares no code with ross.

use std::collections::BTreeMap;

use crate::Entry;

/// The files of a stack of layers. Several paths may share one inode.
#[derive(Debug, Clone, Default)]
pub struct Model {
    paths: BTreeMap<Vec<u8>, usize>,
    inodes: Vec<Entry>,
}

impl Model {
    /// The result of these layers, lowest first.
    #[must_use]
    pub fn of<'l>(layers: impl IntoIterator<Item = &'l [Entry]>) -> Self {
        let mut model = Self::default();
        for layer in layers {
            model.apply(layer);
        }
        model
    }

    /// All paths but the root's, with their inode and how many paths share it.
    pub fn files(&self) -> impl Iterator<Item = (&[u8], &Entry, usize)> {
        self.paths.iter().filter(|(path, _)| !path.is_empty()).map(|(path, inode)| {
            let links = self.paths.values().filter(|other| *other == inode).count();
            (path.as_slice(), &self.inodes[*inode], links)
        })
    }

    fn apply(&mut self, layer: &[Entry]) {
        for entry in layer {
            let path = clean(&entry.name);
            let (dir, file) = split(&path);
            if file == b".wh..wh..opq" {
                let dir = self.resolve(dir);
                self.paths.retain(|known, _| !below(known, &dir));
            } else if let Some(hidden) = file.strip_prefix(b".wh.").filter(|name| !name.starts_with(b".wh."))
            {
                let hidden = join(&self.resolve(dir), hidden);
                self.paths.retain(|known, _| *known != hidden && !below(known, &hidden));
            }
        }
        for entry in layer {
            let path = clean(&entry.name);
            let (dir, file) = split(&path);
            let dir = self.resolve(dir);
            self.parents(&dir);
            if file.starts_with(b".wh.") {
                continue;
            }
            let path = if file.is_empty() { Vec::new() } else { join(&dir, file) };
            let inode = if entry.kind == b'1' {
                let target = clean(&entry.link);
                let (dir, file) = split(&target);
                self.paths[&join(&self.resolve(dir), file)]
            } else {
                self.inodes.push(entry.clone());
                self.inodes.len() - 1
            };
            let was_dir = self.paths.get(&path).is_some_and(|inode| self.inodes[*inode].kind == b'5');
            if !(was_dir && entry.kind == b'5') {
                self.paths.retain(|known, _| !below(known, &path));
            }
            self.paths.insert(path, inode);
        }
    }

    /// A directory's path with the links on it followed.
    fn resolve(&self, path: &[u8]) -> Vec<u8> {
        let mut here = Vec::new();
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            let next = join(&here, part);
            let inode = self.paths.get(&next).map(|inode| &self.inodes[*inode]);
            here = match inode {
                Some(link) if link.kind == b'2' && link.link.starts_with(b"/") => self.resolve(&link.link),
                Some(link) if link.kind == b'2' => self.resolve(&join(&here, &link.link)),
                _ => next,
            };
        }
        here
    }

    fn parents(&mut self, dir: &[u8]) {
        let mut path = Vec::new();
        for part in dir.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            path = join(&path, part);
            if !self.paths.contains_key(&path) {
                self.inodes.push(Entry::dir(&path).mtime(0, 0));
                self.paths.insert(path.clone(), self.inodes.len() - 1);
            }
        }
    }
}

fn clean(name: &[u8]) -> Vec<u8> {
    let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.collect::<Vec<_>>().join(&b'/')
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn join(dir: &[u8], file: &[u8]) -> Vec<u8> {
    if dir.is_empty() { file.to_vec() } else { [dir, b"/", file].concat() }
}

fn below(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| if dir.is_empty() { !rest.is_empty() } else { rest.starts_with(b"/") })
}
