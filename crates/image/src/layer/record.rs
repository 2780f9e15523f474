//! `layers/<key>/layer.json`: the commit record of a layer. A folder without a good one is no layer.
//!
//! ```json
//! {"format": 1, "diff_id": "sha256:…", "chain_id": null, "size": 1, "entries": 1, "root_entry": true, "root_opaque": false}
//! ```
//!
//! `chain_id` is set when the layer depends on those below it. A reader refuses formats newer than its own.

use std::io;
use std::path::{Path, PathBuf};

use ross_types::{ChainId, DiffId};
use serde::{Deserialize, Serialize};

use super::LayerError;

const FORMAT: u32 = 1;
/// Far above what a record needs; a file this large is none.
const SIZE_MAX: u64 = 64 << 10;

/// What is recorded of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    pub(crate) diff_id: DiffId,
    pub(crate) chain_id: Option<ChainId>,
    pub(crate) size: u64,
    pub(crate) entries: u64,
    /// The tree's root has attributes from the archive.
    pub(crate) root_entry: bool,
    /// Layers below this one are not to be seen at all.
    pub(crate) root_opaque: bool,
}

impl Record {
    pub(super) fn new(diff_id: DiffId, size: u64, entries: u64) -> Self {
        Self { format: FORMAT, diff_id, chain_id: None, size, entries, root_entry: false, root_opaque: false }
    }

    /// Reads the record in a layer's folder; none if there is no such folder.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, LayerError> {
        let path = path(folder);
        let refuse = |reason: String| LayerError::Record { path: path.clone(), reason };
        let text = match std::fs::metadata(&path) {
            Ok(status) if status.len() > SIZE_MAX => return Err(refuse("it is too large".into())),
            Ok(_) => std::fs::read(&path),
            Err(error) => Err(error),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => return Ok(None),
            Err(source) => return Err(LayerError::Store { action: "read", path, source }),
        };
        let record: Self =
            serde_json::from_slice(&text).map_err(|error| refuse(format!("it is malformed: {error}")))?;
        if record.format != FORMAT {
            let reason = format!("its format is {}, and this ross knows {FORMAT}", record.format);
            return Err(refuse(reason));
        }
        Ok(Some(record))
    }

    /// Writes the record; the caller syncs.
    pub(super) fn write(&self, folder: &Path) -> Result<(), LayerError> {
        let path = path(folder);
        let text = serde_json::to_vec(self).expect("a record has only strings and numbers");
        std::fs::write(&path, text).map_err(|source| LayerError::Store { action: "write", path, source })
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("layer.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_foreign_records() {
        let folder = tempfile::tempdir().unwrap();
        let diff_id = DiffId(format!("sha256:{}", "0a".repeat(32)).parse().unwrap());
        let record = Record::new(diff_id.clone(), 7, 3);
        record.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), Some(record));
        // The first format, byte by byte: every later ross must read it.
        let first = format!(
            r#"{{"format":1,"diff_id":"{diff_id}","chain_id":null,"size":7,"entries":3,"root_entry":true,"root_opaque":false}}"#
        );
        std::fs::write(path(folder.path()), &first).unwrap();
        assert!(Record::read(folder.path()).unwrap().unwrap().root_entry);
        for bad in
            ["", "{}", "null", &first.replace("\"format\":1", "\"format\":2"), &first.replace("0a0a", "zz")]
        {
            std::fs::write(path(folder.path()), bad).unwrap();
            assert!(matches!(Record::read(folder.path()), Err(LayerError::Record { .. })), "{bad}");
        }
        assert_eq!(Record::read(&folder.path().join("none")).unwrap(), None);
    }
}
