//! The durable steps: whatever makes a part of the store last, come into sight or go out of it.
//!
//! Invariant: no other file of this crate syncs, renames or unlinks what lies in the store's own folders, or writes a
//! record, but inside [`Step::run`]. A test reads the sources for it. So the crash sweep (`tests/it/sweep.rs`), which
//! ends the process before and after each step in turn, misses none. In a release a step is the call itself.

use rustix::io::Errno;

use crate::fault;

/// One kind of durable step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// A staged blob's bytes are synced.
    BlobSync,
    /// A staged blob gets its name under `blobs/`.
    BlobRename,
    /// The names under `blobs/` are synced.
    BlobNames,
    /// A blob, or what is staged of one, is unlinked.
    BlobRemove,
    /// A blob goes back to staging.
    BlobDemote,
    /// A staged layer's files are synced.
    LayerSync,
    /// A staged layer gets its name under `layers/`.
    LayerRename,
    /// A layer changes places with one that was unpacked anew.
    LayerExchange,
    /// The names under `layers/` are synced.
    LayerNames,
    /// A layer goes out of sight.
    LayerTakeOut,
    /// The files of a layer that is out of sight are deleted.
    LayerDelete,
    /// An image's record is written.
    RecordPut,
    /// An image's record is removed.
    RecordRemove,
    /// A reference is made to lead to an image.
    TagSet,
    /// A reference is removed.
    TagRemove,
}

impl Step {
    /// Every step there is.
    pub const ALL: [Self; 15] = [
        Self::BlobSync,
        Self::BlobRename,
        Self::BlobNames,
        Self::BlobRemove,
        Self::BlobDemote,
        Self::LayerSync,
        Self::LayerRename,
        Self::LayerExchange,
        Self::LayerNames,
        Self::LayerTakeOut,
        Self::LayerDelete,
        Self::RecordPut,
        Self::RecordRemove,
        Self::TagSet,
        Self::TagRemove,
    ];

    /// Takes the step, with a failure point before and after it.
    pub(crate) fn run<T, E: From<Errno>>(self, act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        fault::reach(self, fault::Moment::Before)?;
        let done = act()?;
        fault::reach(self, fault::Moment::After)?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Calls that are durable steps, or would be if what they touch were the store's own.
    const CALLS: [&str; 12] = [
        "sync_all(",
        "sync_data(",
        "::fsync(",
        "::fdatasync(",
        "::syncfs(",
        "fs::rename(",
        "::renameat(",
        "::renameat_with(",
        "fs::remove_file(",
        ".put_image(",
        ".set_tag(",
        ".remove_image(",
    ];

    /// Files whose calls move things inside staging, inside a container's folder, or while a tree is being deleted:
    /// nothing that anybody was promised. `sync.rs` is what `Step::LayerSync` calls.
    const ELSEWHERE: [&str; 4] = ["layer/fixup.rs", "layer/remove.rs", "snapshot/", "layer/sync.rs"];

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    /// Whether the call in line `at` is an argument of `run` of a step: on this line or the two before it.
    fn is_step(lines: &[&str], at: usize) -> bool {
        let near = lines[at.saturating_sub(2)..=at].join(" ");
        (near.contains("Step::") && near.contains(".run(")) || near.contains("step.run(")
    }

    #[test]
    fn every_durable_call_is_a_step_and_every_step_is_taken() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        let (mut bare, mut taken) = (Vec::new(), String::new());
        for file in files {
            let name = file.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
            if name == "durable.rs" || ELSEWHERE.iter().any(|elsewhere| name.starts_with(elsewhere)) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines: Vec<&str> = code.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                let is_call =
                    CALLS.iter().any(|call| line.contains(call)) || line.contains("records.remove_tag(");
                if is_call && !line.trim_start().starts_with("//") && !is_step(&lines, at) {
                    bare.push(format!("{name}:{}: {}", at + 1, line.trim()));
                }
            }
            taken.push_str(code);
        }
        assert!(bare.is_empty(), "durable calls without a failure point: {bare:#?}");
        for step in Step::ALL {
            assert!(taken.contains(&format!("Step::{step:?}")), "{step:?} is taken nowhere");
        }
    }

    #[test]
    fn the_list_is_whole() {
        let names: std::collections::BTreeSet<_> = Step::ALL.into_iter().collect();
        assert_eq!(names.len(), Step::ALL.len());
        // The last of the enumeration, so that a new one is not forgotten here.
        assert_eq!(Step::TagRemove as usize + 1, Step::ALL.len());
    }
}
