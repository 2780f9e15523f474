//! Table `volumes`: directories that ross keeps, by name.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Db, DbError, Durability, unreadable};
use crate::model::Timestamp;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeRow {
    pub(crate) name: String,
    /// Made for one container.
    pub(crate) anonymous: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
}

impl Db {
    /// Makes the row unless there is one of this name.
    pub(crate) fn ensure_volume(&self, volume: &VolumeRow) -> Result<(), DbError> {
        self.write("insert a volume", Durability::Relaxed, |transaction| {
            let labels = serde_json::to_string(&volume.labels).map_err(unreadable)?;
            transaction.execute(
                "INSERT INTO volumes (name, anonymous, labels, created_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (name) DO NOTHING",
                params![volume.name, volume.anonymous, labels, volume.created.unix_nanos()],
            )?;
            Ok(())
        })
    }

    /// Removes the row; none is no error.
    pub(crate) fn delete_volume(&self, name: &str) -> Result<(), DbError> {
        self.remove("delete a volume", Durability::Relaxed, |transaction| {
            transaction.execute("DELETE FROM volumes WHERE name = ?1", [name])?;
            Ok(())
        })
    }
}
